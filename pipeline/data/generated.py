"""Generated datasets: alternating points and XOR. Their labels are one column of 0 and 1."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.data.dataset import Dataset, Part


def alternating(n: int) -> Part:
    """Return the 2ⁿ points x = 0, 2⁻ⁿ, …, 1 − 2⁻ⁿ, shape (2ⁿ, 1), with labels 0, 1, 0, 1, …, shape (2ⁿ, 1).

    The points are exact in float32. M. Telgarsky, "Representation Benefits of Deep Feedforward Networks"
    (2015), introduced the problem to compare depth with width.
    """
    i = np.arange(2**n)[:, None]
    return Part((i / 2**n).astype(np.float32), (i % 2).astype(np.uint8))


def xor() -> Part:
    """Return the four corners of the unit square, shape (4, 2), and their exclusive or, shape (4, 1)."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    labels = corners[:, :1] ^ corners[:, 1:]
    return Part(corners.astype(np.float32), labels.astype(np.uint8))


GENERATORS: dict[str, Callable[..., Part]] = {"alternating": alternating, "xor": xor}


def generate(kind: str, name: str, title: str, **parameters: Any) -> Dataset:
    """Return the dataset of this `kind`, a name in `GENERATORS`; all of it is the part `train`."""
    train = GENERATORS[kind](**parameters)
    nothing = Part(train.inputs[:0], train.targets[:0])
    return Dataset(
        name=name,
        title=title,
        classes=["0", "1"],
        image_shape=(1, train.inputs.shape[1]),
        train=train,
        test=nothing,
        official=nothing,
    )
