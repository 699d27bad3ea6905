"""What Hydra, OmegaConf, YAML or a launcher raises of a configuration, told in one line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from difflib import SequenceMatcher
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from pydantic import ValidationError

import pipeline
from pipeline.support.errors import REPORT, UserError, shorten

PACKAGE = Path(pipeline.__file__).parent
HINTS_OF_HYDRA = re.compile(
    r"\n\s*(?:Config search path|To append to your config|See https|full_key:)|, set env var HYDRA_FULL_ERROR"
)
"""Where in a message of Hydra or OmegaConf the hints begin that do not apply to this program."""

LEAST_LIKENESS = 0.7  # of two names, from 0 to 1, for one to be proposed in place of the other


@contextmanager
def composing(where: str) -> Iterator[None]:
    """Raise `UserError` for whatever the libraries raise in the block, which composes or reads `where`.

    What our own code raises, there or in a task that Hydra runs in the block, is not the configuration's.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        if REPORT in getattr(error, "__notes__", ()):
            raise
        if raised_by_us(error) and not isinstance(error, RecursionError):
            raise
        if isinstance(error, OSError) and error.filename:  # says for itself where
            raise
        told = explain(error)
        raise UserError(told if isinstance(error, HydraException) else f"{where}: {told}") from None


def raised_by_us(error: BaseException) -> bool:
    """Return whether it was a line of this package that raised `error`."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return PACKAGE in Path(frame.f_code.co_filename).parents


def explain(error: BaseException) -> str:
    """Return what is wrong with a configuration of which a library raised `error`, in one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply, or within itself"
    message, *_ = HINTS_OF_HYDRA.split(str(error))
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return shorten(f"this is not YAML: {message}")
    if isinstance(error, OmegaConfBaseException):
        return shorten(f"{error.full_key}: {message}" if error.full_key else message)
    if not isinstance(error, HydraException):
        if not message and error.__traceback__:  # as of `assert`: the line that raised it says more
            message = extract_tb(error.__traceback__)[-1].line or ""
        return shorten(f"{type(error).__name__}: {message}".rstrip(": "))
    if isinstance(error, OverrideParseException):
        return shorten(f"{error.override}: {message}")
    cause = error.__cause__ or error.__context__
    if not cause:
        return shorten(message)
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.parent_node is not None:
        values = OmegaConf.to_container(cause.parent_node._get_root(), resolve=False)
        if wrong := re.match(r"Could not override '([^'@]+)'\.$", message):
            return unknown_key(wrong[1], values)  # type: ignore[arg-type]
    return shorten(f"{message} ({explain(cause)})") if message else explain(cause)


def unknown_key(key: str, values: Mapping[str, Any]) -> str:
    """Say that there is no dotted `key` in the nested `values`, which keys there are, and the nearest."""
    known = {name: values[name] for name in values if key.startswith("hydra.") or name != "hydra"}
    there: Mapping[str, Any] = known
    parent = ""
    for step in key.split("."):
        wrong = step
        if not isinstance(there.get(step), Mapping):
            break
        there, parent = there[step], f"{parent}{step}."
    told = (
        f"there is no key {key}: {parent.rstrip('.') or 'the configuration'} has {', '.join(there) or 'none'}"
    )
    names = [f"{parent}{name}" for name in there]  # where several are as near, one in the same place
    names += [name for name in dotted(known) if name not in names]
    nearest = max(names, key=lambda name: likeness(wrong, name.rpartition(".")[2]), default="")
    if likeness(wrong, nearest.rpartition(".")[2]) < LEAST_LIKENESS:
        return shorten(told)
    return shorten(f"{told}; did you mean {nearest}?")


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of everything in `values`."""
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")


def likeness(wrong: str, name: str) -> float:
    """Return how alike two names are, from 0 to 1; `lr` and `rate` are as good as `learning_rate`."""
    words = name.split("_")
    initials = "".join(word[:1] for word in words)
    return max(SequenceMatcher(None, wrong, other).ratio() for other in (name, initials, *words))


def describe(error: ValidationError, values: Mapping[str, Any]) -> str:
    """Say which key there is not, or `key = value: what would be right` of the first wrong value."""
    findings = error.errors(include_url=False)
    unknown = [finding for finding in findings if finding["type"] == "unexpected_keyword_argument"]
    first = (unknown or findings)[0]
    keys: list[str] = []
    at: Any = values
    # Pydantic's location also names the chosen member of a union: what is no key of ours is left out.
    for step in first["loc"]:
        children = dict(enumerate(at)) if isinstance(at, list) else at
        if isinstance(children, Mapping) and step in children:
            keys.append(str(step))
            at = children[step]
    context = first.get("ctx", {})
    discriminator = context.get("discriminator", "").strip("'")
    match first["type"]:
        case "missing":
            return f"the key {'.'.join([*keys, str(first['loc'][-1])])} is missing"
        case "union_tag_not_found":
            return f"the key {'.'.join([*keys, discriminator])} is missing"
        case "unexpected_keyword_argument":
            return unknown_key(".".join(keys), _known(values, findings))
        case "union_tag_invalid":
            keys.append(discriminator)
            at = context["tag"]
            right = f"should be one of {context['expected_tags']}"
        case _:
            right = first["msg"].removeprefix("Input ").removeprefix("String ").removeprefix("Value error, ")
    if not keys:  # it is of several values, and says which
        return right
    return f"{'.'.join(keys)} = {shorten(repr(at), 200)}: {right}"


def _known(values: Mapping[str, Any], findings: Sequence[Any]) -> dict[str, Any]:
    """Return `values`, of which pydantic found `findings`, with the keys that there should be."""
    known = deepcopy(dict(values))
    for finding in findings:
        *path, name = finding["loc"]
        group: Any = known
        for step in path:
            group = group.get(step, group) if isinstance(group, dict) else group
        if isinstance(group, dict) and finding["type"] == "unexpected_keyword_argument":
            group.pop(name, None)
        elif isinstance(group, dict) and finding["type"] == "missing":
            group[name] = None
    return known
