"""Predictions averaged over distorted copies."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from pipeline.config.schema import Config
from pipeline.data.augmentation import distortion_for
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.initialisers import He
from pipeline.nn.mlp import MLP
from pipeline.nn.types import Array
from pipeline.runs.copies import Copies, as_probabilities, log_probabilities
from pipeline.runs.models import classify
from pipeline.support.errors import UserError
from tests.nn.configurations import AUGMENTATIONS, configuration

SHAPE = (7, 8)
IMAGES = np.random.default_rng(0).random((30, 56), dtype=np.float32)


def config_of(copies: int, strength: float = 1.0, **changes: Any) -> Config:
    """Return a configuration of a network that was trained on distorted images."""
    evaluation = {"copies": copies, "strength": strength}
    return configuration(evaluation=evaluation, **{"augmentation": AUGMENTATIONS[-1], **changes})


def network(output: str = "softmax", classes: int = 3, arithmetic: str = "exact") -> MLP:
    mlp = MLP((56, 9, classes), activation="relu", output=output, bias=True, arithmetic=arithmetic)
    He().initialise(mlp, np.random.default_rng(1))
    return mlp


def predicted(mlp: MLP, config: Config, images: Array = IMAGES) -> Array:
    return log_probabilities(mlp, images, Copies.of(asdict(config)), SHAPE)


def test_one_copy_is_the_image_as_it_is() -> None:
    mlp = network()
    classes, probabilities = classify(mlp, IMAGES)
    logarithms = predicted(mlp, config_of(1))
    scaled = as_probabilities(logarithms)
    np.testing.assert_allclose(np.exp(logarithms), probabilities, rtol=1e-12)
    np.testing.assert_array_equal(scaled.argmax(axis=1), classes)
    np.testing.assert_allclose(scaled, probabilities, rtol=1e-12)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(("output", "classes"), [("softmax", 3), ("sigmoid", 1), ("relu", 3)])
def test_the_logarithms_are_means_over_copies_that_are_all_different(
    output: str, classes: int, arithmetic: str
) -> None:
    mlp = network(output, classes, arithmetic)
    one, two, three = (n * predicted(mlp, config_of(n)) for n in (1, 2, 3))
    assert np.abs(one - (three - two)).max() > 1e-3  # the image as it is, and its third copy
    assert np.abs(two - 2 * (three - two)).max() > 1e-3
    logarithms = predicted(mlp, config_of(3))
    probabilities = as_probabilities(logarithms)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logarithms.argmax(axis=1))


def test_the_bits_depend_on_the_image_and_the_seed_alone() -> None:
    mlp, many = network(), np.tile(IMAGES, (40, 1))  # more than one block
    together = predicted(mlp, config_of(3), many)
    np.testing.assert_array_equal(together[-1:], predicted(mlp, config_of(3), IMAGES[-1:]))
    assert not np.array_equal(together[:30], predicted(mlp, replace(config_of(3), seed=1)))
    assert not np.array_equal(together[:30], predicted(mlp, config_of(3, strength=0.5)))


def test_copies_are_distorted_as_in_training_but_by_numbers_of_their_own() -> None:
    distortion = distortion_for(config_of(2).augmentation, SHAPE)
    assert distortion
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(5, 0))))
    mlp = network()
    copy = distortion.alike(IMAGES, rng)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(5, 1))))
    other = distortion.alike(IMAGES, rng)
    f = mlp.arithmetic
    expected = (f.log(classify(mlp, copy)[1]) + f.log(classify(mlp, other)[1])) / 2
    np.testing.assert_array_equal(predicted(mlp, config_of(2)), expected)


def test_without_augmentation_there_are_no_copies() -> None:
    with pytest.raises(UserError, match=r"evaluation\.copies = 4: should be 1 for augmentation = none"):
        config_of(4, augmentation={"name": "none"})
