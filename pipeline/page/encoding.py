"""Arrays as the page holds them: their bytes in base64.

Nothing is compressed: a compressed file's bytes depend on the library that compresses, and the page's should
depend on the run alone.
"""

from base64 import b64encode
from typing import Any

import numpy as np

LARGEST = 127  # of a signed byte


def base64(array: np.ndarray) -> str:
    """Return the bytes of `array`."""
    return b64encode(array.tobytes()).decode("ascii")


def floats(array: np.ndarray) -> str:
    """Return `array`, rounded to float32."""
    return base64(array.astype("<f4"))


def quantised(array: np.ndarray) -> dict[str, Any]:
    """Return `array` for a picture: whole multiples, from −127 to 127, of one step."""
    step = float(np.abs(array).max(initial=0)) / LARGEST
    return {"step": step, "values": base64(np.rint(array / (step or 1)).astype(np.int8))}
