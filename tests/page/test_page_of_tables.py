"""The page of a run on a table: what there is to show of it, and nothing of images."""

import os
from pathlib import Path

import pytest

from pipeline.page.__main__ import main
from tests.browser import Browser
from tests.tables import Table, breast_cancer, diabetes, linnerud, prepare

PARTS = "[...document.querySelectorAll('main section')].filter((part) => !part.hidden).map(({id}) => id)"
CHARTS = "[...document.querySelectorAll('#run h3')].map((title) => title.textContent)"


def open_page(browser: Browser, folder: Path, table: Table) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        run = prepare(table)
        main(run)
    finally:
        os.chdir(before)
    browser.resize(1024)
    browser.open(folder / run.page)


@pytest.mark.parametrize("table", [diabetes(), linnerud()], ids=lambda table: table.title)
def test_a_regression_shows_its_curves_and_its_numbers(
    table: Table, browser: Browser, tmp_path: Path
) -> None:
    open_page(browser, tmp_path, table)
    rows = len(table.inputs) - int(0.7 * len(table.inputs))
    assert browser.text("h1").startswith(f"{table.title}: test RMSE ")
    assert f"predicts {rows} test rows with an RMSE of" in browser.text(".lead")
    scattered = [f"{name}: predicted and true" for name in table.names]
    assert browser.value(CHARTS) == ["RMSE", "Loss", *scattered]
    assert browser.value("document.querySelectorAll('.point').length") == rows * len(table.names)
    assert browser.text("#curves output").startswith("epoch 20: train ")
    assert browser.value(PARTS) == ["run"]
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.logged() == []


def test_two_classes_of_a_table_have_a_confusion_matrix_without_images(
    browser: Browser, tmp_path: Path
) -> None:
    open_page(browser, tmp_path, breast_cancer())
    assert browser.value(CHARTS) == ["Accuracy", "Loss", "Where it errs"]
    cells = browser.value(
        "[...document.querySelectorAll('.confusion td > span')].map((cell) => cell.textContent)"
    )
    assert sum(int(cell or 0) for cell in cells) == 171
    assert "classifies 97.66 % of 171 test rows right" in browser.text(".lead")
    assert browser.value(PARTS) == ["run"]
    assert browser.logged() == []
