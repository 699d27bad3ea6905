"""The house rules that keep the project easy to enter: imports go one way, nothing is too large to read."""

import ast
from functools import cache
from pathlib import Path

from tests.commands import ROOT

LAYERS = ["commands", "sweeps", "page", "tracking", "figures", "runs", "config", "data", "nn", "support"]
"""From the top down: a module imports from its own package and from those below it. The commands are the
modules at the top of pipeline/, which are started as `python -m pipeline.…`."""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "pipeline").rglob("*.py"))
}
MOST_LINES_OF_A_MODULE = 350
MOST_LINES_OF_A_CLASS = 200
MOST_LINES_OF_A_FUNCTION = 60
MOST_PARAMETERS = 7
MOST_LINES_OF_A_TEST_FILE = 400


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def layer(module: str) -> int:
    """Return how far down the package of `module` is."""
    _, *names = module.split(".")
    return LAYERS.index(names[0] if names and names[0] in LAYERS else "commands")


@cache
def imports(module: str) -> set[str]:
    """Return the modules of the project that `module` imports anywhere in it."""
    found = set()
    for node in ast.walk(syntax(MODULES[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return (found & MODULES.keys()) - {"pipeline", module}


def test_imports_go_one_way() -> None:
    upwards = {
        module: [other for other in imports(module) if layer(other) < layer(module)] for module in MODULES
    }
    assert {module: others for module, others in upwards.items() if others} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' → '.join([*path, module])}"
        if module not in done:
            for other in imports(module):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def too_large(path: Path) -> list[str]:
    """Return the names of what is too large to read in the module at `path`, and of the module if it is."""
    found = [path.name] if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES_OF_A_MODULE else []
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.ClassDef) and lines_of(node) > MOST_LINES_OF_A_CLASS:
            found.append(node.name)
        if isinstance(node, ast.FunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            parameters = [name for name in given if name.arg not in {"self", "cls"}]
            if lines_of(node) > MOST_LINES_OF_A_FUNCTION or len(parameters) > MOST_PARAMETERS:
                found.append(node.name)
    return found


def test_nothing_is_too_large_to_read() -> None:
    assert len(MODULES) > 100
    assert {module: found for module, path in MODULES.items() if (found := too_large(path))} == {}


def test_no_test_file_is_too_large_to_read() -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_TEST_FILE} == {}


def lines_of(node: ast.ClassDef | ast.FunctionDef) -> int:
    assert node.end_lineno
    return node.end_lineno - node.lineno + 1
