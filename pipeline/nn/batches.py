"""Mini-batches: each epoch all images in a random order, gathered, and distorted where that is asked for."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import DTypeLike

from pipeline.data.dataset import Part
from pipeline.nn.losses import smooth
from pipeline.nn.types import Array

GATHERED_BYTES = 1 << 20  # of images gathered by one call, for many mini-batches, and still in the cache

Augment = Callable[[Array], Array]  # from images to images that are distorted; makes new arrays


def mini_batches(
    part: Part,
    batch_size: int,
    dtype: DTypeLike,
    rng: np.random.Generator,
    label_smoothing: float = 0.0,
    augment: Augment | None = None,
) -> Iterator[tuple[Array, Array]]:
    """Yield images and labels, shapes (rows, n_0) and (rows, n_L), in a random order; each image once.

    What is yielded is overwritten after some further mini-batches. Only a few MiB of the images, which may
    be mapped from a file, are in memory at a time.
    """
    blocks = gathered_blocks(part, batch_size, dtype, rng, label_smoothing, augment)
    for x, y in computed_ahead(blocks) if augment else blocks:
        for first in range(0, len(x), batch_size):
            yield x[first : first + batch_size], y[first : first + batch_size]


def gathered_blocks(
    part: Part,
    batch_size: int,
    dtype: DTypeLike,
    rng: np.random.Generator,
    label_smoothing: float,
    augment: Augment | None,
) -> Iterator[tuple[Array, Array]]:
    """Yield the images and labels of some mini-batches at a time, in a random order."""
    order = rng.permutation(len(part.images))
    row_bytes = part.images[:1].nbytes
    gathered = max(1, GATHERED_BYTES // (row_bytes * batch_size)) * batch_size
    buffer = np.empty((min(gathered, len(order)), part.images.shape[1]), part.images.dtype)
    converted = buffer if buffer.dtype == dtype else np.empty_like(buffer, dtype)
    for start in range(0, len(order), gathered):
        rows = order[start : start + gathered]
        # mode="clip", or NumPy would gather into a second buffer in case an index is out of range.
        part.images.take(rows, axis=0, out=buffer[: len(rows)], mode="clip")
        if augment:
            x = augment(buffer[: len(rows)]).astype(dtype, copy=False)
        else:
            x = converted[: len(rows)]
            if converted is not buffer:
                x[:] = buffer[: len(rows)]
        y = part.labels.take(rows, axis=0).astype(dtype, order="F")  # as the activations are
        if label_smoothing:
            y = smooth(y, label_smoothing)
        yield x, y


def computed_ahead(blocks: Iterator[tuple[Array, Array]]) -> Iterator[tuple[Array, Array]]:
    """Yield what `blocks` yields, in its order, while a second thread computes the next one.

    What is yielded must not be overwritten by the next one: so it is where `augment` makes new arrays.
    """
    with ThreadPoolExecutor(max_workers=1) as second_thread:
        following = second_thread.submit(next, blocks, None)
        while block := following.result():
            following = second_thread.submit(next, blocks, None)
            yield block
