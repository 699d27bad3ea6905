"""The overrides of a command line, `optimizer.learning_rate=0.1`, taken apart and shown in few words."""

from collections.abc import Mapping, Sequence

SEED = "seed"
REPEATS = (SEED, "split.fold")  # keys that repeat a configuration, instead of making another one
LONGEST = 6  # characters of a number that is shown as it is


def split_override(text: str) -> tuple[str, str]:
    """Return key and value of the override `text`."""
    key, _, value = text.partition("=")
    return key.lstrip("+~"), value


def label(overrides: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return the values of `keys` in few words: `learning_rate 0.1, seed 0`."""
    return ", ".join(f"{last_part(key)} {short(overrides[key])}" for key in keys if key in overrides)


def last_part(key: str) -> str:
    """Return the last part of a dotted `key`: `learning_rate` of `optimizer.learning_rate`."""
    return key.rpartition(".")[2]


def short(value: str) -> str:
    """Return `value`, rounded to four digits if it is a number with a long fraction."""
    try:
        return value if len(value) <= LONGEST or value.isdecimal() else f"{float(value):.4g}"
    except ValueError:
        return value
