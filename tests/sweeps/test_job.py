"""Jobs of a sweep: which are skipped or refused, in which folder they work, and how they end."""

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pipeline.config.reading import read_composed
from pipeline.config.schema import Config
from pipeline.data.dataset import PROCESSED, digest
from pipeline.runs.fingerprint import digest_code
from pipeline.runs.history import read_history, write_history
from pipeline.runs.journal import read_journal
from pipeline.runs.run import Run
from pipeline.runs.training import train_run
from pipeline.support.errors import UserError
from pipeline.support.files import sha256
from pipeline.sweeps.job import FINISHED, do_job, find_earlier
from pipeline.sweeps.outcome import Outcome, read_outcome, read_outcomes, started_jobs, write_json
from pipeline.train import CONF, main
from tests.commands import SMALL, TRACKED, copy_code
from tests.stores import client
from tests.sweeping import JOBLIB, finished, runs, sweep

Job = Mapping[str, str]
Train = Callable[[Config, Run, Job, int | None], None]
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
    plan = {"key": "sweep", "swept": ["seed"], "data": digest(), "code": digest_code(), "jobs": []}
    write_json(Path("sweep/sweep.json"), plan)

    def do(*options: str, train: Train = train_run) -> tuple[float, Outcome]:
        monkeypatch.setattr("pipeline.sweeps.job.train_run", train)
        number = len(started_jobs(Path("sweep")))
        ours = [
            "hydra.sweep.dir=sweep",
            f"hydra.job.num={number}",
            f"hydra.runtime.output_dir=sweep/{number}",
        ]
        objective = do_job(begin(*options, *ours))
        outcome = read_outcome(Path(f"sweep/jobs/{number}.json"))
        assert outcome
        return objective, outcome

    return do


def test_a_job_is_skipped_while_its_results_are_whole_and_counts_with_the_values_of_now(do: Do) -> None:
    error, first = do()
    again, second = do("seed=0")  # as it is anyway
    assert (again, second.error, second.run) == (error, first.error, first.run)
    assert (first.skipped, second.skipped) == (False, True)
    assert "seed" not in first.overrides
    assert second.overrides["seed"] == "0"
    do("augmentation=affine")
    copies = do("augmentation=affine", "evaluation.copies=4")[1]
    assert copies.skipped and copies.run.config().evaluation.copies == 4


def change(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda run: run.model.write_bytes(run.model.read_bytes()[:-1]), id="a model cut short"),
        pytest.param(lambda run: run.model.unlink(), id="no model"),
        pytest.param(lambda run: change(run.history, "0.", "1."), id="another error"),
        pytest.param(lambda run: change(run.journal, '"key": "', '"key": "0'), id="another job's journal"),
        pytest.param(lambda run: change(run.journal, '"end"', '"epoch"'), id="a journal without an end"),
        pytest.param(lambda run: shutil.rmtree(run.folder), id="no folder"),
    ],
)
def test_a_job_whose_results_are_gone_or_changed_is_told_of_and_done_again(
    do: Do, capsys: pytest.CaptureFixture, damage: Callable[[Run], object]
) -> None:
    _, first = do()
    [key] = finished(Path())
    model = sha256(first.run.model)
    damage(first.run)
    capsys.readouterr()
    _, second = do()
    assert (second.skipped, second.error, sha256(second.run.model)) == (False, first.error, model)
    told = f"warning: what the job of {FINISHED / key}.json wrote is gone or was changed: it is done again\n"
    assert capsys.readouterr().err == told
    assert do()[1].skipped


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"folder": 1}'])
def test_a_damaged_note_of_where_a_job_is_costs_only_that_job(do: Do, content: str) -> None:
    do()
    [key] = finished(Path())
    (FINISHED / f"{key}.json").write_text(content, encoding="utf-8")
    assert find_earlier(key, "sweep", True) is None
    assert not do()[1].skipped


def test_a_sweep_that_is_not_to_resume_begins_without_a_checkpoint(
    do: Do, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, resume in enumerate((False, True)):
        train_run(read_composed(begin(f"seed={seed}")), Run(Path("alone")), until=1)
        do(f"seed={seed}", f"sweep.resume={resume}")
        assert ("training goes on after epoch 1" in capsys.readouterr().err) == resume


def test_a_job_that_failed_is_tried_again_and_has_no_outcome_before_it_has_ended(do: Do) -> None:
    _, failed = do(train=crash)
    assert failed.failure and not finished(Path())
    Path("sweep/jobs/0.json").unlink()  # as the next sweep in the same folder does
    seen: list[dict[int, Outcome]] = []

    def train(config: Config, run: Run, job: Job, until: int | None) -> None:
        seen.append(read_outcomes(Path("sweep")))
        train_run(config, run, job)

    error, done = do(train=train)
    assert seen == [{}]
    assert (done.error, done.run) == (error, failed.run)


def test_a_sweep_of_a_config_that_does_not_say_how_is_refused(do: Do) -> None:
    told = (
        "a sweep needs hydra.callbacks.sweep, as in conf/config.yaml; config has none: leave out --config-dir"
    )
    with pytest.raises(UserError, match=told):
        do("~hydra.callbacks.sweep")


def perfect(config: Config, run: Run, job: Job, until: int | None) -> None:
    """Train as if every test image were recognised in the end."""
    train_run(config, run, job)
    *rows, last = read_history(run.history)
    write_history([*rows, {**last, "test_accuracy": 1.0}], run.history)


def crash(config: Config, run: Run, job: Job, until: int | None) -> None:
    raise ZeroDivisionError("division by zero")


def exhaust(config: Config, run: Run, job: Job, until: int | None) -> None:
    np.empty(1 << 50)  # 8 PiB
    raise AssertionError


def exhaust_in_training(config: Config, run: Run, job: Job, until: int | None) -> None:
    """Train, and need too much memory when the history is written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.runs.training.write_history", lambda rows, path: np.empty(1 << 50))
        train_run(config, run, job)


@pytest.mark.parametrize(
    ("train", "objective", "failure"),
    [
        (perfect, 0.0, None),
        (crash, math.inf, "ZeroDivisionError: division by zero"),
        (exhaust, math.inf, "not enough memory: Unable to allocate 8.00 PiB for an array with shape"),
        (exhaust_in_training, math.inf, "not enough memory: Unable to allocate 8.00 PiB for an array"),
    ],
)
def test_to_a_sweeper_a_perfect_job_is_the_best_and_one_that_crashed_the_worst(
    do: Do, train: Train, objective: float, failure: str | None
) -> None:
    returned, outcome = do(train=train)
    assert returned == objective
    assert outcome.failure.startswith(failure) if outcome.failure and failure else outcome.failure == failure


def test_a_job_during_which_the_data_changed_is_not_finished(do: Do) -> None:
    def train(config: Config, run: Run, job: Job, until: int | None) -> None:
        train_run(config, run, job)
        labels = PROCESSED / "train_labels.npy"
        np.save(labels, np.load(labels)[::-1])

    with pytest.raises(UserError, match=r"data/processed on .* has changed since the sweep began"):
        do(train=train)
    assert not finished(Path())


CHANGES_THE_CODE = """
import sys
from pathlib import Path

if any("loky" in argument for argument in sys.orig_argv):
    with (Path(__file__).parent / "pipeline/nn/losses.py").open("a", encoding="utf-8") as file:
        file.write("# changed")
"""


def test_a_job_whose_process_starts_after_the_code_has_changed_is_refused(workspace: Path) -> None:
    code = copy_code(workspace / "code")
    (code / "sitecustomize.py").write_text(CHANGES_THE_CODE, encoding="utf-8")
    done = sweep(workspace, JOBLIB, "hydra.launcher.n_jobs=2", "seed=0,1", PYTHONPATH=str(code))
    assert done.returncode == 1
    assert "has changed since the sweep began" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not finished(workspace)


CHANGES_A_FILE = """
import time
from pathlib import Path
from threading import Thread


def change():
    while not list(Path("multirun/finished").glob("*.json")):
        time.sleep(0.001)
    path = Path({path!r})
    content = path.read_bytes()
    path.write_bytes(content.replace({old!r}, {new!r}))
    assert path.read_bytes() != content


Thread(target=change, daemon=True).start()
"""

SEARCHES = """
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Searching(BasicSweeper):
    pass  # to the sweep it is a sweeper that chooses the jobs as it goes
"""


@pytest.mark.parametrize(
    ("path", "old", "new", "told", "searching"),
    [
        ("data/processed/dataset.json", b"Strokes", b"strokes", "data/processed", False),
        ("data/processed/dataset.json", b"Strokes", b"strokes", "data/processed", True),
        ("code/conf/optimizer/sgd.yaml", b"learning_rate: 0.1", b"learning_rate: 0.2", "conf/", False),
    ],
)
def test_jobs_are_refused_once_something_that_they_are_made_from_has_changed(
    workspace: Path, path: str, old: bytes, new: bytes, told: str, searching: bool
) -> None:
    """Or they would be ranked beside the others, or taken for ones of what the sweep began with."""
    code = copy_code(workspace / "code")
    (code / "sitecustomize.py").write_text(
        CHANGES_A_FILE.format(path=path, old=old, new=new), encoding="utf-8"
    )
    options = ["seed=0,1,2"]
    if searching:
        (code / "hydra_plugins").mkdir()
        (code / "hydra_plugins/searching.py").write_text(SEARCHES, encoding="utf-8")
        options.append("hydra.sweeper._target_=hydra_plugins.searching.Searching")
    done = sweep(workspace, *options, PYTHONPATH=str(code))
    assert done.returncode == 1
    assert f"error: {told} on " in done.stderr.splitlines()[-1]
    assert "has changed since the sweep began" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len(finished(workspace)) == 1


@pytest.mark.stress
def test_a_generated_problem_depends_on_no_prepared_data(workspace: Path) -> None:
    problem = ["dataset=xor", "training.batch_size=null", "training.epochs=2", "tracking.enabled=false"]
    assert sweep(workspace, "seed=0", base=problem).returncode == 0
    shutil.rmtree(workspace / "data/processed")
    assert "skipped" in sweep(workspace, "seed=0", base=problem).stdout


@pytest.mark.stress
def test_jobs_side_by_side_never_share_a_folder(workspace: Path) -> None:
    options = ["hydra.sweep.subdir=same", "seed=0,1,2,3", "hydra.launcher.n_jobs=4"]
    assert sweep(workspace, JOBLIB, *options).returncode == 0
    jobs = finished(workspace)
    assert len({run.folder for run in jobs.values()}) == 4
    for key, run in jobs.items():
        record = read_journal(run)
        assert record and record.header["key"] == key and record.holds_for(run)


@pytest.mark.stress
def test_a_finished_job_is_not_done_again_in_any_sweep(tracked: Path) -> None:
    assert sweep(tracked, "seed=0,1", base=TRACKED).returncode == 0
    again = sweep(tracked, JOBLIB, "seed=0,1", base=TRACKED)
    assert again.stdout.count("(finished before, skipped)") == 2
    [parent], jobs = runs(client(tracked))
    assert len(jobs) == 2
    assert len(client(tracked).get_metric_history(parent.info.run_id, "test_error")) == 1
    larger = sweep(tracked, "hydra.sweep.dir=larger", "seed=0,1,2", base=TRACKED)
    assert larger.stdout.count("(finished before, skipped)") == 2
    parents, jobs = runs(client(tracked))
    assert [len(parents), len(jobs)] == [2, 3]
    fresh = sweep(tracked, "hydra.sweep.dir=fresh", "seed=0,1", "sweep.resume=false", base=TRACKED)
    assert "skipped" not in fresh.stdout
    parents, jobs = runs(client(tracked))
    assert [len(parents), len(jobs)] == [3, 5]


@pytest.mark.stress
def test_other_jobs_in_the_same_folder_leave_what_is_there(tracked: Path) -> None:
    """Though Hydra numbers the jobs anew, and so has their folders change hands."""
    assert sweep(tracked, "optimizer.learning_rate=0.1,0.3").returncode == 0  # not yet in MLflow
    before = [sha256(tracked / f"sweep/{job}/models/model.npz") for job in (0, 1)]
    done = sweep(tracked, "optimizer.learning_rate=0.2,0.3,0.1", base=TRACKED)
    assert done.stdout.count("(finished before, skipped)") == 2
    assert before == [sha256(tracked / f"sweep/{job}/models/model.npz") for job in (0, 1)]
    jobs = {run.info.run_name: run for run in runs(client(tracked))[1]}
    for rate, model in {"0.1": before[0], "0.3": before[1]}.items():
        run = jobs[f"learning_rate {rate}"]
        assert (run.data.params["optimizer.learning_rate"], run.data.tags["model_sha256"]) == (rate, model)
    assert jobs["learning_rate 0.2"].data.params["optimizer.learning_rate"] == "0.2"


@pytest.mark.stress
def test_a_job_whose_results_are_lost_is_done_again(workspace: Path) -> None:
    assert sweep(workspace, "seed=0,1,2").returncode == 0
    ranking = (workspace / "sweep/sweep.csv").read_bytes()
    for lost in ("1/reports/history.csv", "2/models/model.npz"):
        shutil.copy(workspace / "sweep/0/models/model.npz", workspace / "sweep" / lost)
    again = sweep(workspace, "seed=0,1,2")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(finished before, skipped)") == 1
    assert (workspace / "sweep/sweep.csv").read_bytes() == ranking


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
