"""The array type that the mathematics is written for."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
