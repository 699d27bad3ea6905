"""The page in a real browser, operated as a person would."""

import json
import os
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pipeline.page.__main__ import main
from pipeline.runs.run import Run
from pipeline.support.files import sha256
from tests.browser import Browser
from tests.digits import prepare
from tests.page.helpers import changed, number

ONE = [[(0.5, 0.15), (0.5, 0.4), (0.5, 0.65), (0.5, 0.85)]]
BARS = "[...document.querySelectorAll('.bar')].map((bar) => bar.getAttribute('aria-label'))"
LABELS = "[...document.querySelectorAll(arguments[0])].map((each) => each.getAttribute('aria-label'))"
LOSS = "document.querySelector('#losses output').textContent"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a network that was trained on scikit-learn's 8×8 digits for three epochs."""
    return write(tmp_path_factory.mktemp("digits"))


def write(folder: Path, **case: Any) -> Path:
    """Train on scikit-learn's 8×8 digits in `folder`, and return the page of the run."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        main(prepare(**case))
    finally:
        os.chdir(before)
    return folder / Run().page


@pytest.fixture
def page(written: Path, browser: Browser) -> Iterator[Browser]:
    """The browser with that page. Whatever a test does, the page logs no error and requests nothing."""
    browser.resize(1024)
    browser.open(written)
    yield browser
    assert browser.logged() == []
    assert browser.requests() == [written.as_uri()]


def test_it_says_what_the_run_is(page: Browser, written: Path) -> None:
    accuracy = json.loads(written.with_name("metrics.json").read_text(encoding="utf-8"))["test"]["accuracy"]
    share = f"{100 * accuracy:.2f} %"
    assert page.text("h1") == page.driver.title == f"Digits: test accuracy {share}"
    assert page.text(".lead") == (
        "A network 64–20–10 (relu, output relu, without biases), trained for 3 epochs on 1,447 images, reads"
        f" {share} of 300 test images right."
    )
    page.click("#origin summary")
    assert "optimizer.learning_rate 0.1" in " ".join(page.text("#origin").split())
    assert sha256(written.parents[1] / "models/model.npz") in page.value("document.body.textContent")


def test_the_curves_tell_their_values_to_pointer_and_keyboard(page: Browser) -> None:
    assert page.text("#curves output").startswith("epoch 3: train 9")
    page.press("#curves input", "ARROW_LEFT")
    assert page.text("#curves output").startswith("epoch 2: train ")
    assert page.value("document.querySelector('#curves input').ariaValueText") == page.text("#curves output")
    page.drag("#curves svg", [[(0.12, 0.5), (0.12, 0.6)]])
    assert page.text("#curves output").startswith("epoch 1: train ")


def test_a_cell_of_the_confusion_matrix_opens_its_images(page: Browser) -> None:
    page.click(".confusion button.right")
    heading = page.text("#mistakes [role=status]")
    images = int(heading.removeprefix("0 read as 0: ").removesuffix(" images"))
    assert images == int(page.text(".confusion button.right"))
    shown = "document.querySelectorAll('.tile').length"
    while page.find(".grow > button").is_displayed():
        before = page.value(shown)
        page.click(".grow > button")
        assert page.value(shown) > before
    assert page.value(shown) == images
    page.press(".confusion button.right", "ARROW_RIGHT", "ARROW_DOWN", "ENTER")
    assert page.text("#mistakes [role=status]").startswith("1 read as 1: ")


def test_a_cell_of_errors_opens_the_images_of_its_label_and_its_reading(page: Browser) -> None:
    cells = "[...document.querySelectorAll('.confusion button')]"
    counts = np.array([int(each or 0) for each in page.value(f"{cells}.map((cell) => cell.textContent)")])
    counts = counts.reshape(10, 10)
    label, read = np.argwhere((counts > 0) & ~np.eye(10, dtype=bool))[0].tolist()
    page.value(f"{cells}[arguments[0]].click()", 10 * label + read)
    images = "image" if counts[label, read] == 1 else "images"
    expected = f"{label} read as {read}: {counts[label, read]} {images}"
    assert page.text("#mistakes [role=status]") == expected
    shown = page.value("[...document.querySelectorAll('.tile')].map((tile) => tile.ariaLabel.split(' ', 3))")
    assert shown == [[str(label), "→", str(read)]] * counts[label, read]


def test_a_misread_image_can_be_put_before_the_network(page: Browser) -> None:
    label, _, prediction = page.text(".tile span").partition(" → ")
    page.click(".tile")
    assert page.text("#verdict").startswith(f"{prediction}, ")
    assert page.text("#pad-status").endswith(f"label {label}.")


@pytest.mark.parametrize("kind", ["mouse", "pen", "touch"])
def test_what_is_drawn_is_read(kind: str, page: Browser) -> None:
    page.click("#clear")
    assert page.text("#verdict") == "Nothing is drawn yet."
    page.drag("#pad", ONE, kind)
    page.wait("document.getElementById('verdict').textContent.startsWith('1, ')")
    assert any(words.startswith("1 ") for words in page.value(BARS))
    page.click("#clear")
    assert page.text("#verdict") == "Nothing is drawn yet."


def test_each_output_is_beside_its_percentage(page: Browser) -> None:
    page.click(".tile")
    told = [re.fullmatch(r"\d \S+ %, a = (\S+), explain", words) for words in page.value(BARS)]
    outputs = [number(each[1]) for each in told if each]
    right = page.value("Array.from(forward(trainedNetwork, seen).a.at(-1))")
    assert outputs == pytest.approx(right, rel=6e-3)
    assert number(page.text(".bar .raw").removeprefix("a = ")) == outputs[0]
    note = "The percentages are the network's outputs a, made to add up to 100 %."
    assert page.text("#bars-note") == note


def test_softmax_outputs_are_the_percentages(written: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(changed(written, '"output":"relu"', '"output":"softmax"', tmp_path))
    assert not browser.find("#bars-note").is_displayed()
    assert all(re.fullmatch(r"\d \S+ %, explain", words) for words in browser.value(BARS))


def test_the_keyboard_draws_too(page: Browser) -> None:
    page.click("#clear")
    page.press("#pad", "SPACE", *(["ARROW_DOWN"] * 15), "SPACE", "ARROW_DOWN")
    page.wait("document.getElementById('verdict').textContent.startsWith('1, ')")
    assert page.text("#pad-status") == "The pen is up, 50 % from the left, 82 % from the top."


def test_another_class_can_be_explained(page: Browser) -> None:
    page.click("#example")
    read = page.text("#verdict").partition(",")[0]
    assert page.text("#evidence-title") == f"Pixels that speak for and against {read}"
    page.click(".bar:last-child")
    assert page.text("#evidence-title") == "Pixels that speak for and against 9"
    page.click(".bar:last-child")
    assert page.text("#evidence-title") == f"Pixels that speak for and against {read}"


@pytest.mark.parametrize(("picture", "factor"), [("spoken", "seen[i]"), ("gradient", "1")])
def test_every_class_has_its_own_evidence(picture: str, factor: str, page: Browser) -> None:
    gradient = "inputGradient(trainedNetwork, forward(trainedNetwork, seen), arguments[0])"
    values = f"{gradient}.map((each, i) => each * {factor})"
    page.click("#example")
    shown = []
    for k in range(10):
        page.click(f".bar:nth-child({k + 1})")
        shown.append(page.value(f"document.getElementById('{picture}').toDataURL()"))
        expected = f"paintSigned(make('canvas'), {values}, imageRows, imageColumns).toDataURL()"
        assert shown[-1] == page.value(expected, k)
    assert len(set(shown)) == 10


def test_each_step_lowers_the_loss_until_reset(page: Browser) -> None:
    page.click("#example")
    page.value("document.getElementById('label').value = '7'")
    losses = []
    for steps in range(1, 6):
        page.click("#step")
        assert page.text("#learned").startswith(f"After {steps} step")
        assert "fell" in page.text("#learned")
        losses.append(page.value(LOSS))
    titles = page.value("[...document.querySelectorAll('#phases h3')].map((title) => title.firstChild.data)")
    assert titles == [
        "Forward, layer 1 (relu)",
        "Forward, layer 2 (relu)",
        "Loss",
        "Backward, layer 2",
        "Backward, layer 1",
        "Gradient, layer 1",
        "Gradient, layer 2",
        "The changed weights, layer 1",
        "The changed weights, layer 2",
    ]
    assert len(set(losses)) == 5
    page.click("#reset")
    assert page.text("#learned") == "The network is as it was trained."
    page.click("#step")
    assert page.value(LOSS) == losses[0]


def told_losses(page: Browser) -> tuple[str, float, float]:
    """Return whether the page says that the loss fell or rose, and from what number to what number."""
    [(moved, first, last)] = re.findall(r": C (fell|rose) from (\S+) to (\S+)\. ", page.text("#learned"))
    return moved, number(first), number(last)


def test_the_loss_is_compared_with_that_before_the_first_step(page: Browser) -> None:
    page.click("#example")
    page.value("document.getElementById('label').value = '7'")
    page.click("#step")
    _, before, _ = told_losses(page)
    for _ in range(2):
        page.click("#step")
    page.press("#losses input", "HOME")
    assert page.value(LOSS).startswith("step 0: ")
    moved, first, last = told_losses(page)
    assert moved == "fell" and first == before > last
    assert number(page.value(LOSS).removeprefix("step 0: C ")) == first
    page.value("document.getElementById('rate').value = '10'")
    page.click("#step")
    moved, first, last = told_losses(page)
    assert moved == "rose" and first == before < last
    page.value("document.getElementById('rate').value = '0.001'")
    page.click("#step")
    moved, first, lower = told_losses(page)  # lower than before this step, but not than before the first
    assert moved == "rose" and first == before < lower < last


def test_a_step_without_a_gradient_leaves_the_loss(page: Browser) -> None:
    page.click("#clear")
    page.click("#step")
    assert ": C stayed " in page.text("#learned")


@pytest.mark.parametrize("values", [[1.1e-4, 2e-4], [-1e-4, -2e-4], [1e-12, 2e-12]], ids=str)
def test_no_number_beside_a_chart_is_cut_off(values: list[float], page: Browser) -> None:
    page.value(
        """document.getElementById('losses').replaceChildren(
        chart({title: '', lines: [{name: 'C', values: arguments[0]}], x: [0, 1], unit: 'step', say: short}),
        scatter({title: '', x: arguments[0], y: arguments[0], note: ''}))""",
        values,
    )
    texts = "[...document.querySelectorAll('#losses svg text')]"
    assert len(page.value(texts)) > 6
    assert page.value(f"Math.min(...{texts}.map((text) => text.getBBox().x))") >= 0


def test_the_changed_weights_are_those_after_the_step(page: Browser) -> None:
    picture = """document.querySelector("[aria-label='changed weights of layer 2']").toDataURL()"""
    page.click("#example")
    shown = []
    for rate in ("0", "0.5", "0"):  # with a rate of 0 the weights stay what they are
        page.value(f"document.getElementById('rate').value = '{rate}'")
        page.click("#step")
        shown.append(page.value(picture))
    assert shown[0] != shown[1] == shown[2]


def test_a_network_learns_the_label_that_it_is_given(page: Browser) -> None:
    page.click("#example")
    page.press("#label", "7")
    page.value("document.getElementById('rate').value = '0.05'")
    for _ in range(30):
        page.click("#step")
    assert page.text("#learned").endswith("The drawing is now read as 7.")


def test_the_first_layer_moves_with_the_slider(page: Browser) -> None:
    picture = "document.querySelector('#weights-tiles canvas').toDataURL()"
    blank = "Object.assign(document.createElement('canvas'), {width: 8, height: 8}).toDataURL()"
    shown = []
    for told in ("3 of 3", "2 of 3", "1 of 3", "0 of 3"):
        assert page.text("#weights-told") == told
        shown.append(page.value(picture))
        page.press("#weights-epoch", "ARROW_LEFT")
    assert len(set(shown)) == 4 and shown[-1] == page.value(blank)
    page.click("#weights-change")
    assert page.value(picture) != page.value(blank)


def test_units_are_counted_from_1(page: Browser) -> None:
    page.click("#example")
    page.click("#step")
    units = page.value("contents.firstLayer.units")
    captions = page.value(
        "[...document.querySelectorAll('#weights-tiles figcaption')].map((each) => each.textContent)"
    )
    assert page.value(LABELS, "#weights-tiles canvas") == captions == [f"unit {unit + 1}" for unit in units]
    a = np.array(page.value("Array.from(forward(trainedNetwork, seen).a[1])"))
    firing = [f"unit {i + 1}" for i in np.argsort(-a, kind="stable") if a[i] > 0]
    assert page.value(LABELS, "#units .tiles canvas") == firing[:12]
    learning = {words.partition(" of ")[2] for words in page.value(LABELS, "#phases .tiles canvas")}
    assert learning and learning <= {*firing}  # a unit that does not fire has no gradient


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1024, 1600])
def test_it_fits_every_screen(width: int, scheme: Literal["light", "dark"], page: Browser) -> None:
    page.prefer(scheme)
    page.resize(width)
    page.click("#step")
    assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.prefer("light")


def test_all_that_can_be_operated_has_a_name_and_every_picture_a_description(page: Browser) -> None:
    page.click("#step")
    nameless = page.value(
        """[...document.querySelectorAll("button, input, select, :not(button) > canvas, summary, a")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.length
                            || each.getAttribute("aria-labelledby")))
        .map((each) => each.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(scheme: Literal["light", "dark"], page: Browser) -> None:
    page.prefer(scheme)
    operated = [".confusion button", "#origin summary", "#example", ".bar", "#step", "#weights-change"]
    for selector in operated:
        page.click(selector)
    page.press("#weights-epoch", "ARROW_LEFT")
    found = page.violations()
    page.prefer("light")
    assert found == []


@pytest.mark.parametrize(
    "case",
    [
        {"classes": 2, "test": 100, "hidden": [], "epochs": 1},
        {"hidden": [20, 10], "test": 0, "epochs": 1},
        {"image_shape": (4, 16), "epochs": 1},
    ],
    ids=str,
)
def test_any_network_and_any_images_can_be_played_with(
    case: dict[str, Any], browser: Browser, tmp_path: Path
) -> None:
    browser.open(write(tmp_path, **case))
    browser.click("#clear")
    browser.drag("#pad", ONE)
    browser.wait("document.getElementById('verdict').textContent.includes('%')")
    browser.click("#step")
    moved, first, last = told_losses(browser)
    assert moved == ("fell" if last < first else "rose")
    browser.press("#weights-epoch", "ARROW_LEFT")
    assert browser.logged() == []


@pytest.mark.parametrize(
    ("known", "unknown", "told", "parts"),
    [
        ('"activation":"relu"', '"activation":"cubed"', "activation cubed", ["draw", "learn"]),
        ('"loss":"canonical"', '"loss":"hinge"', "loss hinge", ["learn"]),
    ],
    ids=["activation", "loss"],
)
def test_a_function_that_the_page_lacks_is_named(
    known: str, unknown: str, told: str, parts: list[str], written: Path, browser: Browser, tmp_path: Path
) -> None:
    browser.open(changed(written, known, unknown, tmp_path))
    sentence = f"This page does not know the {told}. Those that it knows are in pipeline/page/network.js."
    assert [
        part for part in ("run", "draw", "learn", "weights") if sentence in browser.text(f"#{part}")
    ] == parts
    browser.click(".tile")
    assert browser.logged() == []


@pytest.mark.stress  # measures time
def test_the_page_is_painted_within_a_second_and_a_stroke_is_read_within_a_frame(page: Browser) -> None:
    assert page.value("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000
    page.click("#clear")
    page.drag("#pad", [[(0.2 + 0.01 * k, 0.3 + 0.008 * (k % 7) * k) for k in range(40)]])
    page.wait("document.getElementById('verdict').textContent.includes('%')")
    durations = page.value(
        "performance.getEntriesByName('from a stroke to the bars').map((each) => each.duration)"
    )
    assert len(durations) > 10
    assert statistics.median(durations) < 16
