"""Who trains a wide network in `benchmarks.speed`, an epoch at a call, on two threads.

The network is 784-1200-1200-10 with ReLU, a softmax output and biases, in float32; the epoch is a random
permutation of the images in mini-batches of 256, a step of descent with momentum for each, by cross-entropy.
Every library is used in the fastest plain way found for it.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant, Epoch, timed
from pipeline.data.dataset import Dataset
from pipeline.nn.batches import MiniBatches
from pipeline.nn.initialisers import He
from pipeline.nn.losses import Canonical
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import Momentum
from pipeline.nn.training import Trainer
from pipeline.support.cores import product_threads

WIDTHS = (784, 1200, 1200, 10)
BATCH = 256
LEARNING_RATE = 0.1
MOMENTUM = 0.9
THREADS = 2


def products(dataset: Dataset, dtype: type[np.floating]) -> Epoch:
    """Prepare the eight matrix products of each mini-batch, laid out as ours are, in file order, no more."""
    images = dataset.train.inputs.astype(dtype)
    rng = np.random.default_rng(0)
    weights = [np.asarray(rng.standard_normal((n, m)), dtype) for m, n in pairwise(WIDTHS)]
    gradients = [np.empty_like(w) for w in weights]
    units = [np.asarray(rng.standard_normal((n, BATCH)), dtype) for n in WIDTHS[1:]]
    # Normal numbers: whatever lies in fresh memory may be slow to multiply.
    deltas = [np.asarray(rng.standard_normal(a.shape), dtype) for a in units]
    results = [np.empty_like(a) for a in units]

    def epoch() -> None:
        with product_threads(THREADS):
            for start in range(0, len(images) - BATCH + 1, BATCH):
                inputs = [images[start : start + BATCH].T, *units[:-1]]
                for w, a, z in zip(weights, inputs, results, strict=True):
                    np.dot(w, a, out=z)
                for layer in reversed(range(len(weights))):
                    np.dot(deltas[layer], inputs[layer].T, out=gradients[layer])
                    if layer:
                        np.dot(weights[layer].T, deltas[layer], out=results[layer - 1])

    return timed(epoch)


def ours(dataset: Dataset, arithmetic: str) -> Epoch:
    """Prepare this project's training epoch."""
    rng = np.random.default_rng(0)
    mlp = MLP(WIDTHS, activation="relu", output="softmax", bias=True, arithmetic=arithmetic)
    He().initialise(mlp, rng)
    optimizer = Momentum(learning_rate=LEARNING_RATE, momentum=MOMENTUM, nesterov=False)
    batches = MiniBatches(dataset.train, BATCH, rng, dtype=mlp.arithmetic.dtype)
    trainer = Trainer(mlp, Canonical(), optimizer)
    trainer.prepare(batches, epochs=1)

    def epoch() -> None:
        with product_threads(THREADS):
            trainer.train_epoch(batches)

    return timed(epoch)


def pytorch(dataset: Dataset) -> Epoch:
    """Prepare PyTorch, eager, with autograd and its fused optimizer."""
    import torch

    torch.set_num_threads(THREADS)
    images = torch.from_numpy(dataset.train.inputs)
    labels = torch.from_numpy(dataset.train.targets.argmax(axis=1))
    n0, n1, n2, n3 = WIDTHS
    network = torch.nn.Sequential(
        torch.nn.Linear(n0, n1),
        torch.nn.ReLU(),
        torch.nn.Linear(n1, n2),
        torch.nn.ReLU(),
        torch.nn.Linear(n2, n3),
    )
    cross_entropy = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)

    def epoch() -> None:
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()

    return timed(epoch)


def jax_step(dataset: Dataset) -> Epoch:
    """Prepare JAX with a call of a jitted function, gathering and all, for each mini-batch."""
    import jax  # type: ignore[import-not-found, unused-ignore]
    from jax import numpy as jnp  # type: ignore[import-not-found, unused-ignore]

    def loss(parameters: Any, x: Any, labels: Any) -> Any:
        *hidden, (w, b) = parameters
        for weights, bias in hidden:
            x = jax.nn.relu(x @ weights.T + bias)
        return -jnp.take_along_axis(jax.nn.log_softmax(x @ w.T + b), labels[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, images: Any, labels: Any, rows: Any) -> Any:
        parameters, velocity = state
        value, gradient = jax.value_and_grad(loss)(parameters, images[rows], labels[rows])
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
        parameters = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocity)
        return (parameters, velocity), value

    images, labels = jnp.asarray(dataset.train.inputs), jnp.asarray(dataset.train.targets.argmax(axis=1))
    rng = np.random.default_rng(0)
    parameters = [
        (jnp.asarray(rng.normal(0, (2 / m) ** 0.5, (n, m)), np.float32), jnp.zeros(n, np.float32))
        for m, n in pairwise(WIDTHS)
    ]
    state = (parameters, jax.tree.map(jnp.zeros_like, parameters))

    def epoch() -> None:
        nonlocal state
        order = rng.permutation(len(images)).astype(np.int32)
        for start in range(0, len(images), BATCH):
            state, _ = step(state, images, labels, order[start : start + BATCH])
        jax.block_until_ready(state)

    return timed(epoch)


CONTESTANTS = {
    "ours": Contestant("ours", partial(ours, arithmetic="float32"), one_core=False),
    "products": Contestant(
        "bare matrix products",
        partial(products, dtype=np.float32),
        one_core=False,
        at_least=1 / 1.15,
        target="ours ≤ 1.15 × the products",
    ),
    "pytorch": Contestant(
        "PyTorch eager", pytorch, distribution="torch", one_core=False, at_least=1.0, target="ours not slower"
    ),
    "jax_step": Contestant(
        "JAX jit, a call a mini-batch",
        jax_step,
        distribution="jax",
        one_core=False,
        at_least=1.0,
        target="ours not slower",
    ),
    "ours_exact": Contestant("ours", partial(ours, arithmetic="exact"), exact=True, one_core=False),
    "products_exact": Contestant(
        "bare matrix products in float64", partial(products, dtype=np.float64), exact=True, one_core=False
    ),
    "ours_in_float32": Contestant(
        "ours in float32",
        partial(ours, arithmetic="float32"),
        exact=True,
        one_core=False,
        at_least=1 / 2.5,
        target="exact ≤ 2.5 × float32",
    ),
}
