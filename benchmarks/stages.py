"""Wall time of `dvc repro`, stage by stage, and where it goes: `python -m benchmarks.stages`.

It runs in a temporary clone of the repository's last commit, with the environment there, and the raw files
where `data/raw` has them.
"""

from pipeline.support.program import program

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import yaml
from rich.table import Table

from benchmarks.common import ROOT, console, machine, untracked_environment, verdict
from pipeline.data.dataset import RAW
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS

LIMIT = 40  # seconds in all


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as scratch, console.status("dvc repro") as status:
        clone = Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        if RAW.exists():
            shutil.copytree(RAW, clone / RAW)
        in_repro, start, total = _repro(clone)
        status.update("dvc repro, with nothing to do")
        again = _run("dvc repro", clone)

        status.update("the stages' commands without DVC")
        stages = yaml.safe_load((clone / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        (clone / "mlflow.db").unlink(missing_ok=True)  # to make it anew is part of the first run
        commands = {name: _run(stage["cmd"], clone) for name, stage in stages.items()}
        status.update("the stages' commands without DVC and MLflow")
        _switch_tracking_off(clone / PARAMS)
        untracked = {name: _run(stage["cmd"], clone) for name, stage in stages.items()}
        imports = {name: _run(f"{stage['cmd']} --help", clone) for name, stage in stages.items()}
        commit = subprocess.check_output(["git", "describe", "--always"], cwd=clone, text=True).strip()

    table = Table(title=f"Seconds of dvc repro at commit {commit}")
    table.add_column("")
    for heading in ("in all", "its own work", "imports", "MLflow", "DVC"):
        table.add_column(heading, justify="right")
    table.add_row("DVC starts", f"{start:.1f}", "", "", "", f"{start:.1f}")
    for name in stages:
        if name in in_repro:
            own, mlflow = untracked[name] - imports[name], commands[name] - untracked[name]
            columns = (in_repro[name], own, imports[name], mlflow, in_repro[name] - commands[name])
            table.add_row(name, *(f"{seconds:.1f}" for seconds in columns))
        else:
            table.add_row(name, "unchanged")
    table.add_section()
    table.add_row("in all", f"{total:.1f}", end_section=True)
    table.add_row("again, nothing to do", f"{again:.1f}")
    console.print(machine())
    console.print(table)
    console.print(
        "All but the first column are differences of single runs, with and without DVC and MLflow:\n"
        "other load on the machine shows in them, below zero at times."
    )
    console.print(verdict(total < LIMIT, f"dvc repro takes less than {LIMIT} s"))


def _switch_tracking_off(params: Path) -> None:
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    values["tracking"]["enabled"] = False
    params.write_text(yaml.safe_dump(values), encoding="utf-8")


def _repro(clone: Path) -> tuple[dict[str, float], float, float]:
    """Run `dvc repro` and return the seconds of each stage that ran, of DVC before the first, and of all."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=clone,
        env=untracked_environment() | {"PYTHONUNBUFFERED": "1"},
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
    result = subprocess.run(
        command, shell=True, cwd=folder, env=untracked_environment(), capture_output=True, text=True
    )
    if result.returncode:
        raise UserError(f"{command} failed:\n{result.stdout}{result.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    with program(__doc__):
        main()
