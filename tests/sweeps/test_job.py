"""Jobs of a sweep, done in this process: which are skipped, and how what happens to them is kept."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.config.schema import Config
from pipeline.data.dataset import PROCESSED, digest
from pipeline.runs.fingerprint import digest_code
from pipeline.runs.history import HISTORY, read_history, write_history
from pipeline.runs.models import MODEL
from pipeline.support.errors import UserError
from pipeline.sweeps.job import (
    FINISHED,
    Job,
    Outcome,
    digest_configs,
    do_job,
    find_finished,
    outcome_paths,
    read_outcome,
    write_json,
)
from pipeline.train import CONF, main, train_and_record
from tests.commands import SMALL

Train = Callable[[Config, Path, Job], None]
Do = Callable[..., tuple[float, Outcome]]


def begin(*options: str) -> DictConfig:
    """Return what Hydra composes of `options` for a job, which it is at from now on."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = compose("config", [*SMALL, *options], return_hydra_config=True)
    HydraConfig.instance().set_config(values)
    return values


@pytest.fixture
def do(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Do:
    """What does the next job of a sweep and returns the objective and the outcome that was kept."""
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # which puts back what is there now
    begun = {"key": "sweep", "swept": ["seed"], "data": digest(), "code": digest_code(), "jobs": []}
    write_json(Path("sweep/sweep.json"), {**begun, "configs": digest_configs(begin().hydra)})

    def do(*options: str, train: Train = train_and_record) -> tuple[float, Outcome]:
        number = len(outcome_paths(Path("sweep")))
        ours = [
            "hydra.sweep.dir=sweep",
            f"hydra.job.num={number}",
            f"hydra.runtime.output_dir=sweep/{number}",
        ]
        objective = do_job(begin(*options, *ours), train)
        return objective, read_outcome(Path(f"sweep/outcomes/{number}.json"))

    return do


def test_a_job_is_skipped_while_its_model_is_whole_and_counts_with_the_values_of_now(do: Do) -> None:
    error, first = do()
    again, second = do("seed=0")  # as it is anyway
    assert (again, second.error, second.folder) == (error, first.error, first.folder)
    assert (first.skipped, second.skipped) == (False, True)
    assert "seed" not in first.overrides
    assert second.overrides["seed"] == "0"
    model = Path(first.folder) / MODEL
    model.write_bytes(model.read_bytes()[:-1])
    assert find_finished(first.key) is None


def without_digest(content: str) -> str:
    values = json.loads(content)
    del values["sha256"]
    return json.dumps(values)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content.replace('"error": 0.', '"error": 0.0'), id="a better error"),
        pytest.param(lambda content: content.replace("sweep/0", "sweep/1"), id="another folder"),
        pytest.param(without_digest, id="no digest"),
        pytest.param(lambda content: content[:-9], id="cut"),
        pytest.param(lambda content: "[" * 100_000, id="nested"),
        pytest.param(lambda content: "[1]", id="a list"),
    ],
)
def test_an_outcome_that_is_not_what_the_job_wrote_is_told_of_and_the_job_done_again(
    do: Do, capsys: pytest.CaptureFixture, damage: Callable[[str], str]
) -> None:
    _, first = do()
    path = FINISHED / f"{first.key}.json"
    content = path.read_text(encoding="utf-8")
    assert damage(content) != content
    path.write_text(damage(content), encoding="utf-8")
    capsys.readouterr()
    _, second = do()
    assert (second.skipped, second.error, second.model) == (False, first.error, first.model)
    told = f"warning: {path} is damaged: it is not what a job wrote; the job is done again\n"
    assert capsys.readouterr().err == told
    assert do()[1].skipped


def test_a_sweep_of_a_config_that_does_not_say_how_is_refused(do: Do) -> None:
    told = (
        "a sweep needs hydra.callbacks.sweep, as in conf/config.yaml; config has none: leave out --config-dir"
    )
    with pytest.raises(UserError, match=told):
        do("~hydra.callbacks.sweep")


def perfect(config: Config, folder: Path, job: Job) -> None:
    """Train as if every test image were recognised in the end."""
    train_and_record(config, folder, job)
    *rows, last = read_history(folder / HISTORY)
    write_history([*rows, {**last, "test_accuracy": 1.0}], folder / HISTORY)


def crash(config: Config, folder: Path, job: Job) -> None:
    raise ZeroDivisionError("division by zero")


def exhaust(config: Config, folder: Path, job: Job) -> None:
    np.empty(1 << 50)  # 8 PiB


@pytest.mark.parametrize(
    ("train", "objective", "failure"),
    [
        (perfect, 0.0, None),
        (crash, math.inf, "ZeroDivisionError: division by zero"),
        (
            exhaust,
            math.inf,
            "not enough memory: Unable to allocate 8.00 PiB for an array with shape",
        ),
    ],
)
def test_to_a_sweeper_a_perfect_job_is_the_best_and_one_that_crashed_the_worst(
    do: Do, train: Train, objective: float, failure: str | None
) -> None:
    returned, outcome = do(train=train)
    assert returned == objective
    assert outcome.failure.startswith(failure) if outcome.failure and failure else outcome.failure == failure


def test_a_job_during_which_the_data_changed_is_not_finished(do: Do) -> None:
    def train(config: Config, folder: Path, job: Job) -> None:
        train_and_record(config, folder, job)
        labels = PROCESSED / "train_labels.npy"
        np.save(labels, np.load(labels)[::-1])

    with pytest.raises(UserError, match=r"data/processed on .* is not what the sweep began with"):
        do(train=train)
    assert not list(FINISHED.glob("*.json"))
    assert not outcome_paths(Path("sweep"))


def test_a_machine_that_does_not_share_the_folder_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "of another machine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # which puts back what is there now
    values = begin("hydra.mode=MULTIRUN", "hydra.sweep.dir=sweep")
    monkeypatch.chdir(tmp_path)
    folder.rmdir()
    with pytest.raises(
        SystemExit, match="is not the sweep's folder: all machines that run jobs have to share"
    ):
        main.__wrapped__(values)
