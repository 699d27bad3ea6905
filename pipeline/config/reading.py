"""Configurations read from YAML and written to it."""

from collections.abc import Mapping
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pipeline.config.messages import composing
from pipeline.config.schema import Config, parse
from pipeline.support.errors import UserError
from pipeline.support.files import PARAMS, write_text


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


def write_params(config: Config, path: Path) -> None:
    """Write `config` to the YAML file at `path`, as `read_params` reads it."""
    write_text(path, dump(asdict(config)))


def dump(values: Mapping[str, Any]) -> str:
    """Return `values` as YAML, in their order."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))
