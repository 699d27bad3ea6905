"""Whether this machine reproduces the committed results to the bit: `python -m benchmarks.verify`.

The last commit is cloned into a temporary folder and `dvc repro` runs there. Each output's hash is compared
with the one in the committed `dvc.lock`.
"""

from pipeline.support.program import program

import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from benchmarks.common import ROOT, console, machine, untracked_environment
from pipeline.data.dataset import RAW
from pipeline.support.errors import UserError

LOCK = Path("dvc.lock")


def main() -> None:
    """Reproduce, print the table, and end with status 1 at a difference."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        committed = read_outputs(clone / LOCK)
        failed = reproduce(clone)
        here = read_outputs(clone / LOCK) if not failed else {}
    table = Table("stage", "output", "committed", "here", "")
    for (stage, path), digest in committed.items():
        found = here.get((stage, path), "not made")
        table.add_row(
            stage, path, digest[:12], found[:12], "equal" if found == digest else "[red]different[/]"
        )
    console.print(table)
    console.print(f"{machine()}; {platform.platform()}; Python {platform.python_version()}")
    if failed:
        raise UserError("`dvc repro` failed in the clone: see above")
    different = [stage for (stage, path), digest in committed.items() if here.get((stage, path)) != digest]
    if different:
        raise UserError(f"the first stage with another output than the committed one is {different[0]}")
    console.print(f"All {len(committed)} outputs have the committed bits.")


def reproduce(clone: Path) -> bool:
    """Run `dvc repro` in the folder `clone` and return whether it failed.

    The raw files that are here already are not fetched again, and no run is recorded anywhere else. Every
    stage really runs, even where DVC is set up to share a cache that holds its outputs.
    """
    environment = untracked_environment()
    if (ROOT / RAW).is_dir():
        environment.setdefault("DATA_MIRROR", str(ROOT / RAW))
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--quiet"]
    return subprocess.run(command, cwd=clone, env=environment).returncode != 0


def read_outputs(lock: Path) -> dict[tuple[str, str], str]:
    """Return the hash of each output in the file `lock`, by its stage and path, in the pipeline's order."""
    stages: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    return {(name, out["path"]): out["md5"] for name, stage in stages.items() for out in stage["outs"]}


if __name__ == "__main__":
    with program(__doc__):
        main()
