"""Whether what a stage reads stayed as it was while the stage ran.

DVC hashes params, code and inputs after a stage's command has ended, and takes the outputs for theirs, even
where they were changed meanwhile (https://github.com/treeverse/dvc/issues/11058).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

import pipeline
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, hash_files

STAGES = Path(pipeline.__file__).parents[1] / "dvc.yaml"


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Raise `UserError` at the end of the block if what `stage` depends on is not what it was before.

    That is what `dvc.yaml` names as its params and deps.
    """
    before = inputs(stage)
    yield
    after = inputs(stage)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise UserError(
            f"{', '.join(changed)}: changed while the stage {stage} ran, and DVC would take its outputs for"
            " what comes of them now; run the same command again"
        )


def inputs(stage: str) -> dict[str, Any]:
    """Return the value of each of the stage's params, and a hash of each of its deps, by name."""
    declared = yaml.safe_load(STAGES.read_text(encoding="utf-8"))["stages"][stage]
    keys = [key for key in declared.get("params", []) if isinstance(key, str)]  # not of other files
    try:
        params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    except Exception:  # whatever is wrong with the file, the stage itself tells of it
        params = None
    values = {f"{PARAMS}: {key}": value_at(params, key) for key in keys}
    return values | {path: hash_files(Path(path)) for path in declared["deps"]}


def value_at(params: Any, key: str) -> Any:
    """Return what nested `params` have under the dotted `key`; None where they have nothing there."""
    for name in key.split("."):
        if not isinstance(params, dict) or name not in params:
            return None
        params = params[name]
    return params
