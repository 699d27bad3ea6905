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
from pipeline.config import PARAMS
from pipeline.errors import UserError
from pipeline.files import fingerprint

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
    params = [key for key in declared.get("params", []) if isinstance(key, str)]  # not of other files
    values = {f"{PARAMS}: {key}": read_value(key) for key in params}
    return values | {path: fingerprint(Path(path)) for path in declared["deps"]}


def read_value(key: str) -> Any:
    """Return what `params.yaml` has under the dotted `key`; None where it has nothing, or is no YAML."""
    try:
        value = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
        for name in key.split("."):
            value = value[name]
    except Exception:  # whatever is wrong with the file, the stage itself tells of it
        return None
    return value
