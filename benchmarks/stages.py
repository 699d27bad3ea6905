"""Wall time of `dvc repro`, stage by stage, and where it goes: `python -m benchmarks.stages`.

It runs in a temporary clone of the repository's last commit, with the environment there, and the raw files
where `data/raw` has them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rich.table import Table

from benchmarks.common import ROOT, console, machine, verdict
from pipeline.config import PARAMS
from pipeline.data.dataset import RAW
from pipeline.errors import UserError, one_line_errors

LIMIT = 40  # seconds in all

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
}


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as scratch, console.status("running the pipeline") as status:
        clone = Path(scratch, "clone")
        _run(f"git clone --quiet {ROOT} {clone}", ROOT)
        if RAW.exists():
            shutil.copytree(RAW, clone / RAW)
        stages, before, total = _repro(clone)
        status.update("once more, with nothing to do")
        again = _run("dvc repro", clone)
        status.update("the stages without DVC and MLflow")
        params = clone / PARAMS
        values = yaml.safe_load(params.read_text())
        values["tracking"]["enabled"] = False
        params.write_text(yaml.safe_dump(values))
        commands = {
            name: stage["cmd"]
            for name, stage in yaml.safe_load((clone / "dvc.yaml").read_text())["stages"].items()
        }
        alone = {name: _run(command, clone) for name, command in commands.items()}
        imports = {name: _run(f"python -c 'import pipeline.{name}'", clone) for name in commands}
        commit = subprocess.check_output(["git", "describe", "--always"], cwd=clone, text=True).strip()

    table = Table(title=f"Seconds of dvc repro at {commit}")
    table.add_column("")
    for heading in ("in dvc repro", "= command", "of which imports", "+ DVC, MLflow"):
        table.add_column(heading, justify="right")
    table.add_row("DVC's own start", f"{before:.1f}", "", "", f"{before:.1f}")
    for name in commands:
        seconds = stages.get(name, 0.0)
        figures = (seconds, alone[name], imports[name], seconds - alone[name])
        table.add_row(
            name, *(["unchanged"] if name not in stages else [f"{figure:.1f}" for figure in figures])
        )
    table.add_section()
    table.add_row("in all", f"{total:.1f}", "", "", "")
    table.add_row("again, nothing to do", f"{again:.1f}", "", "", "")
    console.print(machine())
    console.print(table)
    console.print(verdict(total < LIMIT, f"less than {LIMIT} s in all"))


def _repro(clone: Path) -> tuple[dict[str, float], float, float]:
    """Run `dvc repro` and return the seconds of each stage that ran, of DVC before the first, and of all."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=clone,
        env=ENVIRONMENT | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, starts = [], {}
    assert process.stdout
    for line in process.stdout:
        output.append(line)
        if line.startswith("Running stage"):
            starts[line.split("'")[1]] = time.perf_counter() - started
    if process.wait():
        raise UserError("dvc repro failed:\n" + "".join(output))
    total = time.perf_counter() - started
    ends = [*list(starts.values())[1:], total]
    stages = {name: end - start for (name, start), end in zip(starts.items(), ends, strict=True)}
    return stages, min(starts.values(), default=total), total


def _run(command: str, folder: Path) -> float:
    """Run `command` in `folder` and return its seconds."""
    started = time.perf_counter()
    result = subprocess.run(command, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if result.returncode:
        raise UserError(f"{command} failed:\n{result.stdout}{result.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    with one_line_errors():
        main()
