"""Who trains the problem sheet's network for MNIST in `benchmarks.speed`, an epoch at a call, on one thread.

The network is 784-100-10 with ReLU on both layers and without biases, in float32; the epoch is a random
permutation of the images in mini-batches of 20, a step of SGD for each, by the canonical loss. Where a
contestant differs, its docstring says so. Every library is used in the fastest plain way found for it.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contestants import Contestant, Epoch, timed
from pipeline.data.dataset import Dataset
from pipeline.nn.batches import MiniBatches
from pipeline.nn.callbacks import Measuring
from pipeline.nn.initialisers import Normal
from pipeline.nn.losses import Canonical
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import SGD
from pipeline.nn.training import Callback, Trainer

WIDTHS = (784, 100, 10)
BATCH = 20
LEARNING_RATE = 0.1
GATHERED = 50 * BATCH  # images gathered by one call, where that is faster than a call for each mini-batch
EPOCHS = 20  # of the run that the cost of measuring accuracy is a share of


def products(dataset: Dataset, dtype: type[np.floating]) -> Epoch:
    """Prepare the five matrix products of each mini-batch, laid out as ours are, in file order, no more."""
    images = dataset.train.inputs.astype(dtype)
    rng = np.random.default_rng(0)
    n0, n1, n2 = WIDTHS
    shapes = [(n1, n0), (n2, n1), (n1, BATCH), (n1, BATCH), (n2, BATCH), (n2, BATCH), (n1, BATCH)]
    w1, w2, z1, a1, z2, delta2, delta1 = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    g1, g2 = np.empty_like(w1), np.empty_like(w2)

    def epoch() -> None:
        for start in range(0, len(images), BATCH):
            x = images[start : start + BATCH]
            np.dot(w1, x.T, out=z1)
            np.dot(w2, a1, out=z2)
            np.dot(delta2, a1.T, out=g2)
            np.dot(w2.T, delta2, out=delta1)
            np.dot(delta1, x, out=g1)

    return timed(epoch)


def ours(dataset: Dataset, arithmetic: str) -> Epoch:
    """Prepare this project's training epoch."""
    rng = np.random.default_rng(0)
    mlp = _network(rng, arithmetic)
    batches = MiniBatches(dataset.train, BATCH, rng, dtype=mlp.arithmetic.dtype)
    trainer = _trainer(mlp)
    trainer.prepare(batches, epochs=1)
    return timed(lambda: trainer.train_epoch(batches))


def ours_measured(dataset: Dataset) -> Epoch:
    """Prepare this project's training with accuracy on train and test after each epoch.

    A call trains for a few epochs and returns an epoch's share of a run of `EPOCHS`: the measurement after
    the last one has nothing to overlap with.
    """
    rng = np.random.default_rng(0)
    mlp = _network(rng, "exact")
    batches = MiniBatches(dataset.train, BATCH, rng, dtype=mlp.arithmetic.dtype)

    class Clock(Callback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_measured(self, measurement: Measurement) -> None:
            self.times.append(time.perf_counter())

    def share() -> float:
        clock, measuring = Clock(), Measuring({"train": dataset.train, "test": dataset.test})
        _trainer(mlp).fit(batches, 6, [measuring, clock])
        # Measurements come an epoch late: the first after two epochs, the last two without one in between.
        *ends, end = clock.times
        return median(after - before for before, after in pairwise(ends)) + (end - ends[-1]) / EPOCHS

    return share


def scikit_learn(dataset: Dataset) -> Epoch:
    """Prepare scikit-learn's MLPClassifier, which always has biases, a softmax output and cross-entropy.

    `partial_fit` on all images is one epoch in mini-batches.
    """
    from sklearn.neural_network import MLPClassifier

    images, labels = dataset.train.inputs, dataset.train.targets.argmax(axis=1)
    classifier = MLPClassifier(
        WIDTHS[1:-1],
        solver="sgd",
        batch_size=BATCH,
        learning_rate_init=LEARNING_RATE,
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
    )
    return timed(lambda: classifier.partial_fit(images, labels, classes=range(WIDTHS[-1])))


def pytorch(dataset: Dataset) -> Epoch:
    """Prepare PyTorch, eager, with autograd."""
    import torch

    torch.set_num_threads(1)
    images = torch.from_numpy(dataset.train.inputs)
    labels = torch.from_numpy(dataset.train.targets.astype(np.float32))
    n0, n1, n2 = WIDTHS
    network = torch.nn.Sequential(
        torch.nn.Linear(n0, n1, bias=False), torch.nn.ReLU(), torch.nn.Linear(n1, n2, bias=False)
    )
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)

    def epoch() -> None:
        for rows in torch.randperm(len(images)).split(GATHERED):
            for x, y in zip(images[rows].split(BATCH), labels[rows].split(BATCH), strict=True):
                optimizer.zero_grad()
                z = network(x)
                loss = (0.5 * z.relu().square() - y * z).sum() / BATCH
                loss.backward()
                optimizer.step()

    return timed(epoch)


def jax_step(dataset: Dataset) -> Epoch:
    """Prepare JAX with a call of a jitted function, gathering and all, for each mini-batch."""
    import jax  # type: ignore[import-not-found, unused-ignore]

    @partial(jax.jit, donate_argnums=0)
    def step(parameters: Any, images: Any, labels: Any, order: Any, start: Any) -> Any:
        rows = jax.lax.dynamic_slice(order, (start,), (BATCH,))
        return _jax_step(parameters, images[rows], labels[rows])

    def run(parameters: Any, images: Any, labels: Any, order: Any) -> Any:
        for start in range(0, len(order), BATCH):
            parameters, _ = step(parameters, images, labels, order, start)
        return parameters

    return _jax_epoch(run, dataset)


def jax_scan(dataset: Dataset) -> Epoch:
    """Prepare JAX with the whole epoch compiled into one program: `lax.scan` over the mini-batches."""
    import jax  # type: ignore[import-not-found, unused-ignore]

    @partial(jax.jit, donate_argnums=0)
    def scan(parameters: Any, images: Any, labels: Any, order: Any) -> Any:
        def gather_and_step(parameters: Any, rows: Any) -> Any:
            return _jax_step(parameters, images[rows], labels[rows])

        batches = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
        return jax.lax.scan(gather_and_step, parameters, batches)

    def run(parameters: Any, images: Any, labels: Any, order: Any) -> Any:
        parameters, _ = scan(parameters, images, labels, order)
        return parameters

    return _jax_epoch(run, dataset)


def _jax_step(parameters: Any, x: Any, y: Any) -> Any:
    """Return the parameters after a step of SGD, and the loss."""
    import jax  # type: ignore[import-not-found, unused-ignore]

    def loss(parameters: Any) -> Any:
        w1, w2 = parameters
        z = jax.nn.relu(x @ w1.T) @ w2.T
        return (0.5 * jax.nn.relu(z) ** 2 - y * z).sum() / BATCH

    value, gradient = jax.value_and_grad(loss)(parameters)
    return [w - LEARNING_RATE * g for w, g in zip(parameters, gradient, strict=True)], value


def _jax_epoch(run: Callable[..., Any], dataset: Dataset) -> Epoch:
    """Return a function that has `run` train the network on the images in a new order."""
    import jax  # type: ignore[import-not-found, unused-ignore]

    images = jax.numpy.asarray(dataset.train.inputs)
    labels = jax.numpy.asarray(dataset.train.targets, np.float32)
    rng = np.random.default_rng(0)
    parameters = [jax.numpy.asarray(weights) for weights in _network(rng).weights]

    def epoch() -> None:
        nonlocal parameters
        order = jax.numpy.asarray(rng.permutation(len(images)))
        parameters = jax.block_until_ready(run(parameters, images, labels, order))

    return timed(epoch)


def _network(rng: np.random.Generator, arithmetic: str = "float32") -> MLP:
    mlp = MLP(WIDTHS, activation="relu", output="relu", bias=False, arithmetic=arithmetic)
    Normal(scale=0.1).initialise(mlp, rng)
    return mlp


def _trainer(mlp: MLP) -> Trainer:
    return Trainer(mlp, Canonical(), SGD(learning_rate=LEARNING_RATE))


CONTESTANTS = {
    "ours": Contestant("ours", partial(ours, arithmetic="float32")),
    "products": Contestant(
        "bare matrix products",
        partial(products, dtype=np.float32),
        at_least=1 / 1.15,
        target="ours ≤ 1.15 × the products",
    ),
    "scikit_learn": Contestant(
        "scikit-learn MLPClassifier",
        scikit_learn,
        distribution="scikit-learn",
        at_least=3.0,
        target="ours ≥ 3 × faster",
    ),
    "pytorch": Contestant(
        "PyTorch eager", pytorch, distribution="torch", at_least=3.3, target="ours ≥ 3.3 × faster"
    ),
    "jax_step": Contestant("JAX jit, a call a mini-batch", jax_step, distribution="jax"),
    "jax_scan": Contestant("JAX jit + scan, a call an epoch", jax_scan, distribution="jax"),
    "ours_exact": Contestant("ours", partial(ours, arithmetic="exact"), exact=True),
    "products_exact": Contestant(
        "bare matrix products in float64", partial(products, dtype=np.float64), exact=True
    ),
    "ours_in_float32": Contestant(
        "ours in float32",
        partial(ours, arithmetic="float32"),
        exact=True,
        at_least=1 / 2.8,
        target="exact ≤ 2.8 × float32",
    ),
    "measured_exact": Contestant(
        "ours, with accuracy each epoch",
        ours_measured,
        exact=True,
        one_core=False,
        at_most=1.25,
        target="adds ≤ 25 %",
    ),
}
