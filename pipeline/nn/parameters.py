"""The weights and biases of a network as one vector."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from pipeline.nn.types import Array


class Parameters:
    """A number for each weight and each bias: the network's parameters, or the gradient with respect to them.

    Attributes:
        vector: all of them, every weight and then every bias; the optimizers work on this.
        weights: W⁽ˡ⁾ for l = 1 … L, shape (n_l, n_{l−1}); views of `vector`.
        biases: b⁽ˡ⁾ for l = 1 … L, shape (n_l,); views of `vector`. Empty where there are no biases.
        weight_count: how many numbers of `vector`, from its start, are weights.
    """

    def __init__(self, widths: Sequence[int], bias: bool, dtype: DTypeLike) -> None:
        self._layout = widths, bias, dtype
        shapes: list[tuple[int, ...]] = [(n, m) for m, n in pairwise(widths)]
        depth = len(shapes)
        if bias:
            shapes += [(n,) for n in widths[1:]]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        self.vector: Array = np.zeros(ends[-1], dtype)
        parts = np.split(self.vector, ends[:-1])
        views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        self.weights, self.biases = views[:depth], views[depth:]
        self.weight_count = int(ends[depth - 1])

    def zeros_like(self) -> Self:
        """Return as many zeros, laid out alike."""
        return type(self)(*self._layout)
