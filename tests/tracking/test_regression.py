"""A regression on a table from the file to the served prediction: recorded, swept, promoted and asked."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations

from pipeline.support.errors import UserError
from pipeline.tracking.registry import check_task
from tests.commands import UNDER_DVC, made_once, run_module
from tests.stores import client

JSON = "application/json"
OPTIONS = [
    *("dataset=table", "dataset.path=houses.csv", "dataset.target=price", "dataset.task=regression"),
    *(
        "dataset.delimiter=';'",
        "dataset.missing=median",
        "split.order=file",
        "model.output=null",
        "training.epochs=3",
    ),
]


def houses() -> pd.DataFrame:
    """Return 200 rows with numbers, whole and not, texts, truth values, and numbers that are missing."""
    rng = np.random.default_rng(3)
    size, rooms = 30 + 170 * rng.random(200), rng.integers(1, 8, 200)
    city, garden = np.array(["Oslo", "Rome", "Łódź"])[rng.integers(0, 3, 200)], rng.random(200) < 0.5
    price = 1000 * size + 20_000 * rooms + 50_000 * (city == "Rome") + 5_000 * rng.normal(size=200)
    size[::17] = np.nan
    table = {"size": size.round(1), "rooms": rooms, "city": city, "garden": garden, "price": price.round()}
    return pd.DataFrame(table)


def run(folder: Path, *arguments: str) -> str:
    done = run_module(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return f"{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, store_template: Path) -> Path:
    """A folder in which a regression has been trained, measured and swept, and the best was promoted."""

    def make(folder: Path) -> None:
        shutil.copy(store_template, folder / "mlflow.db")
        houses().to_csv(folder / "houses.csv", index=False, sep=";")
        composed = run_module(folder, "pipeline.train", "--cfg", "job", "--resolve", *OPTIONS)
        (folder / "params.yaml").write_text(composed.stdout, encoding="utf-8")
        run(folder, "pipeline.download")
        run(folder, "pipeline.preprocess")
        run(folder, "pipeline.train", *UNDER_DVC)
        run(folder, "pipeline.evaluate")
        swept = ["optimizer.learning_rate=0.00001,0.01", "hydra.sweep.dir=sweep"]
        (folder / "sweep.txt").write_text(run(folder, "pipeline.train", "-m", *OPTIONS, *swept))
        (folder / "promote.txt").write_text(run(folder, "pipeline.promote"))

    return made_once("a regression", make, tmp_path_factory)


@pytest.fixture
def invoke(project: Path) -> Callable[[Any, str], list[dict]]:
    """What MLflow's scoring server does with a request to the promoted model, without the server."""
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/houses@champion")
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]

    def invoke(body: Any, content_type: str = JSON) -> list[dict]:
        text = body if isinstance(body, str) else json.dumps(body)
        response = invocations(text, content_type, model, model.metadata.get_input_schema())
        return json.loads(response.response)["predictions"]

    return invoke


def test_its_runs_have_its_metrics_as_curves_and_its_objective_is_the_rmse(project: Path) -> None:
    store = client(project)
    [experiment] = [each for each in store.search_experiments() if each.name == "houses"]
    runs = store.search_runs([experiment.experiment_id])
    names = {f"{part}_{key}" for part in ("train", "validation", "test") for key in ("rmse", "mae", "r2")}
    single = next(each for each in runs if each.info.run_name == "relu 64-64, adam 0.001, seed 0")
    assert names <= single.data.metrics.keys()
    curve = store.get_metric_history(single.info.run_id, "validation_rmse")
    assert [point.step for point in curve] == [1, 2, 3]
    measured = json.loads((project / "reports/metrics.json").read_text(encoding="utf-8"))
    assert single.data.metrics["test_rmse"] == measured["test"]["rmse"]

    told = (project / "sweep.txt").read_text(encoding="utf-8")
    assert "learning_rate 0.01: validation RMSE" in told and "Validation RMSE on houses, best first" in told
    with (project / "sweep/sweep.csv").open(encoding="utf-8", newline="") as file:
        ranked = list(csv.DictReader(file))
    assert [row["optimizer.learning_rate"] for row in ranked] == ["0.01", "1e-05"]
    assert float(ranked[0]["validation_rmse"]) < float(ranked[1]["validation_rmse"])
    [parent] = [each for each in runs if each.info.run_name.startswith("sweep of")]
    assert parent.data.metrics["validation_rmse"] == float(ranked[0]["validation_rmse"])


def test_the_run_with_the_lowest_rmse_is_promoted_and_the_printed_request_is_answered(
    project: Path, invoke: Callable[[Any], list[dict]]
) -> None:
    told = (project / "promote.txt").read_text(encoding="utf-8")
    described = r"models:/houses@champion is version 1: houses: learning_rate 0.01, validation RMSE [\d,.]+\n"
    assert re.match(described, told)
    [command] = [line for line in told.splitlines() if "curl" in line]
    [answer] = invoke(json.loads(shlex.split(command)[-1]))
    assert answer.keys() == {"prediction"} and 0 < answer["prediction"] < 1e6


def test_raw_rows_get_the_predictions_of_the_evaluation(
    project: Path, invoke: Callable[..., list[dict]]
) -> None:
    run(project, "pipeline.evaluate", "sweep/1")
    with (project / "sweep/1/reports/predictions.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    table = pd.read_csv(project / "houses.csv", sep=";")
    [start] = [
        i
        for i in range(200)
        if table["price"][i : i + len(expected)].tolist() == [float(row["true_price"]) for row in expected]
    ]
    rows = table[start : start + len(expected)].drop(columns="price")
    predicted = pytest.approx([float(row["predicted_price"]) for row in expected], abs=0.1)
    bodies = {
        "split": ({"dataframe_split": json.loads(rows.to_json(orient="split"))}, JSON),
        "records": ({"dataframe_records": json.loads(rows.to_json(orient="records"))}, JSON),
        "columns in another order": (
            rows[["city", "garden", "size", "rooms"]].to_csv(index=False),
            "text/csv",
        ),
        "more columns than it needs": (rows.assign(owner="me").to_csv(index=False), "text/csv"),
    }
    for name, (body, content_type) in bodies.items():
        assert [answer["prediction"] for answer in invoke(body, content_type)] == predicted, name


ROW = {"size": 50.0, "rooms": 2, "city": "Rome", "garden": True}
REFUSED: list[tuple[Any, str]] = [
    ({"dataframe_records": [ROW, {**ROW, "rooms": "two"}]}, "row 2, column rooms: 'two' is no number"),
    ({"dataframe_records": [{**ROW, "size": "1e999"}]}, "row 1, column size: infinite"),
    ({"dataframe_records": [{"size": 50.0}]}, "there is no column rooms: there are size"),
    ({"dataframe_split": {"data": [[50.0, 2]]}}, "there is no column size: there are 0, 1"),
    (
        {"inputs": [[50.0, 2.0, 1.0, 1.0]]},
        "expected rows of a table with the columns size, rooms, city, garden",
    ),
]


@pytest.mark.parametrize(("body", "told"), REFUSED)
def test_what_is_wrong_with_a_row_is_answered_with_a_400_and_one_line(
    body: Any, told: str, invoke: Callable[[Any], list[dict]]
) -> None:
    with pytest.raises(MlflowException, match=re.escape(told)) as refused:
        invoke(body)
    assert refused.value.get_http_status_code() == 400
    assert "\n" not in str(refused.value)


def test_a_model_of_another_task_does_not_take_the_alias(project: Path, tmp_path: Path) -> None:
    shutil.copy(project / "mlflow.db", tmp_path)
    store = client(tmp_path)
    promoted = store.get_run(store.get_model_version_by_alias("houses", "champion").run_id)
    other = store.create_run(promoted.info.experiment_id)
    store.log_metric(other.info.run_id, "train_accuracy", 0.9)
    check_task(store, "houses", "champion", promoted)
    check_task(store, "houses", "challenger", store.get_run(other.info.run_id))
    with pytest.raises(UserError, match=r"champion is a regression, and .* is a classification"):
        check_task(store, "houses", "champion", store.get_run(other.info.run_id))


def test_predict_answers_the_rows_of_a_file_of_a_run_or_a_registered_model(project: Path) -> None:
    rows = houses().drop(columns="price").head(3)
    rows.to_csv(project / "three.csv", index=False, sep=";")
    told = run(project, "pipeline.predict", "three.csv", "--run", "sweep/1").splitlines()
    assert [line.partition(" price ")[0] for line in told[:3]] == [f"three.csv[{i}]:" for i in range(3)]
    again = run(project, "pipeline.predict", "three.csv", "--model", "models:/houses@champion").splitlines()
    assert again[:3] == told[:3]
    rows.assign(rooms="two").to_csv(project / "wrong.csv", index=False, sep=";")
    done = run_module(project, "pipeline.predict", "wrong.csv", "nowhere.csv")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            "error: wrong.csv: row 2, column rooms: 'two' is no number",
            "error: nowhere.csv: No such file or directory",
        ],
    )
