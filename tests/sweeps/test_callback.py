"""Sweeps as users start them: in order and in parallel, killed and resumed, into stores of all kinds."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import pipeline.sweeps.callback
from pipeline.config.reading import read_params
from pipeline.runs.history import read_history
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, sha256
from pipeline.sweeps.callback import Story, check_threads, make_plan
from pipeline.sweeps.job import FINISHED, Outcome, write_json
from pipeline.sweeps.workers import POLL_S
from pipeline.train import CONF
from tests.commands import (
    PATIENCE,
    ROOT,
    SMALL,
    TRACKED,
    copy_code,
    freezing,
    kill,
    start_module,
    wait_for,
    wait_until_frozen,
)
from tests.stores import client, failing_server, free_port
from tests.sweeping import (
    EXPLODING,
    JOBLIB,
    KILLED,
    LONGER,
    command_line,
    descendants,
    needs_proc,
    runs,
    start,
    sweep,
    table,
    thawed,
)


def test_one_parent_run_with_table_figure_and_the_best_jobs_metrics(tracked: Path) -> None:
    done = sweep(tracked, "optimizer.learning_rate=0.03,0.3", "seed=0,1", base=TRACKED)
    assert done.returncode == 0, done.stderr
    store = client(tracked)
    [parent], jobs = runs(store)
    assert parent.info.run_name == "sweep of learning_rate × seed, 4 jobs"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["optimizer.learning_rate"] == "0.03,0.3"
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    assert all("train_seconds" in run.data.metrics for run in jobs)  # recorded while each was trained
    assert [run.info.run_name for run in jobs] == [
        f"learning_rate {rate}, seed {seed}" for rate in (0.03, 0.3) for seed in (0, 1)
    ]
    assert {path.path for path in store.list_artifacts(parent.info.run_id)} == {"sweep.csv", "sweep.png"}
    best = max(run.data.metrics["test_accuracy"] for run in jobs)
    assert parent.data.metrics["test_accuracy"] == best
    assert parent.data.metrics["test_error"] == pytest.approx(1 - best, abs=1e-6)

    first, second = table(tracked)
    errors = [1 - run.data.metrics["test_accuracy"] for run in jobs]
    assert (first["rank"], first["optimizer.learning_rate"], first["jobs"]) == ("1", "0.3", "2")
    assert float(first["test_error"]) == pytest.approx((errors[2] + errors[3]) / 2, abs=1e-5)
    assert float(second["spread"]) == pytest.approx(abs(errors[0] - errors[1]) / 2**0.5, abs=1e-5)
    assert f"test error {errors[0]:.2%}" in done.stdout
    assert f"{float(first['test_error']):.2%}" in done.stdout

    port = free_port()
    server = start_module(tracked, "pipeline.tracking.page", MLFLOW_PORT=str(port))
    try:
        assert server.stdout
        page = server.stdout.readline().strip()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()
    address = f"Strokes: http://127.0.0.1:{port}/#/experiments/{parent.info.experiment_id}/runs?workflowType="
    assert page.startswith(address)
    view = page.rpartition("=")[2]
    assert f"mlflow.sharedViewState.{view}" in store.get_experiment(parent.info.experiment_id).tags
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:4]] == [f"job {i}" for i in range(4)]


@pytest.mark.stress
def test_a_sweep_of_nothing_is_one_job(tracked: Path) -> None:
    assert sweep(tracked, base=TRACKED).returncode == 0
    [parent], _ = runs(client(tracked))
    assert parent.info.run_name == "sweep of one job"


@pytest.mark.parametrize(
    ("swept", "combinations", "status"),
    [
        (["optimizer.learning_rate=0.1,0.3", "model.hidden=[5],[9]"], 4, 0),
        pytest.param(
            ["optimizer.learning_rate=0.1,0.3", "model.hidden=[5],[9]", "optimizer=sgd,adam"],
            *(8, 0),
            marks=pytest.mark.stress,
        ),
        pytest.param(["seed=0", "optimizer.learning_rate=0.1"], 1, 0, marks=pytest.mark.stress),
        ([], 1, 0),
        ([*EXPLODING, "optimizer.learning_rate=5,9"], 2, 1),
    ],
)
def test_every_sweep_gets_a_table_and_a_figure(
    workspace: Path, swept: list[str], combinations: int, status: int
) -> None:
    done = sweep(workspace, *swept, "training.epochs=1")
    assert done.returncode == status, done.stderr
    assert len(table(workspace)) == combinations
    assert (workspace / "sweep/sweep.png").read_bytes().startswith(b"\x89PNG")


def test_the_objective_is_the_error_on_the_validation_part_where_there_is_one(workspace: Path) -> None:
    assert sweep(workspace, "seed=3", "split.validation=50").returncode == 0
    last = read_history(workspace / "sweep/0/reports/history.csv")[-1]
    error = float(table(workspace)[0]["validation_error"])
    assert error == pytest.approx(1 - last["validation_accuracy"], abs=1e-6)
    assert last["validation_accuracy"] != last["test_accuracy"]


class Returned(Callback):
    """Notes what each job returned, which is what a sweeper minimises."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        with (Path(config.hydra.sweep.dir) / "returned").open("a", encoding="utf-8") as file:
            print(job_return.return_value, file=file)


def test_to_a_sweeper_a_failed_job_is_infinitely_bad(workspace: Path) -> None:
    note = "+hydra.callbacks.returned._target_=tests.sweeps.test_callback.Returned"
    assert sweep(workspace, *EXPLODING, "optimizer.learning_rate=9,0.01", note).returncode == 1
    failed, good = (workspace / "sweep/returned").read_text().split()
    assert failed == "inf"
    assert float(good) == pytest.approx(float(table(workspace)[0]["test_error"]), abs=1e-6)


class Lost(Callback):
    """Takes all that the second job left, as if its process had been killed and the launcher kept silent."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        outcome = Path(config.hydra.sweep.dir) / "outcomes/1.json"
        time.sleep(5 * POLL_S)  # until the progress has told of it, and reads the file no more
        key = json.loads(outcome.read_text(encoding="utf-8"))["key"]
        outcome.unlink()
        (FINISHED / f"{key}.json").unlink()
        pipeline.sweeps.callback.LATE = 0.0  # no shared folder here that could show it late


@pytest.mark.stress
def test_a_sweep_whose_job_left_no_outcome_is_not_complete(tracked: Path) -> None:
    lose = "+hydra.callbacks.lost._target_=tests.sweeps.test_callback.Lost"
    done = sweep(tracked, "seed=0,1,2", lose, base=TRACKED)
    assert done.returncode == 1
    told = "1 of 3 jobs left no outcome: the same command again finishes them"
    assert done.stderr.endswith(f"error: {told}\n")
    assert [row["seed"] for row in sorted(table(tracked), key=itemgetter("seed"))] == ["0", "2"]
    [parent], _ = runs(client(tracked))
    assert (parent.info.status, parent.data.tags["failure"]) == ("FAILED", told)

    again = sweep(tracked, "seed=0,1,2", base=TRACKED)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(finished before, skipped)") == 2
    [parent], jobs = runs(client(tracked))
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 4
    assert "failure" not in parent.data.tags


@pytest.mark.stress
def test_one_bad_job_spoils_nothing(tracked: Path) -> None:
    options = [*EXPLODING, "optimizer.learning_rate=0.01,9,0.02"]
    done = sweep(tracked, JOBLIB, *options, base=TRACKED)
    assert done.returncode == 1
    assert done.stderr.endswith("error: 1 of 3 jobs failed: the table says why\n")
    *good, bad = table(tracked)
    assert sorted(row["optimizer.learning_rate"] for row in good) == ["0.01", "0.02"]
    assert (bad["optimizer.learning_rate"], bad["status"]) == ("9", "FAILED")
    assert "in epoch 1, step" in bad["reason"]
    [parent], jobs = runs(client(tracked))
    assert parent.info.status == "FAILED"
    ended = {run.info.run_name: run for run in jobs}
    assert ended["learning_rate 9"].info.status == "FAILED"
    assert ended["learning_rate 9"].data.tags["failure"] == bad["reason"]
    assert ended["learning_rate 0.01"].info.status == ended["learning_rate 0.02"].info.status == "FINISHED"


@pytest.mark.stress
def test_jobs_side_by_side_never_share_a_folder(workspace: Path) -> None:
    options = ["hydra.sweep.subdir=same", "seed=0,1,2,3", "hydra.launcher.n_jobs=4"]
    assert sweep(workspace, JOBLIB, *options).returncode == 0
    for path in (workspace / "sweep/outcomes").glob("*.json"):
        outcome = json.loads(path.read_text(encoding="utf-8"))
        assert sha256(workspace / outcome["folder"] / "models/model.npz") == outcome["model"]


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


def test_a_sweep_that_cannot_be_summed_up_after_its_last_job_has_failed(workspace: Path) -> None:
    """Hydra makes a warning of what goes wrong in a callback, and exit status 0."""
    (workspace / "broken").mkdir()
    (workspace / "broken/matplotlib.py").write_text("raise RuntimeError('broken')", encoding="utf-8")
    search_path = os.pathsep.join([str(workspace / "broken"), str(ROOT)])
    done = sweep(workspace, "seed=0", PYTHONPATH=search_path)
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert [path.name for path in (workspace / "sweep/outcomes").iterdir()] == ["0.json"]


def test_a_second_sweep_in_the_folder_of_one_that_is_running_is_refused(workspace: Path) -> None:
    options = [
        *SMALL,
        "hydra.sweep.dir=sweep",
        "training.epochs=100000",
        "training.snapshots=null",
        "seed=0,1",
    ]
    first = start_module(workspace, "pipeline.train", "-m", *options)
    wait_for(lambda: (workspace / "sweep/0").exists() or first.poll() is not None)
    second = sweep(workspace, "seed=2,3")
    kill(first.pid)
    first.wait(PATIENCE)
    assert second.returncode == 1
    assert second.stderr.startswith("error: another sweep is at work in sweep: wait for its end, or set")
    assert second.stderr.count("\n") == 1


@contextmanager
def composed(*options: str) -> Iterator[DictConfig]:
    """Yield the configuration of the sweep that `options` start, while there is a Hydra to sweep with."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        overrides = [*SMALL, "hydra.sweep.dir=sweep", *options]
        yield loader.load_configuration("config", overrides, RunMode.MULTIRUN)


def test_what_an_earlier_sweep_left_in_the_folder_is_none_of_this_one(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr("pipeline.sweeps.callback.LATE", 0.0)
    (workspace / "sweep/outcomes").mkdir(parents=True)
    left = Outcome("key", "token", {"seed": "7"}, "folder", failure="so")
    write_json(workspace / "sweep/outcomes/7.json", asdict(left))
    story = Story()
    with composed("seed=0") as config:
        story.on_multirun_start(config)
    with pytest.raises(SystemExit):
        story.on_multirun_end(config)
    assert table(workspace) == []
    told = "error: 1 of 1 jobs left no outcome: the same command again finishes them\n"
    assert capsys.readouterr().err == told


def test_two_options_that_make_the_same_job_are_told_before_any_job(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    told = "training.checkpoint=2.0 is the same job as .* training.checkpoint=1.0: leave one of them out"
    with composed("training.checkpoint=1.0,2.0") as config, pytest.raises(UserError, match=told):
        make_plan(config)


@pytest.mark.parametrize(
    ("threads", "n_jobs", "jobs", "fits"),
    [
        (2, 2, 9, True),
        (2, 3, 9, False),
        (2, 3, 2, True),
        (2, -1, 9, False),
        (4, -1, 1, True),
        (1, 9, 9, True),
    ],
)
def test_as_many_threads_as_there_are_cores_are_allowed(
    monkeypatch: pytest.MonkeyPatch, threads: int, n_jobs: int, jobs: int, fits: bool
) -> None:
    monkeypatch.setattr("pipeline.sweeps.callback.usable_cores", lambda: 4)
    config = OmegaConf.create({"hydra": {"launcher": {"n_jobs": n_jobs}}})
    params = read_params(ROOT / PARAMS)
    job = replace(params, training=replace(params.training, threads=threads))
    with nullcontext() if fits else pytest.raises(UserError, match="is more than the 4 cores there are"):
        check_threads(config, job, jobs)


@pytest.mark.stress
def test_what_is_given_takes_the_place_of_what_a_recipe_sweeps(workspace: Path) -> None:
    options = ["experiment=dying_relu", "model.activation=relu", "optimizer.learning_rate=0.1,0.2"]
    done = sweep(workspace, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(row["optimizer.learning_rate"] for row in table(workspace)) == ["0.1", "0.2"]
    assert done.stdout.startswith("job 0: learning_rate 0.1: test error")


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
    done = sweep(workspace, JOBLIB, "seed=0,1", PYTHONPATH=str(code))
    assert done.returncode == 1
    assert "is not what the sweep began with" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((workspace / "multirun/finished").glob("*.json"))


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
    ("path", "old", "new", "told"),
    [
        ("data/processed/dataset.json", b"Strokes", b"strokes", "data/processed"),
        ("code/conf/optimizer/sgd.yaml", b"learning_rate: 0.1", b"learning_rate: 0.2", "conf/"),
    ],
)
@pytest.mark.parametrize("searching", [False, True], ids=["planned", "searching"])
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
    assert "is not what the sweep began with" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len(list((workspace / "multirun/finished").glob("*.json"))) == 1


@pytest.mark.stress
def test_a_generated_problem_depends_on_no_prepared_data(workspace: Path) -> None:
    problem = ["dataset=xor", "training.batch_size=null", "training.epochs=2", "tracking.enabled=false"]
    assert sweep(workspace, "seed=0", base=problem).returncode == 0
    shutil.rmtree(workspace / "data/processed")
    assert "skipped" in sweep(workspace, "seed=0", base=problem).stdout


def test_parallel_jobs_give_the_same_bits(workspace: Path) -> None:
    assert sweep(workspace, "seed=0,1", "model.hidden=[8]").returncode == 0
    models = [sha256(workspace / f"sweep/{job}/models/model.npz") for job in (0, 1)]
    options = ["sweep.resume=false", "hydra.sweep.dir=parallel", "seed=0,1", "model.hidden=[8]"]
    assert sweep(workspace, JOBLIB, *options).returncode == 0
    assert models == [sha256(workspace / f"parallel/{job}/models/model.npz") for job in (0, 1)]
    assert (workspace / "sweep/sweep.csv").read_bytes() == (workspace / "parallel/sweep.csv").read_bytes()


def disturb(folder: Path, victim: str) -> None:
    """Start the sweep of `LONGER` and do away with `victim` in the middle of a job."""
    with freezing(checkpoint=18) as (frozen, environment):  # of 180: however often, one gets there
        started = start(folder, JOBLIB, "hydra.launcher.n_jobs=2", **environment)
        job = wait_until_frozen(started, frozen)
        children = descendants(started.pid)
        match victim:
            case "everything":
                kill(started.pid, *children)
            case "parent":
                kill(started.pid)
            case "job":
                kill(job)
            case "interrupted":
                os.killpg(started.pid, signal.SIGINT)
        wait_for(lambda: thawed(frozen) and started.poll() is not None)
        wait_for(lambda: thawed(frozen) and not any("loky" in command_line(pid) for pid in children))
    assert started.returncode != 0


@needs_proc
@pytest.mark.stress
def test_a_sweep_killed_again_and_again_ends_as_if_undisturbed(tracked: Path, tmp_path: Path) -> None:
    undisturbed = shutil.copytree(tracked, tmp_path / "undisturbed")
    assert sweep(undisturbed, JOBLIB, *LONGER, "tracking.enabled=false").returncode == 0

    for victim in ("everything", "parent", "job", "interrupted"):
        disturb(tracked, victim)
    final = sweep(tracked, JOBLIB, *LONGER, base=TRACKED)
    assert final.returncode == 0, final.stderr
    assert "finished before, skipped" in final.stdout
    assert (tracked / "sweep/sweep.csv").read_bytes() == (undisturbed / "sweep/sweep.csv").read_bytes()
    assert models(tracked) == models(undisturbed)
    assert not (tracked / "models/checkpoints").exists()
    [parent], jobs = runs(client(tracked))
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in jobs] == ["FINISHED"] * 6
    assert len({run.info.run_name for run in jobs}) == 6


@pytest.mark.stress
@needs_proc
def test_the_same_command_finishes_a_sweep_of_which_a_process_was_killed(workspace: Path) -> None:
    with freezing(checkpoint=45) as (frozen, environment):  # in its second job at least, of 30 each
        options = [JOBLIB, "hydra.launcher.n_jobs=2", "tracking.enabled=false"]
        started = start(workspace, *options, **environment)
        kill(wait_until_frozen(started, frozen))
        errors = started.communicate(timeout=PATIENCE)[1]
    assert started.returncode == 1
    assert errors.endswith(f"{KILLED}\n")
    assert "resource_tracker" not in errors
    assert "Traceback" not in errors

    finished = workspace / "multirun/finished"
    before = {path.name: path.read_text() for path in finished.glob("*.json")}
    assert before
    again = sweep(workspace, JOBLIB, *LONGER)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(finished before, skipped)") == len(before)
    after = {path.name: path.read_text() for path in finished.glob("*.json")}
    assert after.items() >= before.items()  # each by the same attempt
    assert [row["jobs"] for row in table(workspace)] == ["2"] * 3


@pytest.mark.stress
def test_what_the_server_did_not_take_is_recorded_by_the_same_command_again(tracked: Path) -> None:
    with failing_server(stalls=False) as (broken, _):
        options = ["seed=0,1", "tracking.patience=1"]
        done = sweep(tracked, *options, base=TRACKED, MLFLOW_TRACKING_URI=broken)
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if "warning: not recorded in MLflow" in line]
    assert warning.endswith("The results are safe; the same command again records what was missed.")
    again = sweep(tracked, "seed=0,1", base=TRACKED)
    assert again.stdout.count("(finished before, skipped)") == 2
    [parent], jobs = runs(client(tracked))
    assert [run.info.status for run in (parent, *jobs)] == ["FINISHED"] * 3
    for job in jobs:
        assert job.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert len(client(tracked).get_metric_history(job.info.run_id, "train_loss")) == 2


def models(folder: Path) -> set[str]:
    """Return the hashes of the models of the finished jobs."""
    return {
        json.loads(path.read_text(encoding="utf-8"))["model"]
        for path in (folder / "multirun/finished").glob("*.json")
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["seed="], "configuration: seed = '': should be a valid integer"),
        (["seed=range(0,0)"], "seed=range(0,0): nothing to sweep, the list is empty"),
        (["model.initialiser.scale=0.1,0.10"], "model.initialiser.scale=0.1,0.10: the value 0.1 is there 2"),
        (
            ["optimizer.learning_rate=0.1,-1"],
            "configuration: optimizer.learning_rate = -1: should be greater",
        ),
        (["model.hidden=[5],[2000000000]"], "model.hidden = [2000000000]: training would take at least"),
        (["training.threads=999", JOBLIB, "seed=0,1"], "training.threads = 999 in each of"),
        (["seed=range(1,10000000)"], "seed=range(1,10000000): a sweep may have 10,000 jobs at most"),
        (
            ["seed=shuffle(range(1,1e30))"],
            "seed=shuffle(range(1,1e30)): a sweep may have 10,000 jobs at most",
        ),
        (
            ["seed=range(0,101)", "training.epochs=range(1,101)"],
            "training.epochs=range(1,101) seed=range(0,101): a sweep may have 10,000",
        ),
        (["seed=range(0,5,0)"], "seed=range(0,5,0): range() arg 3 must not be zero"),
        (["seed=choice(1,2),choice(3,4)"], "seed=choice(1,2),choice(3,4): Unexpected type annotation"),
        (["experiment=xor,depth_width"], "experiment=depth_width sets hydra.sweeper, which all jobs"),
        (["experiment=depth_width,dying_relu"], "experiment=depth_width sets hydra.sweeper, which all jobs"),
        (
            ["training.batch_size=20,999"],
            "training.batch_size = 999: should be at most the number of training",
        ),
        (
            ["seed=0,1", "model.activation=${nowhere}"],
            "configuration: model.activation: Interpolation key 'nowhere'",
        ),
    ],
)
def test_jobs_that_cannot_work_are_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(workspace)
    with composed(*options) as config, pytest.raises(UserError) as caught:
        make_plan(config)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["seed=0,1,0"], "seed=0,1,0: the value 0 is there 2 times"),
        (["optimizer.rate=1,2"], "there is no key optimizer.rate"),
        (["hydra/launcher=slurmy"], "In 'hydra/config': Could not find 'hydra/launcher/slurmy'"),
        (["seed=0,1", "hydra.sweep.dir=params.yaml"], "params.yaml: a file is where a folder is needed"),
        (["tracking.enabled=true", "seed=0,1"], "MLFLOW_TRACKING_URI: nothing answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_told_in_one_line_before_any_job(
    workspace: Path, options: list[str], told: str
) -> None:
    done = sweep(workspace, *options, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1
    assert not list(workspace.glob("sweep/[0-9]*"))
