"""Virtual adversarial training: inputs moved to where the network's own answer changes most.

T. Miyato, S. Maeda, M. Koyama, K. Nakae, S. Ishii, "Distributional Smoothing with Virtual Adversarial
Training" (ICLR 2016). It needs no knowledge of what the inputs are, so permuting all pixels changes nothing.
"""

import numpy as np

from pipeline.nn.fast import Backpropagation
from pipeline.nn.losses import Canonical
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array

PROBE = 0.5  # length of the step at whose end the change of the outputs is measured


class Adversary:
    """Adds to each mini-batch a moved copy of its inputs, whose targets are the outputs before the move.

    With p the outputs at x and q those at x + r, D(p, q) is the canonical loss: cross-entropy for softmax,
    and p counts as a constant. The move r has length ε and the direction in which D grows fastest. The loss
    that is learned is the trainer's own: its mean over originals and copies, so that each half counts half.
    D has its minimum, 0, at r = 0, so its gradient there is 0 too. The gradient at the end of a short step in
    a random direction serves instead: that is one step of the power method for the Hessian's first
    eigenvector (section 3.2 of the paper).

    Args:
        mlp: the network, as it is trained.
        epsilon: ε, the length of the move, in units of the inputs.
        rows: of the largest mini-batch.
        rng: where the random directions come from.
    """

    def __init__(self, mlp: MLP, epsilon: float, rows: int, rng: np.random.Generator) -> None:
        self.mlp = mlp
        self.epsilon = epsilon
        self.rng = rng
        self._backpropagation = Backpropagation(mlp, Canonical(), rows)

    def __call__(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the mini-batch with its moved copy: inputs (2n, n_0) and targets (2n, n_L)."""
        p = self._backpropagation.outputs(x).copy()
        probe = x + PROBE * self._directions(self.rng.random(x.shape, x.dtype.type) - 0.5)
        move = self._directions(self._backpropagation.input_gradient(probe, p))
        return np.concatenate([x, x + self.epsilon * move]), np.asfortranarray(np.concatenate([y, p]))

    def _directions(self, vectors: Array) -> Array:
        """Return the rows of `vectors`, (n, n_0), at length 1; a row of zeros stays as it is."""
        largest = np.abs(vectors).max(axis=1, keepdims=True)
        vectors = vectors / np.where(largest > 0, largest, 1)  # so that no square is too small for its type
        squares = self.mlp.arithmetic.sum(vectors * vectors, axis=1)[:, None]
        return vectors / np.sqrt(np.maximum(squares, 1))
