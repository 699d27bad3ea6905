"""A real browser for the tests of the page."""

import warnings
from collections.abc import Iterator

import pytest

from tests.browser import Browser, is_there

MISSING = "THE PAGE WAS NOT TESTED: there is no browser. Debian: apt install chromium chromium-driver"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Where there is none the test is skipped, and a warning at pytest's end says so."""
    if not is_there():
        warnings.warn(MISSING, stacklevel=1)
        pytest.skip(MISSING)
    browser = Browser()
    browser.prefer("light")
    yield browser
    browser.close()
