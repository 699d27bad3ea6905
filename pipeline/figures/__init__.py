"""The figures, each a function from numbers to a matplotlib figure.

The environment variable MPLBACKEND may name a backend that is not installed here, as Jupyter's and Colab's
is not, and importing matplotlib would fail. So this file imports it without that variable, and Python imports
this file before any module of the package. `pipeline.figures.style.style` keeps the user's other settings
out of the figures.
"""

import logging
import os

_backend = os.environ.pop("MPLBACKEND", None)
logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no warnings about its caches and its settings

import matplotlib  # noqa: E402, F401

if _backend is not None:
    os.environ["MPLBACKEND"] = _backend
