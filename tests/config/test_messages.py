"""Whatever a user types at Hydra, or writes into its YAML, is told in one line."""

import os
import random
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.config.messages import composing, unknown_key
from pipeline.support.errors import REPORT, UserError
from tests.commands import UNDER_DVC
from tests.forked import run_each

SMALL = ["experiment=xor", "training.epochs=2", "tracking.enabled=false"]
SWEEP = ["-m", *SMALL, "seed=0,1"]
JOBLIB = [*SWEEP, "hydra/launcher=joblib"]

ODD = [
    ["--resolve", *SMALL],
    ["--config-name", "nowhere"],
    ["--config-dir", "nowhere"],
    ["--shell-completion"],
    *(
        [*SMALL, odd]
        for odd in (
            "model=[1,2]",
            "model={hidden: 3}",
            "model=null",
            "model@x=sheet",
            "model.hidden={a: 1}",
            "model.hidden=${oc.decode:'['}",
            'optimizer=${oc.decode:"1"}',
            "optimizer=adm",
            "training=${training}",
            "training=3",
            "~training",
            "~seed",
            "seed",
            "=3",
            "@x=1",
            "seed=${seed}",
            "seed=${x:1}",
            "seed=${hydra:nowhere}",
            "seed=${oc.env:NOWHERE}",
            "seed='${'",
            "seed=1,2",
            "seed=int(x)",
            f"seed={'1' * 5000}",
            f"seed={'1' * 1000}",
            f"training.epochs={10**40}",
            "dataset.title=\u0000",
            "split=null",
            "experiment=[xor,nowhere]",
            "hydra=null",
            "hydra.mode=x",
            "hydra.run.dir=null",
            "hydra.run.dir=${nowhere}",
            "hydra.job.name=x/y",
            "hydra.job.env_copy=[NOWHERE]",
            "hydra.job_logging=[1]",
            "hydra.job_logging.root.level=X",
            "hydra.searchpath=3",
            "hydra.searchpath=[x://nowhere]",
            "hydra/job_logging=nowhere",
        )
    ),
    *(
        [*SWEEP, odd]
        for odd in (
            "hydra.sweeper.max_batch_size=0",
            "hydra.sweeper=3",
            "hydra.sweeper._target_=nowhere",
            "hydra.sweep.subdir=${nowhere}",
            "hydra.launcher=null",
            "hydra.launcher.x=1",
            "hydra.launcher._target_=nowhere",
            "hydra.callbacks.sweep._target_=nowhere",
            "optimizer.lr=1,2",
            "optimizer.learning_rate=interval(0,1)",
        )
    ),
    [*JOBLIB, "hydra.launcher.pre_dispatch='x y'"],
    [*JOBLIB, "hydra.launcher.n_jobs=x"],
    [*JOBLIB, "hydra.launcher.batch_size=0"],
    [*JOBLIB, "hydra.launcher.max_nbytes=x"],
]

ODD_VALUES = [
    "null",
    "[1,2]",
    "{a: 1}",
    "{}",
    "[]",
    "x",
    "'x y'",
    "-1",
    "1e400",
    "${seed}",
    "${a.b}",
    "${x:}",
    "''",
]
ODD_KEYS = [
    *(
        "seed",
        "model",
        "model.hidden",
        "model.initialiser",
        "optimizer",
        "training.epochs",
        "dataset",
        "tracking",
    ),
    *(
        "hydra",
        "hydra.run",
        "hydra.run.dir",
        "hydra.job",
        "hydra.job.name",
        "hydra.job_logging",
        "hydra.callbacks",
    ),
    *(
        "hydra.launcher",
        "hydra.sweeper",
        "hydra.output_subdir",
        "hydra.verbose",
        "hydra.job.chdir",
        "hydra.mode",
    ),
    *(
        "hydra/launcher",
        "hydra/job_logging",
        "model/initialiser",
        "nowhere",
        "model.nowhere",
        "hydra.runtime.cwd",
    ),
]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="each would take a second without")


@needs_fork
def test_a_configuration_that_cannot_be_composed_is_told_in_one_line(tmp_path: Path) -> None:
    ended = dict(zip(map(str, ODD), run_each(tmp_path, ODD), strict=True))
    assert {odd: end for odd, end in ended.items() if not end.is_error()} == {}
    longest = max(ended.values(), key=lambda end: len(end.stderr))
    assert len(longest.stderr) < 1000
    assert not list(tmp_path.rglob("model.npz"))


@pytest.mark.stress
@needs_fork
@pytest.mark.parametrize("mode", [[], ["-m"]])
def test_no_odd_override_ends_in_a_traceback(tmp_path: Path, mode: list[str]) -> None:
    chance = random.Random(0)
    drawn = [
        [
            f"{chance.choice(['', '', '', '+', '++', '~'])}{key}={value}"
            for key, value in zip(chance.sample(ODD_KEYS, 2), chance.choices(ODD_VALUES, k=2), strict=True)
        ]
        for _ in range(300)
    ]
    commands = [[*mode, *SMALL, *odd[: chance.choice([1, 1, 2])]] for odd in drawn]
    for command, end in zip(commands, run_each(tmp_path, commands), strict=True):
        assert end.status == 0 or end.is_error(), (command, end)


BILLION = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


DAMAGED = [
    "null: 1\n",
    "seed: &a [*a]\n",
    "a: &a {b: *a}\n",
    BILLION,
    "a: " + "[" * 5000,
    f"seed: {'1' * 5000}\n",
    "defaults: 3\n",
    "defaults: [nowhere]\n",
    "3\n",
    "- 1\n",
    "a: [\n",
    "? [a, b]\n: 1\n",
    "seed: !!python/object:os.system x\n",
]


@needs_fork
def test_a_damaged_params_yaml_is_told_in_one_line_by_the_stage_that_hydra_reads_it_for(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / str(number) for number in range(len(DAMAGED))]
    for folder, content in zip(folders, DAMAGED, strict=True):
        folder.mkdir()
        (folder / "params.yaml").write_text(content, encoding="utf-8")
    ended = run_each(tmp_path, [UNDER_DVC] * len(DAMAGED), folders)
    told = {content[:12]: end for content, end in zip(DAMAGED, ended, strict=True)}
    assert {content: end for content, end in told.items() if not end.is_error()} == {}


@needs_fork
def test_a_config_of_any_name_is_refused_whose_aliases_make_much_of_little(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(BILLION, encoding="utf-8")
    chosen = [["--config-name", "own"], ["--config-name=own"], ["-cn", "own.yaml"]]
    for ended in run_each(tmp_path, [["--config-dir", ".", *options] for options in chosen]):
        assert ended.is_error(), ended
        assert "error: own.yaml: its aliases (*) stand for more than" in ended.stderr


@needs_fork
def test_an_error_without_words_is_told_by_the_line_that_raised_it_or_by_its_cause(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("null: 1\n", encoding="utf-8")
    batches, key = run_each(tmp_path, [[*SWEEP, "hydra.sweeper.max_batch_size=0"], UNDER_DVC])
    assert "AssertionError: assert " in batches.stderr
    assert "max_batch_size > 0" in batches.stderr
    assert key.stderr.endswith("error: Incompatible key type 'NoneType'\n")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("optimizer.lr", "optimizer has name, learning_rate; did you mean optimizer.learning_rate?"),
        ("optimizer.rate", "optimizer has name, learning_rate; did you mean optimizer.learning_rate?"),
        ("learning_rate", "the configuration has optimizer, training; did you mean optimizer.learning_rate?"),
        ("training.learning_rate", "training has epochs, more; did you mean optimizer.learning_rate?"),
        ("training.epoch", "training has epochs, more; did you mean training.epochs?"),
        ("training.more.x", "training.more has none"),
        ("optimiser.name", "the configuration has optimizer, training; did you mean optimizer?"),
        ("zzz", "the configuration has optimizer, training"),
        ("hydra.jobs", "hydra has job; did you mean hydra.job?"),
    ],
)
def test_of_a_key_that_there_is_not_the_keys_that_there_are_are_named_and_the_nearest(
    key: str, told: str
) -> None:
    values = {
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 2, "more": {}},
        "hydra": {"job": {"name": "train"}},
    }
    assert unknown_key(key, values) == f"there is no key {key}: {told}"


def test_what_our_own_code_raises_is_not_taken_for_the_configurations() -> None:
    with pytest.raises(AttributeError), composing("here"):
        unknown_key(None, {"a": 1})  # type: ignore[arg-type]
    fault = ZeroDivisionError()
    fault.add_note(REPORT)  # as one of a task that Hydra ran
    with pytest.raises(ZeroDivisionError), composing("here"):
        raise fault
    with pytest.raises(UserError, match=r"^here: a: Interpolation key 'b' not found$"), composing("here"):
        OmegaConf.to_container(OmegaConf.create({"a": "${b}"}), resolve=True)
