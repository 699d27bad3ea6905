"""What README and docs/ say is true: what they name is there, and what is to be run runs."""

import json
import re
import shlex
import shutil
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from benchmarks.published import RECORDS
from docs.links import LINK, mended
from pipeline.config.reading import read_params, resolve
from pipeline.config.schema import flat
from pipeline.data.dataset import load_dataset
from pipeline.experiments import DRAWN
from pipeline.runs.checkpoints import CHECKPOINTS
from tests.commands import ROOT, run_module

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKING_DAY = (ROOT / "docs/pipeline.md").read_text(encoding="utf-8")
TOUR = json.loads((ROOT / "docs/tour.ipynb").read_text(encoding="utf-8"))["cells"]
PROSE = "\n\n".join("".join(cell["source"]) for cell in TOUR if cell["cell_type"] == "markdown")
FOLLOWED = {"add_your_own.md", "make-it-yours.md"}  # of what is not there yet: they have own tests
OTHERS = [page.read_text(encoding="utf-8") for page in PAGES if page.name not in FOLLOWED]
EVERYTHING = "\n".join([*OTHERS, PROSE]).replace("\\\n", "")
CODE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", EVERYTHING)
LINES = [*CODE, *"\n".join(re.findall(r"```sh\n(.+?)```", EVERYTHING, re.DOTALL)).splitlines()]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_code_lead_to_that_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    right = mended(text, page.parent)  # raises where the code is no longer there
    moved = [
        f"{old.group()} should be #L{new['line']}"
        for old, new in zip(LINK.finditer(text), LINK.finditer(right), strict=True)
        if old.group() != new.group()
    ]
    assert moved == [], "`python docs/links.py` mends them"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs/tour.ipynb"], ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = PROSE if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
    text = re.sub(r"```.+?```", "", text, flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text)
    links += [(source, "") for source in re.findall(r'<img src="([^"]+)"', text)]
    for target, anchor in links:
        to = page.parent / target if target else page
        assert to.exists(), f"{target} is not there"
        if to.suffix == ".md" and anchor:
            assert anchor in anchors(to.read_text(encoding="utf-8")), f"{target} has no heading for #{anchor}"


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a Markdown text in links to them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_link_follows_its_line(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("first = 1\nz = w @ a\nlast = 2\n", encoding="utf-8")
    text = "It is [`z = w @ a`](code.py#L7), see [there](code.py#L7)."
    assert mended(text, tmp_path) == text.replace("`](code.py#L7)", "`](code.py#L2)")
    with pytest.raises(ValueError, match=r"no line of code.py holds `z = a @ w`"):
        mended("[`z = a @ w`](code.py#L2)", tmp_path)
    with pytest.raises(ValueError, match=r"gone.py, to which the text links, is not there"):
        mended("[`z = w @ a`](gone.py#L2)", tmp_path)


ADDED = re.findall(r"`conf/(\S+)`:\n\n```yaml\n(.+?)```", WORKING_DAY, re.DOTALL)


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of conf/ with the files that docs/pipeline.md adds to it."""
    folder = tmp_path_factory.mktemp("menu") / "conf"
    shutil.copytree(ROOT / "conf", folder)
    for name, content in ADDED:
        (folder / name).write_text(content, encoding="utf-8")
    return folder


ROWS = re.findall(r"^\| (`.+`) \| ((\w+).*) \|$", WORKING_DAY, re.MULTILINE)


@pytest.mark.parametrize(("changes", "consequence", "first"), ROWS)
def test_what_runs_again_when(changes: str, consequence: str, first: str) -> None:
    params = {
        stage: [name for name in of.get("params", ()) if isinstance(name, str)]
        for stage, of in STAGES.items()
    }
    read = {stage: {*params[stage], *of["deps"]} for stage, of in STAGES.items()}
    for change in re.findall(r"`([^`]+)`", changes):
        stages_named = [stage for stage, names in read.items() if change in names]
        assert (*stages_named, "nothing")[0] == first, change
        folders = {str(folder) for folder in PurePosixPath(change).parents}
        in_a_folder = any(folders & names for names in read.values())
        assert in_a_folder == ("besides what all of the folder does" in consequence), change


COMMANDS = [
    *re.findall(r"^(?:dvc exp run|python -m pipeline.train) ([^#\n]*=[^#\n]*)", EVERYTHING, re.MULTILINE),
    *sorted({code for code in CODE if re.fullmatch(r"([a-z_./]+=\S+ ?)+", code) and "hydra" not in code}),
]


@cache
def had(menu: Path, *overrides: str) -> bool:
    """Return that what the `overrides` choose from the `menu` makes a configuration, or raise why not."""
    with initialize_config_dir(str(menu), version_base="1.3"):
        return bool(resolve(compose("config", list(overrides)), " ".join(overrides)))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_pages_order_can_be_had(menu: Path, command: str) -> None:
    parser = OverridesParser.create()
    words = [word for word in shlex.split(command) if "=" in word]
    given = [parser.parse_override(word) for word in words if not re.search(r"^hydra|interval\(", word)]
    choices = [
        [f"{override.key_or_group}={choice}" for choice in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [override.input_line or ""]
        for override in given
    ]
    for job in range(max(map(len, choices), default=1)):  # every choice once, not every combination
        assert had(menu, *(options[min(job, len(options) - 1)] for options in choices))


def named(pattern: str) -> set[str]:
    """Return what `pattern` captures in the commands of the pages, of which there must be something."""
    found = {match for line in LINES for match in re.findall(pattern, line)}
    assert found
    return found


def test_the_commands_that_the_pages_name_are_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named(r"^(?:\w+=\S+ )?make ([a-z]+)") <= set(targets)
    assert named(r"^dvc repro (?:-\w+ )*([a-z]+)") <= STAGES.keys()
    assert named(r"python -m benchmarks\.records (\w+)") <= RECORDS.keys()
    assert named(r"python -m pipeline\.experiments (\w+)") <= DRAWN.keys()
    for module in named(r"python -m ((?:pipeline|benchmarks)\.[a-z_.]+)"):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_the_way_without_make_is_what_runs_on_windows() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for step in workflow["jobs"]["windows"]["steps"]]
    [block] = re.findall(r"Without `make`, also on Windows:\n\n```sh\n(.+?)```", README, re.DOTALL)
    lines = [re.sub(r".*# on Windows: | +#.*", "", line) for line in block.splitlines()]
    assert len(lines) == 4
    assert lines in [step.splitlines() for step in steps]


def test_the_keys_that_the_pages_name_are_there() -> None:
    config = flat(read_params(ROOT / "params.yaml"))
    groups = {key.split(".")[0] for key in config}
    keys = named(r"^([a-z]+(?:\.[a-z_]+)+)(?:[=:] ?\S+)?$")
    asked = {
        key
        for key in keys
        if key.split(".")[0] in groups and not key.endswith((".csv", ".png", ".html", ".org", ".py"))
    }
    assert "training.threads" in asked
    assert asked <= config.keys()


def test_the_files_that_the_pages_name_are_there() -> None:
    made = [CHECKPOINTS.as_posix()]
    for stage in STAGES.values():
        for out in [*stage.get("outs", ()), *stage.get("metrics", ())]:
            made += [out] if isinstance(out, str) else list(out)
    made += [f"conf/{name}" for name, _ in ADDED]
    made += [parent.as_posix() for path in made for parent in PurePosixPath(path).parents]
    for name in named(r"^((?:conf|pipeline|tests|benchmarks|docs|data|models|reports)/[\w./]*)$"):
        assert name.rstrip("/") in made or (ROOT / name).exists(), name


def test_the_map_of_the_repository_is_of_what_is_there() -> None:
    [tree] = re.findall(r"## What is where\n\n```\n(.+?)```", README, re.DOTALL)
    for line in tree.splitlines():
        *names, _ = re.split(r"\s{2,}", line.strip())
        for name in names:
            assert (ROOT / ("pipeline" if line.startswith(" ") else "") / name).exists(), name


def test_the_results_of_the_committed_run_are_those_in_git() -> None:
    metrics = json.loads((ROOT / "reports/metrics.json").read_text(encoding="utf-8"))
    accuracies = {part: 100 * of_part["accuracy"] for part, of_part in metrics.items()}
    printed = ", ".join(f"{accuracy:.2f}% ({part})" for part, accuracy in accuracies.items())
    assert f"\nMNIST: accuracy {printed}\n" in README
    assert f"reads {accuracies['test']:.2f} % of the test images correctly" in " ".join(README.split())


@pytest.mark.parametrize("experiment", ["sheet_alternating", "alternating_solved"])
def test_the_predictions_on_the_problem_sheets_page_are_those_in_git(experiment: str) -> None:
    metrics = json.loads((ROOT / "reports/problems.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/problem-sheet.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| `{experiment}` \| (.+) \|$", page, re.MULTILINE)
    assert [float(cell) for cell in row.split("|")] == list(metrics[experiment]["predictions"].values())


def test_the_python_code_of_the_readme_prints_what_the_readme_says(tmp_path: Path) -> None:
    [(code, output)] = re.findall(r"```python\n(.+?)```\n\nIt prints:\n\n```\n(.+?)```", README, re.DOTALL)
    (tmp_path / "readme.py").write_text(code, encoding="utf-8")
    done = run_module(tmp_path, "readme")
    assert (done.returncode, done.stdout) == (0, output), done.stderr


ON_IMAGES = {
    "Handwritten digits",
    "Is the gradient right?",
    "Learning to read digits",
}  # sections of the tour


@pytest.mark.parametrize(
    ("data", "images", "classes"),
    [
        ("as prepared", 205, 10),
        pytest.param("of two classes", 205, 2, marks=pytest.mark.stress),
        pytest.param("without a test part", 4000, 10, marks=pytest.mark.stress),  # the tour's own images
        pytest.param("none", 4000, 10, marks=pytest.mark.stress),
    ],
)
def test_the_tour_runs_on_any_images_and_the_rest_of_it_shows_what_is_stored(
    data: str, images: int, classes: int, workspace: Path
) -> None:
    processed = workspace / "data/processed"
    if data == "of two classes":
        merge_classes(processed)
    elif data == "without a test part":
        for path in processed.glob("test_*.npy"):
            np.save(path, np.load(path)[:0])
    elif data == "none":
        shutil.rmtree(workspace / "data")
    shown = run_tour(workspace)
    text = f"train     images ({images}, 784), float32, labels ({images}, {classes})\n"
    assert any(text in outputs for outputs in shown["Handwritten digits"])
    stored = by_section(TOUR)
    for section in stored.keys() - ON_IMAGES:
        assert shown[section] == stored[section], f"{section}: `make tour` stores it anew"


@pytest.mark.stress
def test_what_the_tour_shows_is_what_running_it_on_mnist_gives(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for stage in ("download", "preprocess"):
        done = run_module(tmp_path, f"pipeline.{stage}")
        assert done.returncode == 0, done.stderr
    if load_dataset(tmp_path / "data/processed").title != "MNIST":
        pytest.skip("MNIST can be had from nowhere")
    assert run_tour(tmp_path) == by_section(TOUR), "`make tour` stores it anew"


def test_the_stored_tour_is_small() -> None:
    assert (ROOT / "docs/tour.ipynb").stat().st_size < 1_000_000


def run_tour(workspace: Path) -> dict[str, list[str]]:
    """Run the tour on the data in `workspace` and return what it shows."""
    shutil.copytree(ROOT / "conf", workspace / "conf")
    shutil.copy(ROOT / "dvc.yaml", workspace)
    done = run_module(workspace, "docs.run_tour", "tour.ipynb")
    assert done.returncode == 0, done.stderr
    return by_section(json.loads((workspace / "tour.ipynb").read_text(encoding="utf-8"))["cells"])


def by_section(cells: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the outputs of the code cells below each heading: printed text, and hashes of pictures."""
    sections: dict[str, list[str]] = {}
    for cell in cells:
        if cell["cell_type"] == "markdown" and (heading := re.match(r"#+ (.+)", cell["source"][0])):
            shown = sections.setdefault(heading[1], [])
        for output in cell.get("outputs", ()):
            picture = output.get("data", {}).get("image/png")
            shown.append(sha256(picture.encode()).hexdigest() if picture else "".join(output["text"]))
    return sections


def merge_classes(processed: Path) -> None:
    """Leave two classes of ten: the even digits and the odd ones."""
    for path in processed.glob("*_labels.npy"):
        labels = np.load(path)
        np.save(path, np.stack([labels[:, ::2].max(axis=1), labels[:, 1::2].max(axis=1)], axis=1))
    path = processed / "dataset.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**description, "classes": ["even", "odd"]}), encoding="utf-8")
