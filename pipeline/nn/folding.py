"""From a network that was trained with batch normalisation to a plain one."""

import numpy as np

from pipeline.nn.batch_norm import normalise
from pipeline.nn.fast import forward_in_blocks
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array

FOLDING_ROWS = 10_000  # training rows over which mean and variance are taken, at most


def folded(mlp: MLP, inputs: Array) -> MLP:
    """Return the plain network that computes what `mlp`, trained with batch normalisation, has learned.

    Mean and variance of each unit are those over the training `inputs`, shape (n, n_0), or over ten thousand
    of them, and no longer those over a mini-batch. So they are constants, which become part of the weights
    and biases, a layer after another.
    """
    if len(inputs) > FOLDING_ROWS:  # any of them: the first ones are of few classes where a file is sorted
        chosen = np.random.Generator(np.random.PCG64(0)).permutation(len(inputs))[:FOLDING_ROWS]
        inputs = inputs[np.sort(chosen)]
    plain = mlp.copy()
    plain.batch_norm = False
    for layer, (weights, biases) in enumerate(zip(plain.weights[:-1], plain.biases, strict=False)):
        learned = biases.copy()
        biases[:] = 0
        blocks = forward_in_blocks(plain, inputs)
        before = normalise(np.concatenate([z[layer] for _, z, _ in blocks]), plain.arithmetic)
        weights /= before.deviation[:, None]
        biases[:] = learned - before.mean / before.deviation
    return plain
