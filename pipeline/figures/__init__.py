"""The figures, each a function from numbers to a matplotlib figure; matplotlib without the user's settings.

matplotlib reads the environment variable MPLBACKEND and one `matplotlibrc` when it is imported. A backend
that is not installed here, such as the one that Jupyter and Colab set, or a file that is not UTF-8 would end
that import in an exception. Python imports this file before any module of the package, so matplotlib is
imported here first. Where it has been imported before, as in a notebook, nothing changes here;
`pipeline.figures.network.style` then keeps the settings out of the figures.
"""

import logging
import os
from contextlib import chdir
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def _import_matplotlib() -> None:
    """Import matplotlib with the settings that come with it."""
    spec = find_spec("matplotlib")
    assert spec and spec.origin
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        # matplotlib looks for a matplotlibrc in the working folder first, and its own is in this one.
        with chdir(Path(spec.origin).parent / "mpl-data"):
            import_module("matplotlib")
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no warnings about its caches
_import_matplotlib()
