"""Training in exact arithmetic has the same bits, whatever computes it and in however many threads.

A hash of each of many small configurations is compared between child processes whose matrix products are
those of other processors, and which use none or all of this processor's instructions; some hashes are
written down, so that every machine checks itself against the others.
"""

import json
import os
import platform
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS, CANONICAL, HIDDEN
from pipeline.nn.losses import LOSSES
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES
from tests.commands import ROOT, made_once
from tests.nn.configurations import NAMED, ON_TABLES, drawn, sha256

SIMD = np.show_config(mode="dicts")["SIMD Extensions"]
FOUND = {*SIMD.get("found", []), *SIMD.get("baseline", [])}
ALL_FEATURES = " ".join(SIMD.get("found", []) + SIMD.get("not found", []))

NEEDED = {  # by OpenBLAS's kernels: features one of which the processor needs, as NumPy's versions name them
    "Prescott": {"SSE3", "X86_V2"},
    "Sandybridge": {"AVX", "X86_V3"},
    "Haswell": {"AVX2", "X86_V3"},
    "SkylakeX": {"AVX512_SKX", "X86_V4"},
    "ARMV8": {"ASIMD"},
}
X86 = ["Prescott", "Sandybridge", "Haswell", "SkylakeX"]
KERNELS = {"x86_64": X86, "AMD64": X86, "aarch64": ["ARMV8"]}.get(platform.machine(), [])
COMBINATIONS = [  # of kernels, features and threads
    (None, False, 2),
    ("Prescott", False, 1),
    ("Sandybridge", True, 2),
    ("Haswell", False, 2),
    ("SkylakeX", True, 2),
    ("ARMV8", True, 1),
]

HASHES = {
    "the sheet's network": "1bc2fef7ff4ad9be03d437e0b373ee0b74ce33099be5cad9e9e0bc74e8e5ff5b",
    "deep, with all means": "6dcb42e8a4ce6540da41b312f570283b051c4f0119e69ece7b9dff9a777364cf",
    "wide": "1c83901d994218db4e83f0d673a01cca4aefb889f157bc1794b8d9f51c936114",
    "virtual adversarial training": "9b44a8f14c2e731e18795089ab340bbcd14e6fc2c6c4c5980f69c27a767d8599",
    "batch normalisation": "cd63e2fa0f2e8ca425c746eab0c957e17d39824d5265cc3852c22dfc5fcd42fb",
    "XOR": "bc5fcc1bdcd2bad7db04a3dd96bb96edf3439c38381584a3075137669cadfffd",
    "alternating points": "d9898c6980c4e6977210a8def3ceea790bce412c5b411e6fee49bb9b35ea90ef",
    "a regression": "ce354943b6b52cffe22141ca69bb8b3937d6491259d550d9f554365a20bc5583",
    "a regression, with all means": "4270a67bb50a7bb4b1df28c439491628b26b9cd96b2f9a4ddd2d9919637674e1",
    "two classes by one output": "52b35d5bf2adf7f42e40c1a29996d17843b9001482eefcc59cdb43e97296cfc6",
}


def environment(kernels: str | None, features: bool, threads: int) -> dict[str, str]:
    """Return what a child process computes with: None stands for this processor's own kernels."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "NPY_"))}
    plain["OPENBLAS_NUM_THREADS"] = str(threads)
    if kernels:
        plain["OPENBLAS_CORETYPE"] = kernels
    if not features:
        plain["NPY_DISABLE_CPU_FEATURES"] = ALL_FEATURES
    return plain


def hashes(environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.nn.configurations"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The hashes that this processor's own kernels and features make with one thread."""

    def make(folder: Path) -> None:
        (folder / "hashes.json").write_text(json.dumps(hashes(environment(None, True, 1))), encoding="utf-8")

    folder = made_once("same_bits", make, tmp_path_factory)
    made: dict[str, Any] = json.loads((folder / "hashes.json").read_text(encoding="utf-8"))
    return made


def check(kernels: str | None, features: bool, threads: int, plain: dict[str, Any]) -> None:
    """Train in a child process and compare; float32 shows that the kernels matter."""
    if kernels and not NEEDED[kernels] & FOUND:
        pytest.skip(f"this processor lacks what the kernels {kernels} need")
    ours = hashes(environment(kernels, features, threads))
    assert ours["drawn"] == plain["drawn"]
    assert ours["named"] == plain["named"]
    assert ours["tables"] == plain["tables"]
    assert features or not ours["computed with"]["features"]
    if kernels == "Prescott" and ours["computed with"]["kernels"] != plain["computed with"]["kernels"]:
        assert ours["float32"] != plain["float32"]


@pytest.mark.parametrize(
    ("kernels", "features", "threads"),
    [combination for combination in COMBINATIONS if combination[0] in [None, *KERNELS]],
)
def test_other_kernels_features_and_threads_give_the_same_bits(
    kernels: str | None, features: bool, threads: int, plain: dict[str, Any]
) -> None:
    check(kernels, features, threads, plain)


@pytest.mark.stress
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("features", [False, True], ids=["no features", "all features"])
@pytest.mark.parametrize("kernels", [None, *KERNELS], ids=str)
def test_every_combination_of_kernels_features_and_threads_gives_the_same_bits(
    kernels: str | None, features: bool, threads: int, plain: dict[str, Any]
) -> None:
    check(kernels, features, threads, plain)


@pytest.mark.parametrize("name", HASHES)
def test_the_bits_are_those_written_down(name: str) -> None:
    """Whoever changes them on purpose writes down the new ones, which every machine has to make."""
    config, table = ON_TABLES[name] if name in ON_TABLES else (NAMED[name], None)
    assert sha256(config, table() if table else None) == HASHES[name]


def test_the_configurations_are_of_all_kinds() -> None:
    configs = drawn()
    assert len(configs) >= 60
    assert {config.model.activation for config in configs} == set(HIDDEN)
    assert {config.model.output for config in configs} == set(ACTIVATIONS)
    assert {(config.loss.name, config.model.output) for config in configs} == {
        *product(["squared_error"], ACTIVATIONS),
        *product(["canonical"], CANONICAL),
    }
    assert {config.optimizer.name for config in configs} == set(OPTIMIZERS)
    assert {config.schedule.name for config in configs} == set(SCHEDULES)
    assert {config.loss.name for config in configs} == set(LOSSES)
    assert {config.model.initialiser.name for config in configs} == {"normal", "uniform", "he", "glorot"}
    assert {config.augmentation.name for config in configs} == {"none", "affine", "elastic", "affine_elastic"}
    assert {config.dataset.kind for config in configs} == {"strokes", "xor", "alternating"}
    assert {len(config.model.hidden) for config in configs} == {0, 1, 2, 3}
    for values in (
        [config.model.bias for config in configs],
        [config.model.dropout > 0 for config in configs],
        [config.training.ema > 0 for config in configs],
        [config.training.batch_size is None for config in configs],
        [config.training.snapshots is None for config in configs],
        [config.loss.label_smoothing > 0 for config in configs],
        [config.optimizer.clip_norm is None for config in configs],
        [config.optimizer.weight_decay > 0 for config in configs],
        [config.split.validation > 0 for config in configs],
    ):
        assert set(values) == {False, True}
