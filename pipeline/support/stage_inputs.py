"""What a stage depends on, as `dvc.yaml` names it, and whether it stayed the same while the stage ran.

DVC hashes params, code and inputs after a stage's command has ended, and takes the outputs for theirs, even
where they were changed meanwhile (https://github.com/treeverse/dvc/issues/11058). The versions of libraries
are params from `versions.yaml`. They hold only if these are the versions that run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, ROOT, hash_files

VERSIONS = "versions.yaml"


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Run the block as the work of `stage`, whose outputs DVC takes for those of the stage's inputs.

    Raises:
        UserError: at the start, if another version of a library is installed than `versions.yaml` says; at
            the end, if a param or dep of the stage is not what it was at the start.
    """
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    refuse_other_versions(declared)
    before = inputs(declared)
    yield
    after = inputs(declared)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise UserError(
            f"{', '.join(changed)}: changed while the stage {stage} ran, and DVC would take its outputs for"
            " what comes of them now; run the same command again"
        )


def refuse_other_versions(declared: dict[str, Any]) -> None:
    """Raise `UserError` if a library that a stage's params name is installed in another version."""
    pinned = yaml.safe_load((ROOT / VERSIONS).read_text(encoding="utf-8"))
    of_files = [entry for entry in declared.get("params", []) if isinstance(entry, dict)]
    for name in (name for entry in of_files for name in entry.get(VERSIONS, [])):
        if (installed := version(name)) != pinned[name]:
            raise UserError(
                f"{name} {installed} is installed, but {VERSIONS} says {pinned[name]}: install what"
                f" requirements.lock pins, or write {installed} into {VERSIONS}, and what depends on it runs"
                " again"
            )


def inputs(declared: dict[str, Any]) -> dict[str, Any]:
    """Return each value of `params.yaml`, and a hash of each dep, that a stage declares, by name."""
    keys = [key for key in declared.get("params", []) if isinstance(key, str)]  # not of other files
    try:
        params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    except Exception:  # the stage itself reads the file, and says what is wrong with it
        params = None
    values = {f"{PARAMS}: {key}": value_at(params, key) for key in keys}
    return values | {path: hash_files(Path(path)) for path in declared["deps"]}


def value_at(params: Any, key: str) -> Any:
    """Return the value of the dotted `key` in the nested `params`; None where there is none."""
    for name in key.split("."):
        if not isinstance(params, dict) or name not in params:
            return None
        params = params[name]
    return params
