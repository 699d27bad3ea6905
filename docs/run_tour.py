"""Run docs/tour.ipynb and store what its cells print and draw: `make tour`.

This needs no Jupyter: the cells are Python, and what they show besides printed text are matplotlib's figures.
"""

import argparse
import ast
import base64
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

# The package imports matplotlib without the user's settings, so it comes first.
import pipeline.figures  # noqa: F401

# isort: split
import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pipeline.support.files import write_text

TOUR = Path(__file__).with_name("tour.ipynb")


def main() -> None:
    """Run the tour from the working folder, which says what data there are, and store it with its outputs."""
    parser = argparse.ArgumentParser(description="Run docs/tour.ipynb and store what its cells show.")
    parser.add_argument("to", nargs="?", type=Path, default=TOUR, help="where (default: the tour itself)")
    to = parser.parse_args().to.absolute()  # the tour goes to another folder
    matplotlib.use("agg")
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, cell in enumerate(cells, start=1):
        cell["execution_count"] = count
        cell["outputs"] = run_cell("".join(cell["source"]), names, count)
    write_text(to, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def run_cell(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run a cell as Jupyter does and return its outputs, in the notebook's format.

    Args:
        source: the cell's code.
        names: the variables of all cells.
        count: the cell's number.

    Raises:
        TypeError: if the cell ends in the value of something else than a figure.
    """
    printed, value = io.StringIO(), None
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    with redirect_stdout(printed):
        exec(compile(ast.Module(body, type_ignores=[]), "the tour", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "the tour", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if isinstance(value, Figure):
        outputs.append({"output_type": "execute_result", "execution_count": count, **picture(value)})
    elif value is not None:
        raise TypeError(f"a cell ends in {value!r}")
    for number in plt.get_fignums():  # Jupyter shows those at the end of the cell that has made them
        outputs.append({"output_type": "display_data", **picture(plt.figure(number))})
    plt.close("all")
    return outputs


def picture(figure: Figure) -> dict[str, Any]:
    """Return what a notebook keeps of `figure`: a PNG file, as Jupyter draws it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, bbox_inches="tight", metadata={"Software": None})
    text = base64.b64encode(file.getvalue()).decode()
    return {"data": {"image/png": text}, "metadata": {}}


if __name__ == "__main__":
    main()
