"""The menu, the order and the schema: what a user can type wrong, and what they are told."""

from functools import cache
from typing import Any, cast

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from pipeline.config.schema import StrokesDataset, flat, parse
from pipeline.support.errors import UserError
from pipeline.train import CONF

ROOT = CONF.parent


@cache
def compose_once(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


def composed(*overrides: str) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(compose_once(*overrides), resolve=True))


def test_params_are_what_the_menu_composes() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert params == composed(), "`make params` composes params.yaml anew"


CHOICES = [
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in sorted(CONF.rglob("*.yaml"))
    if path.parent != CONF
]


def test_every_choice_of_the_menu_fits_the_schema() -> None:
    refused = {}
    for choice in CHOICES:
        try:
            parse(composed(choice), choice)
        except (UserError, HydraException) as error:
            refused[choice] = error
    assert refused == {}


@pytest.mark.parametrize("model", ["sheet", "softmax"])
def test_every_initialiser_fits_every_model(model: str) -> None:
    choices = [choice for choice in CHOICES if choice.startswith("model/")]
    fitted = {
        choice: parse(composed(f"model={model}", choice), choice).model.initialiser.name for choice in choices
    }
    assert fitted == {choice: choice.split("=")[1] for choice in choices} != {}


def test_the_fallback_draws_the_strokes_of_the_menu() -> None:
    assert parse(composed("dataset=strokes"), "menu").dataset == StrokesDataset()


def test_every_value_has_one_name() -> None:
    config = parse(composed("optimizer=adam"), "menu")
    assert flat(config)["optimizer.learning_rate"] == config.optimizer.learning_rate == 0.001
    assert flat(config)["model.hidden"] == [100]
    assert flat(config)["dataset.files.train_images.name"] == "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("training.batch_size", 0, "training.batch_size = 0: should be greater than 0"),
        ("training.batch_size", 2.5, "training.batch_size = 2.5: should be a valid integer"),
        ("training.batch_size", True, "training.batch_size = True: should be a valid integer"),
        ("training.epochs", "ten", "training.epochs = 'ten': should be a valid integer"),
        ("training.epoch", 3, "there is no key training.epoch: training has epochs, patience, "),
        ("training.arithmetic", "float16", "training.arithmetic = 'float16': should be 'exact', "),
        ("optimizer.learning_rate", -0.1, "optimizer.learning_rate = -0.1: should be greater than 0"),
        ("optimizer.learning_rate", float("nan"), "optimizer.learning_rate = nan: should be"),
        ("optimizer.momentum", 0.9, "there is no key optimizer.momentum"),
        (
            "optimizer.name",
            "lion",
            "optimizer.name = 'lion': should be one of 'sgd', 'momentum', 'adam', 'adamw', 'rmsprop'",
        ),
        ("model.hidden", [100, 0], "model.hidden.1 = 0: should be greater than 0"),
        ("model.hidden", [2**31], "model.hidden.0 = 2147483648: should be less than"),
        ("model.hidden", [1] * 1001, f"model.hidden = {[1] * 66}"[:-1]),
        (
            "training.epochs",
            10**12,
            "training.epochs = 1000000000000: should be less than or equal to 10000000",
        ),
        (
            "training.epochs",
            10_000_001,
            "training.epochs = 10000001: should be less than or equal to 10000000",
        ),
        ("seed", 2**128, f"seed = {2**128}: should be less than {2**128}"),
        ("seed", 10**4000, f"seed = {'1' + '0' * 199} …: should be less than {2**128}"),
        (
            "dataset",
            {"kind": "strokes", "train": 1_000_001},
            "dataset.train = 1000001: should be less than or equal to 1000000",
        ),
        ("model.hidden", 100, "model.hidden = 100: should be a valid list"),
        ("model.activation", "softmax", "model.activation = 'softmax': should be one of identity, relu, "),
        ("model.bias", "no", "model.bias = 'no': should be a valid boolean"),
        (
            "model.initialiser",
            {"name": "uniform", "low": 1.0, "high": 0.0},
            "model.initialiser = {'name': 'uniform', 'low': 1.0, 'high': 0.0}: low should be less than high",
        ),
        (
            "model.initialiser",
            {"name": "uniform", "low": 0.5, "high": 0.5},
            "model.initialiser = {'name': 'uniform', 'low': 0.5, 'high': 0.5}: low should be less than high",
        ),
        ("model.dropout", 1.0, "model.dropout = 1.0: should be less than 1"),
        ("model.dropout", -0.1, "model.dropout = -0.1: should be greater than or equal to 0"),
        ("optimizer.clip_norm", 0.0, "optimizer.clip_norm = 0.0: should be greater than 0"),
        ("optimizer.weight_decay", -0.1, "optimizer.weight_decay = -0.1: should be greater than or equal to"),
        (
            "optimizer",
            {
                **{"name": "adam", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 0.0},
                **{"weight_decay": 0.0, "clip_norm": None},
            },
            "optimizer.epsilon = 0.0: should be greater than 0",
        ),
        ("training.checkpoint", -1.0, "training.checkpoint = -1.0: should be greater than or equal to 0"),
        ("model.initialiser", {"scale": 1.0}, "the key model.initialiser.name is missing"),
        ("optimizer", 3, "optimizer = 3: should be"),
        ("model.initialiser.deviation", 1, "there is no key model.initialiser.deviation"),
        ("split.train", 0, "split.train = 0: should be greater than 0"),
        (
            "split.validation",
            40_000,
            "split: validation is taken from train, so it should be less",
        ),
        ("seed", -1, "seed = -1: should be greater than or equal to 0"),
        ("dataset.files.train_images.hash", "crc:1", "dataset.files.train_images.hash = 'crc:1': should"),
        ("dataset.files.train_images.name", "../../x", "dataset.files.train_images.name = '../../x': should"),
        ("dataset.kind", "zip", "dataset.kind = 'zip': should be one of 'idx', 'strokes'"),
        (
            "dataset",
            {"kind": "alternating", "name": "alternating", "title": "", "n": 0},
            "dataset.n = 0: should be greater than or equal to 1",
        ),
        (
            "dataset.classes",
            ["a", "b", "a"],
            "dataset.classes = ['a', 'b', 'a']: no name should be there twice",
        ),
        ("dataset.classes", ["a"], "dataset.classes = ['a']: "),
        ("training.threads", 10**20, "training.threads = 100000000000000000000: should be less than"),
        ("tracking.patience", 1e308, "tracking.patience = 1e+308: should be less than"),
        ("schedule.warmup", 20.0, "schedule.warmup = 20: should be less than training.epochs = 20"),
        ("training.batch_norm", True, "training.batch_norm = true: should be false for model.bias = false"),
        ("training.measure_every", 0, "training.measure_every = 0: should be greater than 0"),
        ("training.snapshots", 0, "training.snapshots = 0: should be greater than 0"),
        ("extra", 1, "there is no key extra"),
        ("model.initialiser.scale", 1e308, "model.initialiser.scale = 1e+308: should be less than"),
        (
            "augmentation",
            {"name": "elastic", "amplitude": 34.0, "sigma": 1e308},
            "augmentation.sigma = 1e+308: should be less than",
        ),
        (
            "augmentation",
            {"name": "elastic", "amplitude": 34.0, "sigma": 0.0},
            "augmentation.sigma = 0.0: should be greater than or equal to 0.1",
        ),
        (
            "augmentation",
            {"name": "affine", "rotation": 3.2, "scale": 0.1, "shear": 0.1, "shift": 1.0},
            "augmentation.rotation = 3.2: should be less than or equal to 3.14",
        ),
        ("dataset.classes", ["a", "b" * 101], "dataset.classes.1 = "),
    ],
)
def test_a_wrong_value_is_named_in_one_line(key: str, value: Any, told: str) -> None:
    values = composed()
    *path, last = key.split(".")
    group = values
    for step in path:
        group = group[step]
    group[last] = value
    with pytest.raises(UserError) as caught:
        parse(values, "params.yaml")
    assert str(caught.value).startswith(f"params.yaml: {told}")
    assert "\n" not in str(caught.value)


def test_points_are_not_distorted() -> None:
    with pytest.raises(UserError, match=r"^here: augmentation = affine: should be none for xor"):
        parse(composed("experiment=xor", "augmentation=affine"), "here")


def test_a_mini_batch_of_one_row_is_not_normalised() -> None:
    with pytest.raises(UserError, match=r"^here: .*should be false for training\.batch_size = 1: over"):
        parse(composed("model=softmax", "training.batch_norm=true", "training.batch_size=1"), "here")


def test_a_missing_key_is_named() -> None:
    values = composed()
    del values["training"]["threads"]
    with pytest.raises(UserError, match=r"^here: the key training\.threads is missing$"):
        parse(values, "here")


def test_a_key_that_is_written_wrong_is_told_with_the_right_one() -> None:
    values = composed()
    values["optimizer"]["lr"] = values["optimizer"].pop("learning_rate")
    with pytest.raises(UserError) as caught:
        parse(values, "here")
    assert str(caught.value) == (
        "here: there is no key optimizer.lr: optimizer has name, weight_decay, clip_norm, learning_rate;"
        " did you mean optimizer.learning_rate?"
    )
