"""Who trains in `benchmarks.time_to_accuracy`: `python -m benchmarks.accuracy_workers NAME RECIPE`.

RECIPE is a whole configuration in JSON. A worker prints its accuracy on the test part after each epoch.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pipeline.data.augmentation import augmentation
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.nn.batches import mini_batches
from pipeline.nn.dropout import Dropout
from pipeline.nn.initialisers import initialise
from pipeline.nn.losses import LOSSES
from pipeline.nn.mlp import MLP
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import schedule
from pipeline.nn.training import rates_of_epoch, train

Recipe = dict[str, Any]
Step = Callable[[np.ndarray, np.ndarray, float], object]  # on images, labels and a learning rate


def ours(recipe: Recipe, dataset: Dataset, arithmetic: str) -> Iterator[float]:
    """Train with this project and yield the accuracies."""
    rngs = [np.random.default_rng(seed) for seed in range(4)]
    mlp = network(recipe, dataset, arithmetic, rngs[0])
    optimizer = dict(recipe["optimizer"])
    measurements = train(
        mlp,
        LOSSES[recipe["loss"]["name"]](mlp.functions[-1]),
        OPTIMIZERS[optimizer.pop("name")](mlp, **optimizer),
        dataset.train,
        dataset.test,
        epochs=recipe["training"]["epochs"],
        batch_size=recipe["training"]["batch_size"],
        rng=rngs[1],
        schedule=learning_rates(recipe),
        dropout=Dropout(recipe["model"]["dropout"], rngs[2]) if recipe["model"]["dropout"] else None,
        augment=distortion(recipe, dataset, rngs[3]),
    )
    return (measurement.test_accuracy or 0.0 for measurement in measurements)


def scikit_learn(recipe: Recipe, dataset: Dataset) -> Iterator[float]:
    """Train scikit-learn's MLPClassifier; it always has biases and a softmax output, and no schedule."""
    from sklearn.neural_network import MLPClassifier

    optimizer, classes = recipe["optimizer"], np.arange(len(dataset.classes))
    classifier = MLPClassifier(
        recipe["model"]["hidden"],
        solver="sgd",
        batch_size=recipe["training"]["batch_size"],
        learning_rate_init=optimizer["learning_rate"],
        momentum=optimizer.get("momentum", 0.0),
        nesterovs_momentum=optimizer.get("nesterov", False),
        alpha=0,
    )
    augment = distortion(recipe, dataset, np.random.default_rng(3))
    labels = dataset.train.labels.argmax(axis=1)
    images = np.array(dataset.train.images)
    for _ in range(recipe["training"]["epochs"]):
        classifier.partial_fit(augment(images) if augment else images, labels, classes=classes)
        yield right(classifier.predict_proba(dataset.test.images), dataset)


def pytorch(recipe: Recipe, dataset: Dataset) -> Iterator[float]:
    """Train with PyTorch, eager."""
    import torch

    torch.set_num_threads(1)
    optimizer, model = recipe["optimizer"], recipe["model"]
    weights = network(recipe, dataset, "float32", np.random.default_rng(0)).weights
    layers: list[Any] = []
    for start in weights:
        layers += [torch.nn.Linear(start.shape[1], start.shape[0], bias=model["bias"]), torch.nn.ReLU()]
        with torch.no_grad():
            layers[-2].weight.copy_(torch.from_numpy(start))
            if model["bias"]:
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
        if model["output"] == "softmax":
            loss = torch.nn.functional.cross_entropy(z, targets)
        else:
            loss = (0.5 * z.relu().square() - targets * z).sum() / len(x)
        loss.backward()
        sgd.step()

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(net(torch.from_numpy(x)).relu_())

    return epochs(recipe, dataset, step, predict)


def jax(recipe: Recipe, dataset: Dataset) -> Iterator[float]:
    """Train with JAX, a call of a compiled function for each mini-batch."""
    import jax  # type: ignore[import-not-found, unused-ignore]
    from jax import numpy as jnp  # type: ignore[import-not-found, unused-ignore]

    optimizer, model = recipe["optimizer"], recipe["model"]
    momentum, nesterov = optimizer.get("momentum", 0.0), optimizer.get("nesterov", False)
    mlp = network(recipe, dataset, "float32", np.random.default_rng(0))
    parameters = [jnp.asarray(values) for values in (*mlp.weights, *mlp.biases)]
    state = parameters, [jnp.zeros_like(values) for values in parameters]
    depth = len(mlp.weights)

    def outputs(parameters: Any, x: Any) -> Any:
        for layer in range(depth):
            x = (jax.nn.relu(x) if layer else x) @ parameters[layer].T
            if model["bias"]:
                x = x + parameters[depth + layer]
        return x

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = outputs(parameters, x)
        if model["output"] == "softmax":
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
    return epochs(recipe, dataset, step, lambda x: np.asarray(predict(state[0], x)))


def epochs(
    recipe: Recipe, dataset: Dataset, step: Step, predict: Callable[[np.ndarray], np.ndarray]
) -> Iterator[float]:
    """Make the steps of each epoch and yield the accuracy after it, for a library that is given both."""
    rates, batch_size = learning_rates(recipe), recipe["training"]["batch_size"]
    rng, augment = np.random.default_rng(1), distortion(recipe, dataset, np.random.default_rng(3))
    steps = -(-len(dataset.train.images) // batch_size)
    for epoch in range(1, recipe["training"]["epochs"] + 1):
        batches = mini_batches(dataset.train, batch_size, np.float32, rng, augment=augment)
        for (x, y), rate in zip(batches, rates_of_epoch(rates, epoch, steps), strict=True):
            step(x, np.ascontiguousarray(y), rate)
        yield right(predict(np.array(dataset.test.images)), dataset)


def network(recipe: Recipe, dataset: Dataset, arithmetic: str, rng: np.random.Generator) -> MLP:
    """Return the recipe's network with its first weights."""
    model = recipe["model"]
    widths = dataset.train.images.shape[1], *model["hidden"], dataset.train.labels.shape[1]
    mlp = MLP(
        widths,
        activation=model["activation"],
        output=model["output"],
        bias=model["bias"],
        arithmetic=arithmetic,
    )
    initialise(mlp, rng, **model["initialiser"])
    return mlp


def learning_rates(recipe: Recipe) -> Any:
    """Return the recipe's learning rate as a function of the epochs."""
    return schedule(recipe["optimizer"]["learning_rate"], recipe["training"]["epochs"], **recipe["schedule"])


def distortion(recipe: Recipe, dataset: Dataset, rng: np.random.Generator) -> Any:
    """Return what distorts images; None for nothing."""
    distort = augmentation(image_shape=dataset.image_shape, **recipe["augmentation"])
    return partial(distort, rng=rng) if distort else None


def right(outputs: np.ndarray, dataset: Dataset) -> float:
    """Return the share of test images whose largest output is that of their label."""
    return float((outputs.argmax(axis=1) == dataset.test.labels.argmax(axis=1)).mean())


WORKERS: dict[str, Callable[[Recipe, Dataset], Iterator[float]]] = {
    "ours, float32": partial(ours, arithmetic="float32"),
    "ours, exact": partial(ours, arithmetic="exact"),
    "scikit-learn": scikit_learn,
    "PyTorch": pytorch,
    "JAX": jax,
}

if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for accuracy in WORKERS[sys.argv[1]](json.loads(sys.argv[2]), load_dataset()):
        print(accuracy, flush=True)
