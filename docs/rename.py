"""Rename the package and the project: `python docs/rename.py wine`, or `make rename NAME=wine`.

Only references are renamed: imports, paths, modules that are named in texts. The word "pipeline" in a
sentence stays. Nothing is committed.
"""

import importlib.util
import keyword
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = "pipeline"
PROJECT = "mlp-by-hand"
ROOT = Path(__file__).parents[1]
REFERENCE = re.compile(
    rf"\b{PACKAGE}(?=\\?\.(?!md\b)[a-z_{{…\"'])"  # docs/pipeline.md is a page
    rf"|\b{PACKAGE}(?=/)"
    rf"|(?<=import ){PACKAGE}\b"
    rf"|(?<=from ){PACKAGE}(?= import\b)"
    rf"|(?<=[\"']){PACKAGE}(?=[\"'])"
    rf"|(?<=[(|:]){PACKAGE}(?=\|)"  # in a regular expression
)
PROJECT_NAME = re.compile(
    rf'(?m)(?<=^name = "){PROJECT}(?=")'  # pyproject.toml
    rf'|(?<=^PROJECT = "){PROJECT}(?=")'  # above
    rf"|\b{PROJECT}(?= \(pyproject\.toml)"  # requirements.lock
)


def refusal(name: str) -> str | None:
    """Return why the package cannot be called `name`; None where it can."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        return "should be small letters, digits and _, a letter first, and no keyword of Python"
    if (ROOT / name).exists() or run("git", "check-ignore", "--quiet", f"{name}/").returncode == 0:
        return "the repository has something of that name, or makes it"
    if name in sys.stdlib_module_names or importlib.util.find_spec(name):
        return "there is a Python module of that name"
    return None


def renamed(text: str, name: str) -> str:
    """Return `text` with `name` in each reference to the package or the project."""
    return REFERENCE.sub(name, PROJECT_NAME.sub(name.replace("_", "-"), text))


def rename(name: str) -> None:
    """Rename the package's folder and what refers to it in every file of the repository; mend the style."""
    run("git", "mv", PACKAGE, name, check=True)
    for path in run("git", "ls-files", "-z", check=True).stdout.split("\0")[:-1]:
        try:
            before = (ROOT / path).read_bytes().decode()
        except UnicodeDecodeError:  # a picture
            continue
        if (after := renamed(before, name)) != before:
            (ROOT / path).write_bytes(after.encode())
    ruff = (sys.executable, "-m", "ruff")
    run(*ruff, "check", "--select=I", "--fix", ".", check=True)  # imports are in the order of names
    run(*ruff, "format", ".", check=True)
    if len(name) > len(PACKAGE):  # comments are not wrapped
        run(*ruff, "check", "--select=E501", "--add-noqa", ".", check=True)
    run(sys.executable, "docs/links.py", check=True)


def run(*command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command at the repository's root."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=check)


def main() -> None:
    """Do what the command line asks for, or say in one line why not."""
    if len(sys.argv) != 2:
        sys.exit("error: expected one name, as in `python docs/rename.py wine`")
    name = sys.argv[1]
    if reason := refusal(name):
        sys.exit(f"error: {name}: {reason}")
    status = run("git", "status", "--porcelain")
    if status.returncode or status.stdout:
        sys.exit(
            "error: not a clean Git clone: commit or stash what is changed first, so that"
            " `git reset --hard` can undo the renaming"
        )
    rename(name)
    print(f"{PACKAGE} is now {name}. `make lint` checks the result, and `git commit -am 'Rename'` keeps it")


if __name__ == "__main__":
    main()
