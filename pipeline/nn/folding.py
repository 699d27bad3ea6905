"""From a network that was trained with batch normalisation to a plain one."""

import numpy as np

from pipeline.nn.batch_norm import normalise
from pipeline.nn.fast import PREDICTION_ROWS, as_factor, pre_activations
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
    below = inputs
    for i, (weights, biases) in enumerate(zip(plain.weights[:-1], plain.biases, strict=False)):
        biases[:] = 0
        before = normalise(layer_in_blocks(plain, i, below), plain.arithmetic)
        weights /= before.deviation[:, None]
        biases[:] = mlp.biases[i] - before.mean / before.deviation
        below = plain.functions[i].forward(layer_in_blocks(plain, i, below))
    return plain


def layer_in_blocks(mlp: MLP, i: int, below: Array) -> Array:
    """Return z of the layer with the weights number `i` from the activations `below`, (n, n_i)."""
    weights = as_factor(mlp, mlp.weights[i])
    return np.concatenate(
        [
            pre_activations(
                mlp, i, weights, np.asarray(below[start : start + PREDICTION_ROWS], mlp.arithmetic.dtype)
            )
            for start in range(0, len(below), PREDICTION_ROWS)
        ]
    )
