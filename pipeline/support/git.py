"""Which commit is checked out."""

import os
import subprocess
from pathlib import Path

from pipeline.support.errors import UserError


def describe_commit(folder: Path) -> dict[str, str]:
    """Return `commit`, what is checked out around `folder`, and `dirty`, whether tracked files differ.

    Outside of a Git repository both are missing. What the stages themselves write makes nothing dirty:
    `dvc.lock` and the numbers in `reports/`.

    Raises:
        UserError: if Git refuses to say it, as in a repository of another owner.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    try:
        commit = git("rev-parse", "--verify", "--quiet", "HEAD").strip()
        written = [f":(exclude){name}" for name in ("dvc.lock", "reports")]
        changes = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *written)
    except OSError:  # there is no Git
        return {}
    except subprocess.CalledProcessError as error:
        if not error.stderr or "not a git repository" in error.stderr:  # the former: there is no commit yet
            return {}
        refusal = " ".join(error.stderr.split())
        raise UserError(f"recorded without its commit, which Git does not tell: {refusal}") from None
    return {"commit": commit, "dirty": str(bool(changes)).lower()}
