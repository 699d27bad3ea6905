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

MOST_VALUES = 100_000  # that a YAML file may hold once its aliases are written out


def resolve(values: DictConfig, where: str) -> Config:
    """Check `values` as `parse` does, with what stands for its interpolations.

    Raises:
        UserError: as `parse`, and on an interpolation of what is not there.
    """
    with composing(where):
        plain = OmegaConf.to_container(values, resolve=True)
    return parse(plain, where)  # type: ignore[arg-type]


def read_composed(values: DictConfig) -> Config:
    """Check the configuration that Hydra composed, without Hydra's own part.

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
    """Return what the YAML in `text` holds, read as Hydra reads it: to PyYAML itself 1e-3 is no number."""
    try:
        return OmegaConf.load(StringIO(text))
    except OSError:  # which is what OmegaConf raises of a number, say
        return None


def check_aliases(text: str, where: str) -> None:
    """Raise `UserError` if the aliases of the YAML in `text` make much of little, or one holds itself.

    Ten aliases of ten aliases of …, or "billion laughs", would take all memory when they are loaded.
    """
    if "*" not in text:
        return
    sizes: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        """Return how many values `node` has once its aliases are written out."""
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES  # what an alias within it would find
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
            sizes[id(node)] = 1 + sum(map(count, parts))
        return sizes[id(node)]

    root = yaml.compose(text, yaml.SafeLoader)
    if root and count(root) > MOST_VALUES:
        raise UserError(f"{where}: its aliases (*) stand for more than {MOST_VALUES:,} values: write it out")


def write_params(config: Config, path: Path) -> None:
    """Write `config` to the YAML file at `path`, for `read_params`."""
    write_text(path, dump(asdict(config)))


def dump(values: Mapping[str, Any]) -> str:
    """Return `values` as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))
