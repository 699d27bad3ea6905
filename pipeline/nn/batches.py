"""Mini-batches: in each epoch all examples in a random order; images are distorted if that is asked for."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from pipeline.nn.losses import smooth
from pipeline.nn.types import Array, Part

GATHERED_BYTES = 1 << 20  # of inputs gathered by one call, for many mini-batches, and still in the cache

Augment = Callable[[Array], Array]  # from images to images that are distorted; makes new arrays
Block = tuple[Array, Array, list[slice]]  # inputs and targets of some mini-batches, and the rows of each


class MiniBatches:
    """The mini-batches of an epoch: inputs and targets, shapes (rows, n_0) and (rows, n_L), each row once.

    Every iteration is an epoch, in a new random order. What it yields is overwritten after some further
    mini-batches. Only a few MiB of the inputs, which may be mapped from a file, are in memory at a time.

    If the number of rows is not a multiple of `batch_size`, some mini-batches have one row less than others.
    If the last one took what is left, perhaps a single row, its gradient would be mostly noise, and its step
    would be as long as the others.

    Args:
        part: the inputs and their targets.
        batch_size: rows of a mini-batch, at most. None for all of them.
        rng: where the permutations come from.
        dtype: of what is yielded: the network's.
        label_smoothing: share of each 1 in the targets that is spread over all classes.
        augment: what distorts the images, anew in each epoch; None for nothing.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int | None,
        rng: np.random.Generator,
        *,
        dtype: DTypeLike = np.float64,
        label_smoothing: float = 0.0,
        augment: Augment | None = None,
    ) -> None:
        self.part = part
        self.batch_size = batch_size or len(part.inputs)
        self.rng = rng
        self.dtype = dtype
        self.label_smoothing = label_smoothing
        self.augment = augment

    def __len__(self) -> int:
        return math.ceil(len(self.part.inputs) / self.batch_size)

    @property
    def rows(self) -> int:
        """How many rows the largest mini-batch has."""
        return math.ceil(len(self.part.inputs) / len(self))

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        blocks = self._gathered_blocks()
        for x, y, slices in computed_ahead(blocks) if self.augment else blocks:
            for rows in slices:
                yield x[rows], y[rows]

    def _gathered_blocks(self) -> Iterator[Block]:
        """Yield some mini-batches at a time, in a random order."""
        inputs, targets = self.part.inputs, self.part.targets
        order = self.rng.permutation(len(inputs))
        smallest, larger_ones = divmod(len(order), len(self))
        starts = [smallest * i + min(i, larger_ones) for i in range(len(self) + 1)]
        gathered = max(1, GATHERED_BYTES // (inputs[:1].nbytes * self.rows))
        buffer = np.empty((min(gathered * self.rows, len(order)), inputs.shape[1]), inputs.dtype)
        converted = buffer if buffer.dtype == self.dtype else np.empty_like(buffer, self.dtype)
        for first in range(0, len(self), gathered):
            bounds = starts[first : first + gathered + 1]
            rows = order[bounds[0] : bounds[-1]]
            # mode="clip", or NumPy would gather into a second buffer in case an index is out of range.
            inputs.take(rows, axis=0, out=buffer[: len(rows)], mode="clip")
            if self.augment:
                x = self.augment(buffer[: len(rows)]).astype(self.dtype, copy=False)
            else:
                x = converted[: len(rows)]
                if converted is not buffer:
                    x[:] = buffer[: len(rows)]
            y = targets.take(rows, axis=0).astype(self.dtype, order="F")  # as the activations are
            if self.label_smoothing:
                y = smooth(y, self.label_smoothing)
            yield x, y, [slice(start - bounds[0], end - bounds[0]) for start, end in pairwise(bounds)]


def computed_ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield what `blocks` yields, in its order, while a second thread computes the next one.

    What is yielded must not be overwritten by the next one: so it is where `augment` makes new arrays.
    """
    with ThreadPoolExecutor(max_workers=1) as second_thread:
        following = second_thread.submit(next, blocks, None)
        while block := following.result():
            following = second_thread.submit(next, blocks, None)
            yield block
