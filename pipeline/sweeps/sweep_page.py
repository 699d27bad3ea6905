"""A sweep as a page: the ranked table, which can be sorted, with links to the jobs, and the figure."""

import html
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from pipeline.nn.metrics import in_words
from pipeline.page.assemble import fill
from pipeline.support.files import relative, write_text
from pipeline.sweeps.ranking import Ranking


def write_page(ranking: Ranking, folder: Path) -> None:
    """Write `sweep.html` to the sweep's `folder`, where its figure `sweep.png` is already."""
    texts = {
        "title": html.escape(ranking.title),
        "sentence": html.escape(sentence(ranking)),
        "contents": table(ranking, folder),
        "figure": b64encode((folder / "sweep.png").read_bytes()).decode("ascii"),
    }
    write_text(folder / "sweep.html", fill("sweep.html", texts))


def sentence(ranking: Ranking) -> str:
    """Say in a sentence how many jobs there were, and which was the best."""
    jobs = f"{len(ranking.jobs)} job{'s' if len(ranking.jobs) > 1 else ''}"
    if ranking.good.empty:
        return f"{jobs}, none of which ended well."
    if ranking.only_repeats:
        return f"{jobs}: {ranking.over_all()}."
    best = ranking.table.iloc[0]
    values = ", ".join(f"{key} = {best[key]}" for key in ranking.keys) or "the only one"
    found = f"{in_words(ranking.measure)} {ranking.formatted(best[ranking.measure])}"
    return f"{jobs}. The best: {values}, with {found}."


def table(ranking: Ranking, folder: Path) -> str:
    """Return the table as HTML: the columns that are not empty, and for each row links to its jobs."""
    shown = ranking.table.dropna(axis=1, how="all")
    names = {ranking.measure: in_words(ranking.measure)}
    headings = [names.get(str(column), str(column)) for column in [*shown, "folder"]]
    head = "".join(
        f'<th scope="col"><button type="button">{html.escape(heading)}</button></th>' for heading in headings
    )
    rows = []
    for number, row in enumerate(shown.to_dict("records")):
        cells = [cell(ranking, str(column), value) for column, value in row.items()]
        cells.append(f"<td>{links(ranking, number, folder)}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(rows)
    return f'<table class="sortable">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def cell(ranking: Ranking, column: str, value: Any) -> str:
    """Return a cell: as people read it, with the value to sort by where that is not the text."""
    if pd.isna(value):
        return "<td></td>"
    if column in {ranking.measure, "spread"}:
        return f'<td data-value="{value:.6g}">{ranking.formatted(value)}</td>'
    return f"<td>{html.escape(str(value))}</td>"


def links(ranking: Ranking, number: int, folder: Path) -> str:
    """Return a link to the folder of each job that the row of the table with this `number` is about."""
    good = len(ranking.table) - len(ranking.failed)
    if number >= good:
        jobs = [ranking.failed.index[number - good]]
    else:
        row, alike = ranking.table.iloc[number], pd.Series(True, index=ranking.good.index)
        for key in [*ranking.keys, *(["epochs"] if ranking.rungs else [])]:
            alike &= ranking.good[key] == row[key]
        jobs = list(ranking.good.index[alike])
    folders = [relative(ranking.outcomes[job].run.folder, folder) for job in jobs]
    return " ".join(f'<a href="{quote(path.as_posix())}/">{html.escape(path.name)}</a>' for path in folders)
