"""docs/own-data.md is followed to the letter: from the files that it makes to figures."""

import json
import re
from pathlib import Path

import pytest

from pipeline.support.files import write_text
from tests.commands import ROOT
from tests.test_pipeline import commit, make_clone, run

PAGE = (ROOT / "docs/own-data.md").read_text(encoding="utf-8")
PIECES = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)[1:]
SECTIONS = dict(zip(PIECES[::2], PIECES[1::2], strict=True))


def commands(section: str) -> list[str]:
    """Return the lines of the shell in a section of the page, without their remarks."""
    blocks = re.findall(r"```sh\n(.+?)```", SECTIONS[section], re.DOTALL)
    return [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone in which the files that the page makes are, and where experiments take seconds.

    The small problems are left out, which take most of the time and have nothing to do with the data.
    """
    clone = make_clone(tmp_path_factory.mktemp("own") / "clone", "tracking.enabled=false")
    text = (clone / "dvc.yaml").read_text(encoding="utf-8")
    for stage in ("problems", "page"):
        text, count = re.subn(rf"^  {stage}:\n(?:    .*\n)+", "", text, flags=re.MULTILINE)
        assert count == 1
    (clone / "dvc.yaml").write_text(text.replace("  - reports/problems\n", ""), encoding="utf-8")
    config = clone / "conf/tracking/mlflow.yaml"
    write_text(config, config.read_text(encoding="utf-8").replace("enabled: true", "enabled: false"))
    for code in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL):
        run(clone, "python", "-c", code)
    with (clone / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("houses.csv\nnew_houses.csv\nphotos\nmeasured.npz\n")
    commit(clone)
    return clone


def follow(clone: Path, command: str) -> dict[str, dict[str, float]]:
    """Run a command of the page, and return what was measured."""
    run(clone, "bash", "-c", command, DVC_NO_ANALYTICS="1")
    metrics: dict[str, dict[str, float]] = json.loads(
        (clone / "reports/metrics.json").read_text(encoding="utf-8")
    )
    return metrics


def test_a_table_gives_numbers_and_a_changed_file_is_noticed(clone: Path) -> None:
    regression, predict, _ = commands("A table")
    assert regression in PAGE.split("## ")[0]
    assert follow(clone, regression)["test"]["r2"] > 0.95
    prices = [float(line.split(" price ")[1]) for line in run(clone, "bash", "-c", predict).splitlines()]
    assert prices == pytest.approx([2 * 50, 8 * 50 + 100], abs=60)
    assert (clone / "reports/figures/predicted.png").exists()
    commit(clone)
    assert "Running stage 'preprocess'" not in run(clone, "dvc", "repro")
    text = (clone / "houses.csv").read_text(encoding="utf-8")
    (clone / "houses.csv").write_text(text.replace("Oslo", "Bergen"), encoding="utf-8")
    assert "Running stage 'train'" in run(clone, "dvc", "repro", "train")
    assert "Bergen" in (clone / "data/processed/dataset.json").read_text(encoding="utf-8")
    (clone / "houses.csv").write_text(text, encoding="utf-8")


@pytest.mark.stress
def test_a_table_gives_classes(clone: Path) -> None:
    *_, classification = commands("A table")
    assert follow(clone, classification)["test"]["accuracy"] > 0.4


@pytest.mark.stress
@pytest.mark.parametrize(
    ("section", "metric", "least"),
    [("A folder of images", "accuracy", 0.8), ("Arrays", "accuracy", 0.8)],
)
def test_images_and_arrays(clone: Path, section: str, metric: str, least: float) -> None:
    [command] = commands(section)
    assert follow(clone, command)["test"][metric] > least
    assert any((clone / "reports/figures").iterdir())


@pytest.mark.stress
def test_the_best_network_of_a_table_is_registered(clone: Path) -> None:
    regression, *_ = commands("A table")
    follow(clone, f"{regression} -S tracking.enabled=true")
    told = run(clone, "python", "-m", "pipeline.promote", "houses")
    assert "models:/houses@champion is version 1" in told and "mlflow models serve" in told


@pytest.mark.stress
def test_data_to_try_it_with(clone: Path) -> None:
    digits, cancer, diabetes = commands("Data to try it with")
    assert follow(clone, digits)["test"]["accuracy"] > 0.95
    assert follow(clone, cancer)["test"]["accuracy"] > 0.93
    assert follow(clone, diabetes)["test"]["r2"] > 0.3
    for name, target in {"iris": "species", "wine": "cultivar"}.items():
        command = f"dvc exp run -S dataset=table -S dataset.path=sklearn:{name} -S dataset.target={target}"
        assert follow(clone, command)["test"]["accuracy"] > 0.8


@pytest.mark.stress
def test_folds(clone: Path) -> None:
    prepare, sweep, prepare_anew, best = commands("Which rows go where")
    follow(clone, prepare)
    told = run(clone, "bash", "-c", sweep)
    assert "rank" in told and "spread" in told
    [table] = (clone / "multirun").glob("*/*/sweep.csv")
    assert [row.split(",")[2] for row in table.read_text(encoding="utf-8").splitlines()] == ["jobs", "5", "5"]
    follow(clone, prepare_anew)
    told = run(clone, "bash", "-c", best.replace("multirun/DATE/TIME", str(table.parent)))
    assert "Test RMSE on Diabetes" in told
