"""What a promoted model answers, served over HTTP by the command that promoting prints, or loaded."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations

from pipeline.nn.fast import predict
from pipeline.runs.copies import Copies, as_probabilities, log_probabilities
from pipeline.runs.models import classify, load_model
from pipeline.runs.run import Run
from tests.commands import PATIENCE, TRACKED, run_module, wait_for
from tests.stores import answers, client, free_port, local_path, runs


@pytest.fixture(scope="module")
def endpoint(swept: Path) -> Iterator[str]:
    """The address at which MLflow serves what was promoted, by the command that promoting printed."""
    promoted = run_module(swept, "pipeline.promote")
    assert promoted.returncode == 0, promoted.stderr
    assert promoted.stdout.startswith(
        "models:/strokes@champion is version 1: Strokes: learning_rate 0.3, test "
    )
    assert "an image of 784 numbers from 0 to 1 shows; 28 rows of 28 do as well" in promoted.stdout
    again = run_module(swept, "pipeline.promote")
    assert again.stdout.startswith("models:/strokes@champion is version 1:")
    port = free_port()
    [command] = [line for line in promoted.stdout.splitlines() if "mlflow models serve" in line]
    environment, *arguments = shlex.split(command)
    name, _, address = environment.partition("=")
    arguments[arguments.index("--port") + 1] = str(port)
    server = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=swept,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            name: address,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping") or server.poll() is not None)
        assert server.poll() is None
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


JSON = "application/json"


def ask(endpoint: str, body: Any) -> list[dict]:
    """Return what is predicted for `body`."""
    request = Request(endpoint, json.dumps(body).encode(), {"Content-Type": JSON})
    with urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["predictions"]


def tables(images: np.ndarray) -> dict[str, tuple[Any, str]]:
    """Return `images`, (n, d), in each format of tables that MLflow takes: a body and its content type."""
    table = pd.DataFrame(images.astype(float))
    named = table.add_prefix("pixel")
    counted = table.set_axis(range(1, 1 + table.shape[1]), axis=1)
    return {
        "split": ({"dataframe_split": table.to_dict("split")}, JSON),
        "split, no names": ({"dataframe_split": {"data": images.tolist()}}, JSON),
        "split, from 1": ({"dataframe_split": counted.to_dict("split")}, JSON),
        "records": ({"dataframe_records": named.to_dict("records")}, JSON),
        "CSV": (named.to_csv(index=False), "text/csv"),
        "CSV, numbered": (table.to_csv(index=False), "text/csv; charset=utf-8"),
    }


@pytest.mark.stress
def test_the_printed_command_serves_label_and_probabilities_or_a_400(swept: Path, endpoint: str) -> None:
    images = np.load(swept / "data/processed/test_images.npy")[:5]
    outputs = predict(load_model(swept / "sweep/1/models/model.npz"), images)
    answers = ask(endpoint, {"inputs": images.tolist()})
    assert [answer["label"] for answer in answers] == [str(digit) for digit in outputs.argmax(axis=1)]
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    body, _, told = REFUSED[0]
    with pytest.raises(HTTPError) as refused:
        ask(endpoint, body)
    assert refused.value.code == 400
    assert told in json.load(refused.value)["message"]


RIGHT = "; expected numbers in [0, 1] of shape (n, 784) or (n, 28, 28)"
REFUSED: list[tuple[Any, str, str]] = [
    ({"inputs": [[0.0] * 783]}, JSON, "shape (1, 783)" + RIGHT),
    ({"inputs": [[2.0] * 784]}, JSON, "values outside [0, 1] or NaN" + RIGHT),
    ({"inputs": [["ink"] * 784]}, JSON, RIGHT),
    ({"inputs": [[0.0] * 784, [0.0]]}, JSON, "inhomogeneous shape"),
    ({"dataframe_split": {"data": [[0.0] * 785]}}, JSON, "shape (1, 785)" + RIGHT),
    ({"dataframe_records": [{"a": 0.0}, {"b": 1.0}]}, JSON, "shape (2, 2)" + RIGHT),
    ({"dataframe_split": {"data": [[0.0] * 783 + [None]]}}, JSON, RIGHT),
    (",".join(["0.25"] * 783), "text/csv", "shape (0,)" + RIGHT),
]


@pytest.fixture
def invoke(swept: Path) -> Callable[[Any, str], list[dict]]:
    """What MLflow's scoring server does with a request, without the server: the logged model is loaded."""
    model = mlflow.pyfunc.load_model(next(swept.rglob("MLmodel")).parent.as_uri())

    def invoke(body: Any, content_type: str) -> list[dict]:
        text = body if isinstance(body, str) else json.dumps(body)
        response = invocations(text, content_type, model, model.metadata.get_input_schema())
        return json.loads(response.response)["predictions"]

    return invoke


def test_the_logged_model_takes_arrays_and_tables_and_refuses_what_is_neither(
    swept: Path, invoke: Callable[[Any, str], list[dict]]
) -> None:
    images = np.load(swept / "data/processed/test_images.npy")[:3]
    flat = invoke({"inputs": images.tolist()}, JSON)
    assert invoke({"instances": images.reshape(-1, 28, 28).tolist()}, JSON) == flat
    for one in (images[0], images[0].reshape(28, 28)):
        [answer] = invoke({"inputs": one.tolist()}, JSON)
        assert answer["label"] == flat[0]["label"]
    for name, (body, content_type) in tables(images).items():
        assert invoke(body, content_type) == flat, name
    for body, content_type, told in REFUSED:
        with pytest.raises(MlflowException, match=re.escape(told)) as refused:
            invoke(body, content_type)
        assert refused.value.get_http_status_code() == 400


@pytest.mark.parametrize("changed", [False, pytest.param(True, marks=pytest.mark.stress)])
def test_a_registered_model_averages_over_copies_as_its_run_does(tracked: Path, changed: bool) -> None:
    """And once `evaluation` was `changed`, the newest model does, and the first one as before."""
    folder, uri = "outputs/elastic", "models:/strokes@champion"
    run, store = Run(tracked / folder), client(tracked)
    images = np.load(tracked / "data/processed/official_images.npy")[:5]
    np.save(tracked / "five.npy", images)

    def command(*arguments: str) -> str:
        done = run_module(tracked, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def served(location: str) -> np.ndarray:
        answers = mlflow.pyfunc.load_model(location).predict(images)["probabilities"]
        return np.array([list(answer.values()) for answer in answers])

    def evaluated_and_promoted(version: int) -> Path:
        """Ask the run and what is registered of it, and return where that is."""
        command("pipeline.evaluate", folder)
        [recorded] = runs(store)
        for part, values in json.loads(run.metrics.read_text(encoding="utf-8")).items():
            for metric, value in values.items():
                assert recorded.data.metrics[f"{part}_{metric}"] == pytest.approx(value, abs=1e-6)
        promoted = command("pipeline.promote")
        of_one_look = f"test accuracy {recorded.data.metrics['test_accuracy']:.2%}"
        assert promoted.startswith(f"{uri} is version {version}: ") and of_one_look in promoted
        averaged = recorded.data.metrics["test_averaged_accuracy"]
        assert f"test accuracy averaged over copies {averaged:.2%}" in promoted
        location = store.get_model_version_download_uri("strokes", str(version))
        network = load_model(run.model)
        logarithms = log_probabilities(network, images, Copies.of(asdict(run.config())), (28, 28))
        np.testing.assert_array_equal(served(location), as_probabilities(logarithms))
        return local_path(location)

    options = ["augmentation=affine_elastic", "evaluation.copies=3", f"hydra.run.dir={folder}"]
    command("pipeline.train", *TRACKED, *options)
    first = evaluated_and_promoted(1)
    of_run = command("pipeline.predict", "--run", folder, "five.npy")
    assert command("pipeline.predict", "--model", uri, "five.npy") == of_run
    [recorded] = runs(store)
    assert recorded.data.params["evaluation.copies"] == "3"
    assert {name for name in recorded.data.metrics if "averaged" in name} == {
        "test_averaged_accuracy",
        "official_averaged_accuracy",
    }
    if not changed:
        return
    before = served(first.as_uri())
    run.params.write_text(run.params.read_text(encoding="utf-8").replace("copies: 3", "copies: 2"))
    store.update_run(recorded.info.run_id, status="RUNNING")  # as if its end had not reached the store
    evaluated_and_promoted(2)
    assert runs(store)[0].info.status == "FINISHED"
    command("pipeline.evaluate", folder)
    assert len(runs(store)[0].outputs.model_outputs) == 2  # no third one of the same answers
    np.testing.assert_array_equal(served(first.as_uri()), before)

    run.params.write_text(run.params.read_text(encoding="utf-8").replace("copies: 2", "copies: 1"))
    command("pipeline.evaluate", folder)
    [recorded] = runs(store)
    assert np.isnan(
        [recorded.data.metrics[f"{part}_averaged_accuracy"] for part in ("test", "official")]
    ).all()
    assert "averaged" not in command("pipeline.promote")

    (first / "artifacts/copies.json").unlink()  # as one that was logged before there were copies
    np.testing.assert_array_equal(served(first.as_uri()), classify(load_model(run.model), images)[1])
