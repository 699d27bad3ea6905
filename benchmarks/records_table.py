"""The table of published results and ours in `docs/records.md`."""

from collections.abc import Sequence
from statistics import mean, median, stdev

from benchmarks.published import RECORDS, Record
from benchmarks.record_results import Result, finished, plan_runs, read_committee

COLUMNS = (
    "network",
    "published by",
    "error there",
    "ours, official",
    "ours, last 20,000",
    "ours, one look each",
    "epochs",
    "minutes",
    "parameters",
    "commit",
    "command",
)
NOT_MEASURED = "not measured"
SOME = "seeds)"  # in a row whose runs are not all finished: (1 of 3 seeds)


def table(before: str) -> str:
    """Return the table, a row for each record, and below it on which machines the commits ran.

    A record keeps the row that it had `before` if none of its runs is finished here, or only some of them are
    and that row is of all.
    """
    rows, machines = [], [line for line in before.splitlines() if line.startswith("- ")]
    for name, record in RECORDS.items():
        results = finished(plan_runs(record))
        of_this = (line for line in before.splitlines() if line.endswith(f"| {command_for(name)} |"))
        kept, measured = next(of_this, row_without_results(name)), row(name, results)
        if not measured or (SOME in measured and SOME not in kept and NOT_MEASURED not in kept):
            rows.append(kept)
        else:
            rows.append(measured)
            machines += [f"- {result.commit}: {result.machine}" for result in results]
    told = [
        line for line in dict.fromkeys(machines) if any(line[2:].partition(":")[0] in cells for cells in rows)
    ]
    return "\n".join([as_line(COLUMNS), as_line(["---"] * len(COLUMNS)), *rows, "", *told, ""])


def row(name: str, results: Sequence[Result]) -> str | None:
    """Return the row of the record of this `name` by its `results`; None if there are none to report."""
    record = RECORDS[name]
    errors = errors_reported(record, results)
    if not errors:
        return None
    some = f" ({len(results)} of {len(record.seeds)} {SOME}" if len(results) < len(record.seeds) else ""
    one_look = summary([result.errors["official"] for result in results])
    cells = (
        record.title,
        record.source,
        f"{record.published:g} %",
        summary([each["official"] for each in errors]) + some,
        summary([each["test"] for each in errors]) if "test" in errors[0] else "",
        one_look if record.answers != "one look" else "",
        f"{results[0].epochs}",
        f"{median(result.minutes for result in results):.1f}",
        f"{results[0].parameters:,}",
        commits(record, results),
        command_for(name),
    )
    return as_line(cells)


def row_without_results(name: str) -> str:
    """Return the row of a record that was never trained."""
    record = RECORDS[name]
    empty = [""] * (len(COLUMNS) - 5)
    return as_line(
        [record.title, record.source, f"{record.published:g} %", NOT_MEASURED, *empty, command_for(name)]
    )


def errors_reported(record: Record, results: Sequence[Result]) -> list[dict[str, float]]:
    """Return the errors by part that `record` is about: of each of `results`, or of a committee."""
    match record.answers:
        case "one look":
            return [result.errors for result in results]
        case "averaged":
            return [result.averaged for result in results if result.averaged]
        case "committee":
            together = read_committee(plan_runs(record), results)
            return [together["errors"]] if together else []


def commits(record: Record, results: Sequence[Result]) -> str:
    """Return by which commits the networks of `results` were trained, and their answers averaged."""
    trained = ", ".join(dict.fromkeys(result.commit for result in results))
    match record.answers:
        case "one look":
            return trained
        case "averaged":
            averaged = ", ".join(dict.fromkeys(result.averaged_by for result in results))
        case "committee":
            together = read_committee(plan_runs(record), results)
            averaged = together["averaged_by"] if together else ""
    return trained if averaged == trained else f"{trained}; averaged by {averaged}"


def command_for(name: str) -> str:
    """Return what trains and measures the record of this `name`."""
    return f"`python -m benchmarks.records {name}`"


def as_line(cells: Sequence[str]) -> str:
    """Return the `cells` as a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def summary(errors: Sequence[float]) -> str:
    """Return the mean of `errors`, in percent, and their standard deviation; a single one in full."""
    if len(errors) > 1:
        return f"{mean(errors):.2f} ± {stdev(errors):.2f} %"
    return f"{max(f'{errors[0]:.2f}', f'{errors[0]:g}', key=len)} %"
