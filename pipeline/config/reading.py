"""Configurations read from YAML and written to it."""

from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from pipeline.config.messages import composing
from pipeline.config.schema import Config, parse
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, write_text

MAX_VALUES = 100_000  # in a YAML file, once its aliases are written out


def resolve(values: DictConfig, where: str) -> Config:
    """Resolve the interpolations in `values`, then check them as `parse` does.

    Raises:
        UserError: as `parse`, and if an interpolation refers to nothing.
    """
    with composing(where):
        plain = OmegaConf.to_container(values, resolve=True)
    return parse(plain, where)  # type: ignore[arg-type]


def read_composed(values: DictConfig) -> Config:
    """Check the configuration that Hydra composed, except for its group `hydra`.

    Raises:
        UserError: as `resolve`.
    """
    ours = OmegaConf.masked_copy(values, [str(key) for key in values if key != "hydra"])
    return resolve(ours, "configuration")


def read_params(path: Path = PARAMS) -> Config:
    """Read and check the configuration in the YAML file at `path`.

    Raises:
        UserError: if the file is missing, is not YAML, or does not fit the schema.
    """
    try:
        with composing(str(path)):
            text = path.read_text(encoding="utf-8")
            check_aliases(text, str(path))
            values = load(text)
    except FileNotFoundError:
        raise UserError(f"{path} is not in {Path.cwd()}: run this at the repository's root") from None
    if not values or not isinstance(values, DictConfig):
        raise UserError(f"{path} holds no keys: `make params` writes it anew")
    return resolve(values, str(path))


def load(text: str) -> Any:
    """Return what the YAML in `text` holds, read as Hydra reads it; PyYAML itself takes 1e-3 for a text."""
    try:
        return OmegaConf.load(StringIO(text))
    except OSError:  # OmegaConf's error for YAML that is neither a mapping nor a list
        return None


def check_aliases(text: str, where: str) -> None:
    """Raise `UserError` if the YAML in `text` is huge once its aliases are written out, or never ends.

    Ten aliases of ten aliases of … ("billion laughs") would take all memory when they are loaded. So would an
    alias that contains itself.
    """
    if "*" not in text:
        return
    sizes: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        """Return how many values `node` has once its aliases are written out."""
        if id(node) not in sizes:
            sizes[id(node)] = MAX_VALUES  # for an alias of this node inside itself
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
            sizes[id(node)] = 1 + sum(map(count, parts))
        return sizes[id(node)]

    root = yaml.compose(text, yaml.SafeLoader)
    if root and count(root) > MAX_VALUES:
        raise UserError(f"{where}: its aliases (*) stand for more than {MAX_VALUES:,} values: write it out")


def write_params(config: Config, path: Path) -> None:
    """Write `config` to the YAML file at `path`, as `read_params` reads it."""
    write_text(path, dump(asdict(config)))


def dump(values: Mapping[str, Any]) -> str:
    """Return `values` as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))
