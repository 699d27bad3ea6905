"""Who trains in `benchmarks.time_to_accuracy`, each library in a process of its own.

`python -m benchmarks.accuracy_workers LIBRARY FOLDER CONFIG GOAL` prepares the library for the data in FOLDER
and the training that CONFIG, a whole configuration in JSON, describes. It answers with the library's version.
Then it trains once for each seed that it reads, a line of standard input, until GOAL, a share of the official
images, is read correctly. It answers with a line of JSON: seconds and accuracy after each epoch.
"""

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.config.schema import Config, parse
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.nn.fast import predict
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import Momentum
from pipeline.runs.build import Streams, build_batches, build_network, build_training
from pipeline.support.cores import product_threads

PACKAGES = {"ours": "numpy", "exact": "numpy", "pytorch": "torch", "jax": "jax"}


class Learner(ABC):
    """A library that trains the network of `config` on `dataset`."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset

    @abstractmethod
    def start(self, seed: int) -> None:
        """Get ready for the first mini-batch of a training with `seed`."""

    @abstractmethod
    def train_epoch(self) -> None:
        """Make the steps of an epoch; return when the last of them is done."""

    @abstractmethod
    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs for `images`, (n, 784), shape (n, 10); the largest is the answer."""


class Ours(Learner):
    """This project."""

    def __init__(self, config: Config, dataset: Dataset, arithmetic: Literal["exact", "float32"]) -> None:
        super().__init__(with_arithmetic(config, arithmetic), dataset)

    def start(self, seed: int) -> None:
        training = build_training(replace(self.config, seed=seed), self.dataset)
        self.trainer, self.batches = training.trainer, training.batches
        self.trainer.prepare(self.batches, training.epochs)

    def train_epoch(self) -> None:
        self.trainer.train_epoch(self.batches)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        return predict(self.trainer.to_measure, images)


class StepByStep(Learner):
    """A library that is given this project's first weights, mini-batches in float32 and learning rates."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        super().__init__(with_arithmetic(config, "float32"), dataset)
        assert isinstance(config.optimizer, Momentum)
        self.momentum, self.nesterov = config.optimizer.momentum, config.optimizer.nesterov

    def start(self, seed: int) -> None:
        streams = Streams(seed)
        mlp = build_network(self.config, self.dataset, streams.initialisation)
        self.batches = build_batches(self.config, self.dataset, mlp, streams)
        self.epoch = 0
        self.begin(mlp)

    def train_epoch(self) -> None:
        base, total = self.config.optimizer.learning_rate, self.config.training.epochs
        rates = self.config.schedule.rates_of_epoch(base, self.epoch, len(self.batches), total)
        for (x, y), rate in zip(self.batches, rates, strict=True):
            self.step(x, np.ascontiguousarray(y), rate)
        self.epoch += 1
        self.wait()

    @abstractmethod
    def begin(self, mlp: MLP) -> None:
        """Take the first weights of `mlp`."""

    @abstractmethod
    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> None:
        """Make a step on a mini-batch of images, (n, 784), and their labels, (n, 10), at a learning rate."""

    def wait(self) -> None:
        """Wait for the last step, where a library makes its steps in the background."""


class PyTorch(StepByStep):
    """PyTorch, eager, with autograd and its fused optimizer."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        import torch

        super().__init__(config, dataset)
        torch.set_num_threads(config.training.threads)

    def begin(self, mlp: MLP) -> None:
        import torch

        layers: list[Any] = []
        for n_in, n_out in pairwise(mlp.widths):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers[:-1])
        with torch.no_grad():
            for layer, weights, biases in zip(layers[::2], mlp.weights, mlp.biases, strict=True):
                layer.weight.copy_(torch.from_numpy(weights))
                layer.bias.copy_(torch.from_numpy(biases))
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=self.config.optimizer.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            fused=True,
        )

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> None:
        import torch

        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        outputs = self.network(torch.from_numpy(x))
        torch.nn.functional.cross_entropy(outputs, torch.from_numpy(y)).backward()
        self.optimizer.step()

    def outputs(self, images: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            return np.asarray(self.network(torch.from_numpy(np.array(images))))


class Jax(StepByStep):
    """JAX, a call of a compiled function for each mini-batch."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        import jax  # type: ignore[import-not-found, unused-ignore]

        super().__init__(config, dataset)
        momentum, nesterov = self.momentum, self.nesterov

        def forward(parameters: Any, x: Any) -> Any:
            *hidden, (weights, biases) = parameters
            for w, b in hidden:
                x = jax.nn.relu(x @ w.T + b)
            return x @ weights.T + biases

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            return -(y * jax.nn.log_softmax(forward(parameters, x))).sum() / len(x)

        @partial(jax.jit, donate_argnums=0)
        def step(state: Any, x: Any, y: Any, rate: Any) -> Any:
            parameters, velocity = state
            gradient = jax.grad(loss)(parameters, x, y)
            velocity = jax.tree.map(lambda v, g: momentum * v + rate * g, velocity, gradient)
            steps = velocity
            if nesterov:
                steps = jax.tree.map(lambda v, g: momentum * v + rate * g, velocity, gradient)
            return jax.tree.map(lambda p, s: p - s, parameters, steps), velocity

        self._forward, self._step = jax.jit(forward), step

    def begin(self, mlp: MLP) -> None:
        import jax
        from jax import numpy as jnp  # type: ignore[import-not-found, unused-ignore]

        parameters = [
            (jnp.array(weights), jnp.array(biases))
            for weights, biases in zip(mlp.weights, mlp.biases, strict=True)
        ]
        self.state = parameters, jax.tree.map(jnp.zeros_like, parameters)

    def step(self, x: np.ndarray, y: np.ndarray, rate: float) -> None:
        # JAX reads the images later, when `x` holds others.
        self.state = self._step(self.state, np.array(x), y, rate)

    def wait(self) -> None:
        import jax

        jax.block_until_ready(self.state)

    def outputs(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self.state[0], images))


LEARNERS: dict[str, Callable[[Config, Dataset], Learner]] = {
    "ours": partial(Ours, arithmetic="float32"),
    "exact": partial(Ours, arithmetic="exact"),
    "pytorch": PyTorch,
    "jax": Jax,
}


def with_arithmetic(config: Config, arithmetic: Literal["exact", "float32"]) -> Config:
    """Return `config` with another arithmetic."""
    return replace(config, training=replace(config.training, arithmetic=arithmetic))


def train(learner: Learner, seed: int, goal: float) -> list[tuple[float, float]]:
    """Train until `goal` is reached, or to the last epoch.

    Args:
        learner: who trains.
        seed: of the training.
        goal: a share of the official images.

    Returns:
        After each epoch the seconds since the first mini-batch, without those of measuring the accuracy, and
        the share of the official images that are read correctly.
    """
    learner.start(seed)
    official, seconds, epochs = learner.dataset.official, 0.0, []
    for _ in range(learner.config.training.epochs):
        started = time.perf_counter()
        learner.train_epoch()
        seconds += time.perf_counter() - started
        right = learner.outputs(official.inputs).argmax(axis=1) == official.targets.argmax(axis=1)
        epochs.append((seconds, float(right.mean())))
        if epochs[-1][1] >= goal:
            break
    return epochs


def main() -> None:
    """Work: say the library's version, or nothing where it is not installed; then train on request."""
    library, folder, config, goal = sys.argv[1:]
    try:
        version = metadata.version(PACKAGES[library])
    except metadata.PackageNotFoundError:
        print(flush=True)
        return
    learner = LEARNERS[library](parse(json.loads(config), "CONFIG"), load_dataset(Path(folder)))
    with product_threads(learner.config.training.threads):
        train(learner, seed=0, goal=0.0)  # an epoch that compiles, and reads the images into the page cache
        print(version, flush=True)
        for line in sys.stdin:
            print(json.dumps(train(learner, int(line), float(goal))), flush=True)


if __name__ == "__main__":
    main()
