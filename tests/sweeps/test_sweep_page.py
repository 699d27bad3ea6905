"""A sweep's page: the table as CSV has it, sorted by click and keyboard, and a link to each job."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pytest

from pipeline.runs.run import Run
from pipeline.sweeps.outcome import Outcome
from pipeline.sweeps.ranking import Ranking
from pipeline.sweeps.sweep_page import write_page
from tests.browser import Browser

RATES = "[...document.querySelectorAll('tbody tr')].map((row) => row.children[1].textContent)"
KEYS = ["rate", "seed"]


def ended(number: int, error: float | None, rate: str, seed: str) -> Outcome:
    run = Run(Path(f"multirun/a & b/{number}"))
    measure = "test_error" if error is not None else None
    return Outcome({"rate": rate, "seed": seed}, run, False, measure, error, None if error else "<no> room")


def write(folder: Path) -> Path:
    sweep = folder / "multirun/a & b"
    outcomes = [
        ended(0, 0.25, "0.1", "0"),
        ended(1, 0.125, "0.1", "1"),
        ended(2, 0.0625, "0.03", "0"),
        ended(3, 0.03125, "0.03", "1"),
        ended(4, 0.5, "[9]", "0"),
        ended(5, None, "10", "0"),
    ]
    outcomes = [Outcome(o.overrides, Run(folder / o.run.folder), o.skipped, *fields(o)) for o in outcomes]
    ranking = Ranking(outcomes, KEYS, "<Digits>")
    ranking.write(sweep)
    write_page(ranking, sweep)
    return sweep / "sweep.html"


def fields(outcome: Outcome) -> tuple[str | None, float | None, str | None]:
    return outcome.measure, outcome.error, outcome.failure


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sweep"))


@pytest.fixture
def page(written: Path, browser: Browser) -> Iterator[Browser]:
    """The browser with that page. Whatever a test does, the page logs no error and requests nothing."""
    browser.resize(1024)
    browser.open(written)
    yield browser
    assert browser.logged() == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [
        written.as_uri()
    ]


def test_it_holds_the_table_as_csv_has_it_and_a_link_to_every_job(written: Path, tmp_path: Path) -> None:
    text = written.read_text(encoding="utf-8")
    rows = re.findall(r"<tr>(<td.+?)</tr>", text)
    with written.with_name("sweep.csv").open(encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    assert [re.findall(r"<td.*?>(.*?)</td>", row)[1] for row in rows] == [row["rate"] for row in expected]
    assert "6 jobs. The best: rate = 0.03, with test error 4.69%." in text
    links = [[unquote(link) for link in re.findall(r'href="(.+?)/"', row)] for row in rows]
    assert links == [["2", "3"], ["0", "1"], ["4"], ["5"]]
    assert "seed 0: &lt;no&gt; room" in rows[-1] and "<Digits>" not in text
    assert write(tmp_path).read_bytes() == written.read_bytes()


def test_a_column_is_sorted_by_click_and_by_keyboard(page: Browser) -> None:
    assert page.value(RATES) == ["0.03", "0.1", "[9]", "10"]
    page.click("th:nth-child(2) button")
    assert page.text("#sorted") == "Sorted by rate, the smallest first."
    page.press("th:nth-child(4) button", "ENTER")
    assert page.text("#sorted") == "Sorted by test error, the smallest first."
    assert page.value(RATES) == ["0.03", "0.1", "[9]", "10"]
    page.press("th:nth-child(4) button", "ENTER")
    assert page.value(RATES) == ["[9]", "0.1", "0.03", "10"]
    assert page.find("th:nth-child(4)").get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_everybody_can_use_it_on_every_screen(
    width: int, scheme: Literal["light", "dark"], page: Browser
) -> None:
    page.prefer(scheme)
    page.resize(width)
    page.click("th:nth-child(4) button")
    assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = page.violations()
    page.prefer("light")
    assert found == []
