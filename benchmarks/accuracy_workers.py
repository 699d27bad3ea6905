"""Who trains in `benchmarks.time_to_accuracy`: `python -m benchmarks.accuracy_workers NAME CONFIG`.

CONFIG is a whole configuration in JSON. A worker prints its accuracy on the test part after each epoch.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from pipeline.config.schema import Config, parse
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.nn.batches import MiniBatches
from pipeline.nn.measurement import Measurement
from pipeline.nn.mlp import MLP
from pipeline.nn.training import Callback
from pipeline.runs.build import Streams, build_batches, build_network, build_training

Step = Callable[[np.ndarray, np.ndarray, float], object]  # on images, labels and a learning rate
Report = Callable[[float], None]  # takes the accuracy after an epoch


def ours(config: Config, dataset: Dataset, report: Report, arithmetic: str) -> None:
    """Train with this project."""

    class Reporting(Callback):
        def on_measured(self, measurement: Measurement) -> None:
            report(measurement.metrics["test"]["accuracy"])

    build_training(with_arithmetic(config, arithmetic), dataset).fit(Reporting())


def scikit_learn(config: Config, dataset: Dataset, report: Report) -> None:
    """Train scikit-learn's MLPClassifier; it always has biases and a softmax output, and no schedule."""
    from sklearn.neural_network import MLPClassifier

    optimizer, classes = asdict(config.optimizer), np.arange(len(dataset.classes))
    classifier = MLPClassifier(
        config.model.hidden,
        solver="sgd",
        batch_size=config.training.batch_size,
        learning_rate_init=optimizer["learning_rate"],
        momentum=optimizer.get("momentum", 0.0),
        nesterovs_momentum=optimizer.get("nesterov", False),
        alpha=0,
    )
    augment = batches_of(config, dataset).augment
    labels = dataset.train.targets.argmax(axis=1)
    images = np.array(dataset.train.inputs)
    for _ in range(config.training.epochs):
        classifier.partial_fit(augment(images) if augment else images, labels, classes=classes)
        report(right(classifier.predict_proba(dataset.test.inputs), dataset))


def pytorch(config: Config, dataset: Dataset, report: Report) -> None:
    """Train with PyTorch, eager."""
    import torch

    torch.set_num_threads(1)
    optimizer, model = asdict(config.optimizer), config.model
    weights = network(config, dataset).weights
    layers: list[Any] = []
    for start in weights:
        layers += [torch.nn.Linear(start.shape[1], start.shape[0], bias=model.bias), torch.nn.ReLU()]
        with torch.no_grad():
            layers[-2].weight.copy_(torch.from_numpy(start))
            if model.bias:
                layers[-2].bias.zero_()
    net = torch.nn.Sequential(*layers[:-1])
    sgd = torch.optim.SGD(
        net.parameters(),
        lr=optimizer["learning_rate"],
        momentum=optimizer.get("momentum", 0.0),
        nesterov=optimizer.get("nesterov", False),
    )

    def step(x: np.ndarray, y: np.ndarray, rate: float) -> None:
        for group in sgd.param_groups:
            group["lr"] = rate
        sgd.zero_grad()
        z, targets = net(torch.from_numpy(x)), torch.from_numpy(y)
        if model.output == "softmax":
            loss = torch.nn.functional.cross_entropy(z, targets)
        else:
            loss = (0.5 * z.relu().square() - targets * z).sum() / len(x)
        loss.backward()
        sgd.step()

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(net(torch.from_numpy(x)).relu_())

    train_epochs(config, dataset, step, lambda x: report(right(predict(x), dataset)))


def jax(config: Config, dataset: Dataset, report: Report) -> None:
    """Train with JAX, a call of a compiled function for each mini-batch."""
    import jax  # type: ignore[import-not-found, unused-ignore]
    from jax import numpy as jnp  # type: ignore[import-not-found, unused-ignore]

    optimizer, model = asdict(config.optimizer), config.model
    momentum, nesterov = optimizer.get("momentum", 0.0), optimizer.get("nesterov", False)
    mlp = network(config, dataset)
    parameters = [jnp.asarray(values) for values in (*mlp.weights, *mlp.biases)]
    state = parameters, [jnp.zeros_like(values) for values in parameters]
    depth = len(mlp.weights)

    def outputs(parameters: Any, x: Any) -> Any:
        for layer in range(depth):
            x = (jax.nn.relu(x) if layer else x) @ parameters[layer].T
            if model.bias:
                x = x + parameters[depth + layer]
        return x

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = outputs(parameters, x)
        if model.output == "softmax":
            return -(y * jax.nn.log_softmax(z)).sum() / len(x)
        return (0.5 * jax.nn.relu(z) ** 2 - y * z).sum() / len(x)

    @partial(jax.jit, donate_argnums=0)
    def compiled(state: Any, x: Any, y: Any, rate: Any) -> Any:
        parameters, velocity = state
        gradient = jax.grad(loss)(parameters, x, y)
        velocity = [momentum * v + rate * g for v, g in zip(velocity, gradient, strict=True)]
        steps = (
            [momentum * v + rate * g for v, g in zip(velocity, gradient, strict=True)]
            if nesterov
            else velocity
        )
        return [p - s for p, s in zip(parameters, steps, strict=True)], velocity

    def step(x: np.ndarray, y: np.ndarray, rate: float) -> None:
        nonlocal state
        state = compiled(state, np.array(x), y, rate)  # JAX reads it later, when `x` holds other images

    predict = jax.jit(outputs)
    train_epochs(config, dataset, step, lambda x: report(right(np.asarray(predict(state[0], x)), dataset)))


def train_epochs(config: Config, dataset: Dataset, step: Step, measure: Callable[[np.ndarray], None]) -> None:
    """Make the steps of each epoch, for a library that is given them, and measure on the test images."""
    batches, epochs = batches_of(config, dataset), config.training.epochs
    for epoch in range(epochs):
        middles = epoch + (np.arange(len(batches)) + 0.5) / len(batches)
        rates = config.schedule.rates(config.optimizer.learning_rate, middles, epochs).tolist()
        for (x, y), rate in zip(batches, rates, strict=True):
            step(x, np.ascontiguousarray(y), rate)
        measure(np.array(dataset.test.inputs))


def with_arithmetic(config: Config, arithmetic: str) -> Config:
    """Return `config` with another arithmetic."""
    return parse(
        {**asdict(config), "training": {**asdict(config.training), "arithmetic": arithmetic}}, "here"
    )


def network(config: Config, dataset: Dataset) -> MLP:
    """Return the network in float32, with its first weights."""
    rng = Streams(config.seed).initialisation
    return build_network(with_arithmetic(config, "float32"), dataset, rng)


def batches_of(config: Config, dataset: Dataset) -> MiniBatches:
    """Return the mini-batches in float32."""
    return build_batches(config, dataset, network(config, dataset), Streams(config.seed))


def right(outputs: np.ndarray, dataset: Dataset) -> float:
    """Return the share of test images whose largest output is that of their label."""
    return float((outputs.argmax(axis=1) == dataset.test.targets.argmax(axis=1)).mean())


WORKERS: dict[str, Callable[[Config, Dataset, Report], None]] = {
    "ours, float32": partial(ours, arithmetic="float32"),
    "ours, exact": partial(ours, arithmetic="exact"),
    "scikit-learn": scikit_learn,
    "PyTorch": pytorch,
    "JAX": jax,
}

if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    WORKERS[sys.argv[1]](parse(json.loads(sys.argv[2]), "CONFIG"), load_dataset(), partial(print, flush=True))
