"""The train stage as users start it: from the command line, in sweeps, and as DVC does."""

import json
import os
import re
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.reading import read_params
from pipeline.data.dataset import load_dataset
from pipeline.data.splitting import Split
from pipeline.runs.build import check_memory
from pipeline.runs.history import read_history
from pipeline.runs.models import load_model, read_made_from
from pipeline.runs.snapshots import load_snapshots
from pipeline.runs.training_data import check_fit
from pipeline.support.errors import UserError
from tests.commands import (
    CHECKPOINTS,
    PATIENCE,
    SMALL,
    UNDER_DVC,
    checkpoint,
    files,
    run_module,
    start_module,
    wait_for,
)
from tests.forked import Ended, run_each

WARMUP = ["schedule=cosine", "schedule.warmup=2.0"]
EXPLODING = ["model.activation=identity", "model.output=identity", "optimizer.learning_rate=9"]


def train_each(workspace: Path, trainings: dict[str, list[str]]) -> list[Ended]:
    """Do each of the trainings, by the names of their folders, with its options; return how they ended."""
    commands = [[*SMALL, f"hydra.run.dir='{name}'", *options] for name, options in trainings.items()]
    ended = run_each(workspace, commands)
    assert [end.stderr for end in ended if end.status] == []
    return ended


def test_under_dvc_it_writes_the_model_and_a_row_an_epoch_and_nothing_else(workspace: Path) -> None:
    before = files(workspace)
    done = run_module(workspace, "pipeline.train", *UNDER_DVC)
    assert done.returncode == 0, done.stderr
    after = files(workspace)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {
        "models/journal.jsonl",
        "models/model.npz",
        "models/snapshots.npz",
        "reports/history.csv",
    }
    rows = read_history(workspace / "reports/history.csv")
    assert list(rows[0]) == ["epoch", "loss", "train_accuracy", "test_accuracy", "dead_1"]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["loss"] < rows[0]["loss"]
    with np.load(workspace / "models/model.npz", allow_pickle=False) as file:
        architecture = json.loads(str(file["architecture"]))
        assert architecture == {
            "widths": [784, 100, 10],
            "activation": "relu",
            "output": "relu",
            "bias": False,
            "arithmetic": "exact",
        }
        assert file["parameters"].dtype == np.float64
        assert file["parameters"].shape == (784 * 100 + 100 * 10,)


def test_the_model_holds_what_it_was_trained_by_and_nothing_that_did_not_matter(workspace: Path) -> None:
    options = ["seed=0", "training.checkpoint=7", "dataset.title=Drawn", "tracking.patience=3", "seed=1"]
    train_each(workspace, {option: [option] for option in options})
    made = {option: (workspace / option / "models/model.npz").read_bytes() for option in options}
    other = made.pop("seed=1")
    assert set(made.values()) == {made["seed=0"]} != {other}
    made_from = read_made_from(workspace / "seed=1/models/model.npz")
    assert made_from
    assert (made_from["seed"], made_from["optimizer"]["learning_rate"]) == (1, 0.1)


def test_a_training_that_came_to_nothing_is_warned_of(workspace: Path) -> None:
    dead, learning = train_each(workspace, {"dead": ["optimizer.learning_rate=10"], "learning": []})
    told = [line for line in dead.lines() if line.startswith("warning")]
    assert len(told) == 2, dead.stderr
    assert "every unit of hidden layer 1 is dead" in told[0] and "no more than the" in told[1]
    assert "warning" not in learning.stderr


@pytest.mark.parametrize(
    ("options", "cores"),
    [([], "Prescott"), (["model.output=softmax", "model.activation=gelu"], "Sandybridge")],
    ids=["products", "exponentials"],
)
def test_the_surroundings_change_no_bit(workspace: Path, options: list[str], cores: str) -> None:
    everything_else = {
        "OPENBLAS_CORETYPE": cores,
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
        "USER": "somebody",
        "PYTHONHASHSEED": "7",
    }
    made = []
    for environment in ({}, everything_else):
        done = run_module(workspace, "pipeline.train", *UNDER_DVC, *options, **environment)
        assert done.returncode == 0, done.stderr
        made.append({name: files(workspace)[name] for name in ("models/model.npz", "reports/history.csv")})
    assert made[0] == made[1]


@pytest.mark.parametrize("chdir", ["false", "true"])
def test_on_the_command_line_it_touches_only_its_own_folder(workspace: Path, chdir: str) -> None:
    before = files(workspace)
    own = ["hydra.run.dir=out", f"hydra.job.chdir={chdir}"]
    options = [*SMALL, *own, "optimizer.learning_rate=0.05", "model.hidden=[20,10]"]
    done = run_module(workspace, "pipeline.train", *options)
    assert done.returncode == 0, done.stderr
    after = files(workspace)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"out"}
    told = [Path("out/models/model.npz"), Path("out/reports/history.csv")]
    assert done.stdout == f"model and history: {told[0]}, {told[1]}\n"
    assert load_model(workspace / "out/models/model.npz").widths == (784, 20, 10, 10)


@pytest.mark.stress
def test_a_sweep_trains_each_combination_in_a_folder_of_its_own(workspace: Path) -> None:
    sweep = ["-m", *SMALL, "hydra.sweep.dir=sweep", "seed=0,1", "optimizer=sgd,adam"]
    done = run_module(workspace, "pipeline.train", *sweep)
    assert done.returncode == 0, done.stderr
    models = [(workspace / f"sweep/{job}/models/model.npz").read_bytes() for job in range(4)]
    assert len(set(models)) == 4
    assert not (workspace / "models").exists()


def test_two_that_start_at_once_have_a_folder_each(workspace: Path) -> None:
    for started in [start_module(workspace, "pipeline.train", *SMALL, f"seed={seed}") for seed in (1, 2)]:
        assert started.wait(PATIENCE) == 0
    folders = list((workspace / "outputs").glob("*/*"))
    assert len({(folder / "models/model.npz").read_bytes() for folder in folders}) == 2
    assert {read_params(folder / "params.yaml").seed for folder in folders} == {1, 2}


REFUSED = [
    (["optimizer.rate=1"], "error: there is no key optimizer.rate: optimizer has name, learning_rate, "),
    (["seed=["], "error: seed=[: "),
    (["optimizer=newton"], "error: In 'config': Could not find 'optimizer/newton'"),
    (["training.epochs=ten"], "error: configuration: training.epochs = 'ten': should be a valid integer"),
    (["seed=${nowhere}"], "error: configuration: seed: Interpolation key 'nowhere' not found"),
    (["training.batch_size=206"], "error: training.batch_size = 206: should be at most"),
    (["dataset=mnist", "dataset.fallback=null"], "error: dataset = mnist, but data/processed holds str"),
    (["model.hidden=[2000000000]"], "error: model.hidden = [2000000000]: training would take at least "),
    (["training=null"], "error: "),
    (['dataset.classes=["a","b","c","d","e","f","g","h","i","j"]'], "error: dataset.classes = ['a', "),
    (["hydra.run.dir=/proc/none"], "error: /proc/none: No such file or directory"),
    (["hydra.run.dir=params.yaml"], "error: params.yaml: a file is where a folder is needed"),
    (
        WARMUP,
        "error: configuration: schedule.warmup = 2: should be less than training.epochs = 2, or the schedule"
        " never begins\n",
    ),
]
REFUSED_OF_POINTS = [
    (["dataset.n=0"], "error: configuration: dataset.n = 0: should be greater than or equal to 1"),
    (["dataset.n=30"], "error: configuration: dataset.n = 30: should be less than or equal to 20"),
    (["training.batch_size=9"], "error: training.batch_size = 9: should be at most the number of"),
    (["model.output=softmax"], "error: model.output = softmax: of a single output"),
    (["model.activation=softmax"], "error: configuration: model.activation = 'softmax': should be"),
    (["dataset=mnist"], "error: data/processed/dataset.json is not there: `dvc repro preprocess`"),
]


def test_what_cannot_work_ends_in_one_line_and_leaves_nothing(workspace: Path) -> None:
    commands = []
    for number, (options, _) in enumerate(REFUSED):
        base = [option for option in SMALL if not (options[0] == "dataset=mnist" and "dataset" in option)]
        commands.append([*base, f"hydra.run.dir=out{number}", *options])
    ended = zip(REFUSED, run_each(workspace, commands), strict=True)
    assert {str(options): end for (options, told), end in ended if not end.is_error(told)} == {}
    left = {path.parent.name for path in workspace.glob("out*/**/*") if path.is_file()}
    assert not {"models", "reports", "checkpoints"} & left


def test_what_cannot_work_without_data_of_ones_own_ends_in_one_line(tmp_path: Path) -> None:
    base = ["dataset=alternating", "tracking.enabled=false", "hydra.run.dir=out"]
    commands = [[*base, *options] for options, _ in REFUSED_OF_POINTS]
    ended = zip(REFUSED_OF_POINTS, run_each(tmp_path, commands), strict=True)
    assert {str(options): end for (options, told), end in ended if not end.is_error(told)} == {}


def test_what_diverges_ends_in_one_line_and_leaves_the_journal_that_says_why(workspace: Path) -> None:
    done = run_module(workspace, "pipeline.train", *SMALL, "hydra.run.dir=out", *EXPLODING)
    assert Ended(done.returncode, done.stderr).is_error("error: the loss became "), done.stderr
    left = {path.name: path.parent.name for path in (workspace / "out").rglob("*") if path.is_file()}
    assert left["journal.jsonl"] == "models" and "model.npz" not in left
    assert not {"reports", "checkpoints"} & {*left.values()}


def test_divergence_names_epoch_step_and_what_to_do(workspace: Path) -> None:
    """And keeps no checkpoint, from which the same training would only diverge again."""
    slowly = ["training.batch_size=null", "training.epochs=9", "training.checkpoint=0.0"]
    done = run_module(workspace, "pipeline.train", *SMALL, "hydra.run.dir=out", *EXPLODING, *slowly)
    message = done.stderr.splitlines()[-1]
    assert re.search(r"in epoch [2-9], step 1\b", message)
    assert "smaller optimizer.learning_rate (it is 9)" in message
    assert not (workspace / CHECKPOINTS).exists()


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (0, "the same command again goes on from the last checkpoint"),
        (
            60,
            "the same command again begins anew, since there is no checkpoint yet (training.checkpoint = 60",
        ),
    ],
)
def test_ctrl_c_says_how_a_training_goes_on(workspace: Path, minutes: int, told: str) -> None:
    options = [*SMALL, "training.epochs=1000000", "training.snapshots=null", f"training.checkpoint={minutes}"]
    started = start_module(workspace, "pipeline.train", *options, "hydra.run.dir=out")
    assert started.stderr
    next(line for line in started.stderr if "train on" in line)  # the progress bar
    wait_for(lambda: minutes or checkpoint(workspace))
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=PATIENCE)
    assert started.returncode == 130
    assert errors.splitlines()[-1].startswith(f"interrupted: {told}")


@pytest.mark.parametrize(("threads", "cores"), [(1, 1), (2, 1)])
def test_more_threads_than_usable_cores_are_warned_of(workspace: Path, threads: int, cores: int) -> None:
    """Of a problem whose products are too small for more than one thread."""
    options = ["experiment=xor", f"training.threads={threads}", "tracking.enabled=false"]
    done = run_module(workspace, "pipeline.train", *options, LOKY_MAX_CPU_COUNT=str(cores))
    assert done.returncode == 0, done.stderr
    told = f"training.threads = {threads}: {cores} core may be used here, so expect training to crawl"
    assert (told in done.stderr) == (threads > cores)


def test_generated_problems_need_no_files_also_in_sweeps(tmp_path: Path) -> None:
    options = ["hydra.run.dir=out", "training.epochs=60", "training.measure_every=25"]
    sweep = ["-m", "dataset=alternating,xor", "hydra.sweep.dir=sweep", "training.epochs=2"]
    commands = [["dataset=alternating", *options], ["dataset=xor", *options], sweep]
    folders = [tmp_path / name for name in ("alternating", "xor", "both")]
    for folder in folders:
        folder.mkdir()
    ended = run_each(tmp_path, [[*command, "tracking.enabled=false"] for command in commands], folders)
    assert [end.stderr for end in ended if end.status] == []
    for folder in folders[:2]:
        assert [row["epoch"] for row in read_history(folder / "out/reports/history.csv")] == [25, 50, 60]
        assert {path.name for path in folder.iterdir()} == {"out"}
    jobs = [folders[2] / f"sweep/{number}/models/model.npz" for number in (0, 1)]
    assert [load_model(job).widths[0] for job in jobs] == [1, 2]


def test_snapshots_show_the_training_and_are_switched_off_with_one_value(workspace: Path) -> None:
    train_each(workspace, {"on": ["training.epochs=3"], "off": ["training.snapshots=null"]})
    snapshots = load_snapshots(workspace / "on/models/snapshots.npz")
    assert [epoch for epoch, _ in snapshots] == [0, 1, 2, 3]
    final = load_model(workspace / "on/models/model.npz").parameters.vector
    np.testing.assert_array_equal(snapshots[-1][1], final.astype(np.float32))
    assert load_snapshots(workspace / "off/models/snapshots.npz") == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": {"hidden": [3000]}}, "model.hidden = [3000]: training would take at least "),
        ({"training": {"batch_size": 205}, "model": {"hidden": [9, 9000, 9]}}, "training.batch_size = 205: "),
        ({"training": {"snapshots": 5, "epochs": 200}}, "training.snapshots = 5: "),
        ({"training": {"snapshots": None, "epochs": 9_000_000}}, "training.measure_every = 1: "),
        ({"training": {"snapshots": None, "epochs": 9_000_000, "measure_every": 10_000}}, None),
    ],
)
def test_training_that_cannot_fit_into_memory_is_refused_at_once(
    prepared: Path, options: dict[str, dict[str, Any]], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_params(prepared / "params.yaml")
    for group, changes in options.items():
        config = replace(config, **{group: replace(getattr(config, group), **changes)})
    dataset = load_dataset(prepared / "data/processed")
    monkeypatch.setattr("pipeline.runs.build.memory", lambda: 8e6)
    with pytest.raises(UserError) if told else nullcontext() as caught:
        check_memory(config, dataset)
    if told:
        assert caught
        assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (Split(train=90, test=95), "split.train = 90, but data/processed holds 205 images in that part"),
        (Split(train=205, test=90), "split.test = 90, but data/processed holds 95 images in that part"),
        (Split(train=0.7, test=0.3), "split.train = 0.7, but data/processed was prepared with 205"),
        (
            Split(train=205, test=95, order="shuffled"),
            "split.order = shuffled, but data/processed was prepared with file",
        ),
    ],
)
def test_data_that_were_split_otherwise(prepared: Path, split: Split, told: str) -> None:
    config = replace(read_params(prepared / "params.yaml"), split=split)
    with pytest.raises(UserError, match=f"^{told}"):
        check_fit(config, load_dataset(prepared / "data/processed"))


def test_the_output_folder_may_have_any_name(workspace: Path) -> None:
    folder = r"hydra.run.dir='my folder\'s, (1)'"
    done = run_module(workspace, "pipeline.train", *SMALL, folder)
    assert done.returncode == 0, done.stderr
    assert (workspace / "my folder's, (1)/models/model.npz").exists()


def test_each_arithmetic_trains_and_says_which_it_was(workspace: Path) -> None:
    dtypes = {"exact": "float64", "float32": "float32", "float64": "float64"}
    train_each(workspace, {name: [f"training.arithmetic={name}"] for name in dtypes})
    for name, dtype in dtypes.items():
        model = load_model(workspace / name / "models/model.npz")
        assert (model.arithmetic.name, model.parameters.vector.dtype) == (name, dtype)


def test_more_threads_are_a_matter_of_speed_alone(workspace: Path) -> None:
    models = []
    for threads in (1, 2):
        options = [f"training.threads={threads}", f"hydra.run.dir={threads}"]
        done = run_module(workspace, "pipeline.train", *SMALL, *options)
        assert done.returncode == 0, done.stderr
        models.append((workspace / f"{threads}/models/model.npz").read_bytes())
    assert models[0] == models[1]


@pytest.mark.stress
def test_each_means_of_training_changes_the_model(workspace: Path) -> None:
    """With all of them on, training is as reproducible as without."""
    means = ["loss.label_smoothing=0.1", "model.dropout=0.2", "training.ema=0.9", "optimizer.clip_norm=0.1"]
    means += ["schedule=cosine", "augmentation=affine_elastic"]
    choices = [[], *([one] for one in means), [*means, "optimizer=adamw"], [*means, "optimizer=adamw"]]
    made = []
    for number, options in enumerate(choices):
        done = run_module(workspace, "pipeline.train", *SMALL, f"hydra.run.dir=out{number}", *options)
        assert done.returncode == 0, done.stderr
        made.append((workspace / f"out{number}/models/model.npz").read_bytes())
    assert made[-1] == made[-2]
    assert len(set(made)) == len(made) - 1


def test_the_experiments_of_published_results_train(workspace: Path) -> None:
    """With fewer units and epochs; what they reach is another matter."""
    experiments = ["lecun_300_100", "simard_800", "simard_800_elastic", "best"]
    few = ["training.batch_size=50", "model.hidden=[20,20]"]
    train_each(workspace, {name: [f"experiment={name}", *few] for name in experiments})
    for name in experiments:
        assert load_model(workspace / name / "models/model.npz").widths == (784, 20, 20, 10)


def test_what_spoils_the_data_is_told_once(workspace: Path) -> None:
    """Data that stand in for those asked for, and a class that no training image is of."""
    path = workspace / "data/processed/train_labels.npy"
    labels = np.load(path)
    labels[labels[:, 7] == 1] = np.eye(10)[1]
    np.save(path, labels)
    asked = ["dataset=mnist", *(option for option in SMALL if not option.startswith("dataset"))]
    for ended in run_each(workspace, [asked, ["-m", "seed=0,1", *asked]]):
        assert ended.status == 0, ended.stderr
        assert ended.stderr.count("holds Strokes, which stands in for MNIST: NOTHING IS ABOUT MNIST") == 1
        assert ended.stderr.count("none of the 205 training images of Strokes is of the class 7: ") == 1
