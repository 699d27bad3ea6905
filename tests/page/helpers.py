"""Helpers of the tests of the page: numbers that it tells, and a page with other contents."""

from pathlib import Path


def number(text: str) -> float:
    """Read a number as the page writes it."""
    superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    return float(text.replace("·10", "e").translate(superscripts))


def changed(page: Path, old: str, new: str, folder: Path) -> Path:
    """Write the page at `page`, with `new` for each `old`, into `folder`, and return its path."""
    text = page.read_text(encoding="utf-8")
    assert old in text
    copy = folder / page.name
    copy.write_text(text.replace(old, new), encoding="utf-8")
    return copy
