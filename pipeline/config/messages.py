"""Errors of one line for whatever is wrong with a configuration.

Hydra, OmegaConf, PyYAML, pydantic and launchers each have errors of their own, often of many lines.
"""

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
"""The beginnings of hints in messages of Hydra and OmegaConf that do not apply to this program."""

MAX_KEYS = 3  # of a group that is quoted
MIN_LIKENESS = 0.7  # from 0 to 1: of a name that is proposed in place of an unknown one


@contextmanager
def composing(where: str) -> Iterator[None]:
    """Turn every error of a library in the block into a `UserError`, since the configuration is wrong.

    Errors of the project's own code pass through: those that a line of it raises, and those of a training
    that Hydra runs in the block, which `one_line_errors` has noted as faults of the project.

    Args:
        where: what the block composes or reads, for the message.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, KeyboardInterrupt):  # a launcher's error about Ctrl-C
            raise cause from None
        if REPORT in getattr(error, "__notes__", ()):
            raise
        if raised_by_us(error) and not isinstance(error, RecursionError):
            raise
        if isinstance(error, OSError) and error.filename:  # its message names the file
            raise
        message = explain(error)
        raise UserError(message if isinstance(error, HydraException) else f"{where}: {message}") from None


def raised_by_us(error: BaseException) -> bool:
    """Return whether a line of this package raised `error`."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return PACKAGE in Path(frame.f_code.co_filename).parents


def explain(error: BaseException) -> str:
    """Return what a library's `error` says about a configuration, in one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply, or within itself"
    message, *_ = HINTS_OF_HYDRA.split(str(error))
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return shorten(f"this is not YAML: {message}")
    if isinstance(error, OmegaConfBaseException):
        return shorten(f"{error.full_key}: {message}" if error.full_key else message)
    if not isinstance(error, HydraException):
        if not message and error.__traceback__:  # as of `assert`: quote the line that raised it
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
    """Return the message that the nested `values` have no dotted `key`.

    It names the keys that are there instead, and the most similar one.
    """
    known = {name: values[name] for name in values if key.startswith("hydra.") or name != "hydra"}
    there: Mapping[str, Any] = known
    parent = ""
    for step in key.split("."):
        wrong = step
        if not isinstance(there.get(step), Mapping):
            break
        there, parent = there[step], f"{parent}{step}."
    message = (
        f"there is no key {key}: {parent.rstrip('.') or 'the configuration'} has {', '.join(there) or 'none'}"
    )
    names = [f"{parent}{name}" for name in there]  # first, so that of equally similar ones these are proposed
    names += [name for name in dotted(known) if name not in names]
    nearest = max(names, key=lambda name: likeness(wrong, name.rpartition(".")[2]), default="")
    if likeness(wrong, nearest.rpartition(".")[2]) < MIN_LIKENESS:
        return shorten(message)
    return shorten(f"{message}; did you mean {nearest}?")


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all groups and values in `values`."""
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")


def likeness(wrong: str, name: str) -> float:
    """Return how similar two names are, from 0 to 1; `lr` and `rate` both stand for `learning_rate`."""
    words = name.split("_")
    initials = "".join(word[:1] for word in words)
    return max(SequenceMatcher(None, wrong, other).ratio() for other in (name, initials, *words))


def describe(error: ValidationError, values: Mapping[str, Any]) -> str:
    """Return one line about the first finding of pydantic's `error`.

    It is about an unknown or missing key, or it is `key = value: what would be right`.
    """
    findings = error.errors(include_url=False)
    unknown = [finding for finding in findings if finding["type"] == "unexpected_keyword_argument"]
    first = (unknown or findings)[0]
    keys: list[str] = []
    at: Any = values
    # pydantic's location also names the chosen member of a union, which is no key of the configuration.
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
    if not keys:  # it is about several values, and names them
        return right
    value = "" if isinstance(at, Mapping) and len(at) > MAX_KEYS else f" = {shorten(repr(at), 200)}"
    return f"{'.'.join(keys)}{value}: {right}"


def _known(values: Mapping[str, Any], findings: Sequence[Any]) -> dict[str, Any]:
    """Return `values` without the unknown keys and with the missing ones that pydantic's `findings` name."""
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
