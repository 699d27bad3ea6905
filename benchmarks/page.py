"""How fast the page is in Chromium: first paint, and a stroke to the bars: `python -m benchmarks.page`.

It opens the page of DVC's run, `reports/page.html`, without a window.
"""

from pipeline.support.program import program

import math
import statistics
from contextlib import closing

from rich.table import Table

from benchmarks.common import console, machine, progress, verdict
from pipeline.runs.run import Run
from pipeline.support.errors import UserError
from tests.browser import Browser, is_there

ROUNDS = 10
FIRST_PAINT_MS = 1000
STROKE_MS = 16  # a frame of a screen with 60 of them a second
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
STROKES = "performance.getEntriesByName('from a stroke to the bars').map((each) => each.duration)"
ZERO = [(0.5 + 0.25 * math.sin(k / 6), 0.5 - 0.35 * math.cos(k / 6)) for k in range(39)]  # a closed curve


def main() -> None:
    """Measure and print the table."""
    if not is_there():
        raise UserError("there is no browser. Debian: apt install chromium chromium-driver")
    if not Run().page.exists():
        raise UserError(f"{Run().page} is not there: `dvc repro` makes it")
    paints, strokes = [], []
    with closing(Browser()) as browser:
        browser.prefer("light")
        browser.resize(1024)
        for _ in progress(range(ROUNDS), "opening the page"):
            browser.open(Run().page)
            paints.append(browser.wait(PAINT))
            browser.click("#clear")
            browser.drag("#pad", [ZERO])
            strokes += browser.wait(f"({STROKES}).length > 10 && {STROKES}")

    table = Table("", "median, ms", "slowest, ms", "target", title="The page in Chromium")
    for name, times, limit in (
        ("from opening the file to the first paint", paints, FIRST_PAINT_MS),
        ("from a piece of a stroke to the updated bars", strokes, STROKE_MS),
    ):
        median = statistics.median(times)
        target = verdict(median < limit, f"median < {limit} ms")
        table.add_row(name, f"{median:.1f}", f"{max(times):.1f}", target)
    console.print(machine())
    console.print(table)


if __name__ == "__main__":
    with program(__doc__):
        main()
