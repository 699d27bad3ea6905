"""The small networks on the page in a real browser: the numbers are Python's, each control does its work."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.data.generated import xor
from pipeline.figures.problems import SIDES
from pipeline.nn.losses import Canonical
from pipeline.page.__main__ import main
from pipeline.runs.run import Run
from pipeline.runs.trained import TrainedRun
from tests.browser import Browser
from tests.commands import run_module
from tests.page.helpers import changed, number

EPOCHS = 60
RUN = Run(Path("outputs/xor"))
SET = (
    "(({id, value}) => { const field = document.getElementById(id); field.value = value;"
    " field.dispatchEvent(new Event('input')); field.dispatchEvent(new Event('change')); })(arguments[0])"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A network that has learned XOR for a while, with its page."""
    folder, before = tmp_path_factory.mktemp("xor"), Path.cwd()
    options = [f"training.epochs={EPOCHS}", "training.snapshots=20", "tracking.enabled=false"]
    done = run_module(folder, "pipeline.train", "experiment=xor", *options, f"hydra.run.dir={RUN.folder}")
    assert done.returncode == 0, done.stderr
    os.chdir(folder)
    try:
        main(RUN)
        opened = TrainedRun.open(RUN)
    finally:
        os.chdir(before)
    return TrainedRun(Run(folder / RUN.folder), opened.config, opened.dataset, opened.model)


@pytest.fixture
def page(trained: TrainedRun, browser: Browser) -> Iterator[Browser]:
    """The browser with that page. Whatever a test does, the page logs no error and requests nothing."""
    browser.resize(1024)
    browser.open(trained.run.page)
    yield browser
    assert browser.logged() == []
    assert browser.requests() == [trained.run.page.as_uri()]


def change(page: Browser, field: str, value: object) -> None:
    page.value(SET, {"id": field, "value": str(value)})


def loss(page: Browser) -> float:
    [found] = re.findall(r"Loss C = (\S+), the mean over 4 points\.", page.text("#small-loss"))
    return number(found)


def test_only_the_parts_that_a_small_network_has_are_there(page: Browser) -> None:
    assert page.text("h1") == "XOR"
    assert page.value("[...document.querySelectorAll('nav a')].map((link) => link.textContent)") == [
        "What this run is",
        "A small network, whole",
    ]
    assert not page.find("#draw").is_displayed()
    assert page.find("#small").is_displayed()


def test_the_slider_goes_through_training(page: Browser, trained: TrainedRun) -> None:
    points, network = xor(), trained.model.copy()
    for k, (epoch, parameters) in enumerate(trained.snapshots()):
        change(page, "small-epoch", k)
        assert page.text("#small-told") == f"{epoch} of {EPOCHS}"
        network.parameters.vector[:] = parameters
        value, _ = network.backpropagate(Canonical(), points.inputs, points.targets)
        assert loss(page) == pytest.approx(value, rel=6e-3)
        _, a = network.forward(points.inputs)
        told = page.text("#small-function figcaption").partition("points: ")[2].removesuffix(".")
        assert [number(each) for each in told.split(", ")] == pytest.approx(a[-1][:, 0].tolist(), rel=6e-2)


@pytest.mark.parametrize(
    ("known", "unknown", "told"),
    [
        ('"activation":"tanh"', '"activation":"cubed"', "activation cubed"),
        ('"output":"sigmoid"', '"output":"cubed"', "activation cubed"),
        ('"loss":"canonical"', '"loss":"hinge"', "loss hinge"),
    ],
    ids=["activation", "output", "loss"],
)
def test_a_function_that_the_page_lacks_is_named(
    known: str, unknown: str, told: str, trained: TrainedRun, browser: Browser, tmp_path: Path
) -> None:
    browser.open(changed(trained.run.page, known, unknown, tmp_path))
    sentence = f"This page does not know the {told}. Those that it knows are in pipeline/page/network.js."
    assert browser.text("#small-unknown") == sentence
    assert not browser.find("#small-known").is_displayed()
    assert browser.logged() == []


def test_the_colours_are_those_of_the_figures(page: Browser) -> None:
    blue, orange = ([round(255 * part) for part in SIDES(place)[:3]] for place in (0.0, 1.0))
    assert [page.value(f"signedColour({sign}, 1).slice(0, 3)") for sign in (-1, 1)] == [blue, orange]
    fills = page.value(
        "[...document.querySelectorAll('.function circle')].map((point) => getComputedStyle(point).fill)"
    )
    labels = xor().targets[:, 0]
    assert fills == ["rgb({}, {}, {})".format(*(orange if label else blue)) for label in labels]
    assert "orange above ½, blue below" in page.text("#small-function")
    assert page.text("#small-colours") == "orange above 0, blue below"


def test_each_unit_shows_its_z_a_and_delta(page: Browser, trained: TrainedRun) -> None:
    points, network = xor(), trained.model
    z, a = network.forward(points.inputs)
    last = (a[-1] - points.targets) / 4
    deltas = [(last @ network.weights[1]) * (1 - a[1] ** 2), last]
    change(page, "small-point", 2)
    labels = page.value(
        "[...document.querySelectorAll('.unit[role=button]')].map((each) => each.getAttribute('aria-label'))"
    )
    units = [(layer, i) for layer in (0, 1) for i in range(network.widths[layer + 1])]
    for label, (layer, i) in zip(labels, units, strict=True):
        place, _, told = label.partition(": ")
        assert place == f"layer {layer + 1}, unit {i + 1}"
        found = [number(each.split(" ")[1]) for each in told.split(", ")]
        right = [z[layer][2, i], a[layer + 1][2, i], deltas[layer][2, i]]
        np.testing.assert_allclose(found, right, rtol=6e-2, err_msg=label)


def test_a_weight_can_be_changed_by_hand(page: Browser) -> None:
    before = loss(page)
    page.click(".unit[role=button] circle")
    assert page.text("#small-unit h3").startswith("Layer 1, unit 1: z = ")
    field = page.find("#small-unit input")
    field.clear()
    field.send_keys("5")
    assert page.text("#small-loss").startswith("Changed by hand. ")
    assert loss(page) != before
    page.click("#small-reset")
    assert loss(page) == before


def test_steps_lower_the_loss_until_reset(page: Browser) -> None:
    change(page, "small-epoch", 0)
    change(page, "small-rate", 0.5)
    losses = [loss(page)]
    for button in ("1", "1", "100"):
        page.click(f"#small-steps button[value='{button}']")
        losses.append(loss(page))
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == 4
    page.click("#small-reset")
    assert loss(page) == losses[0]


def test_the_units_can_be_reached_by_the_keyboard(page: Browser) -> None:
    page.press(".unit.chosen", "ARROW_DOWN")
    assert page.text("#small-unit h3").startswith("Layer 1, unit 2: ")
    page.press(".unit.chosen", "ARROW_RIGHT")
    assert page.text("#small-unit h3").startswith("Layer 2, unit 1: ")


@pytest.mark.parametrize("width", [360, 1024, 1600])
def test_it_fits_every_screen(width: int, page: Browser) -> None:
    page.resize(width)
    assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(scheme: Literal["light", "dark"], page: Browser) -> None:
    page.prefer(scheme)
    page.click(".unit[role=button] circle")
    page.click("#small-steps button[value='1']")
    change(page, "small-epoch", 1)
    found = page.violations()
    page.prefer("light")
    assert found == []
