"""Configurations in YAML: written, read, or refused in one line."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from pipeline.config.reading import read_params, resolve, write_params
from pipeline.support.errors import UserError
from tests.commands import ROOT


def test_a_configuration_that_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    changes = ["optimizer.clip_norm=1.5", "optimizer.learning_rate=1e-5", "dataset.classes=['1e3','é: #',no]"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = resolve(compose("config", ["experiment=best", *changes]), "here")
    write_params(config, tmp_path / "params.yaml")
    assert read_params(tmp_path / "params.yaml") == config


def test_params_are_read_as_the_train_stage_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(
        text.replace("learning_rate: 0.1", "learning_rate: 1e-3").replace("- 100\n", "- ${split.test}\n")
    )
    config = read_params(path)
    assert config.optimizer.learning_rate == 0.001
    assert config.model.hidden == [20_000]
    path.write_text(text.replace("- 100", "- ${split.tests}"))
    with pytest.raises(UserError, match=r"^\S+params\.yaml: model\.hidden\[0\]: Interpolation key"):
        read_params(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"null: 1", "key"),
        (b"seed: &a [*a]", "its aliases"),
        (
            b"".join(
                b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) if i else b"a0: &a0 1\n" for i in range(40)
            ),
            "its aliases .* more than 100,000 values",
        ),
        (b"a: " + b"[" * 5000, "nested too deeply"),
        (b"seed: " + b"1" * 5000, "digits"),
        (b"a: [", "is not YAML"),
        (b"a: \xff", "is not YAML"),
        (b"", "holds no keys"),
        (b"- 1\n- 2\n", "holds no keys"),
        (b"3", "holds no keys"),
        (None, "is not in"),
    ],
)
def test_a_params_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        read_params(path)
    assert "\n" not in str(caught.value)
