"""What a page of docs/ tells the reader to do, and how a test does it."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

WHOLE = {"a new file": False, "in place of what is there": True}  # whether there is such a file before
FENCE = re.compile(
    r"(?:^`(?P<file>\S+)`(?:, (?P<how>[^:]+))?:\n\n)?^```(?P<language>\w+)\n(?P<code>.+?)^```$",
    re.MULTILINE | re.DOTALL,
)
DELETED = re.compile(r"^\| `(?P<file>\S+)` \| (?P<names>`.+`) \|$", re.MULTILINE)
TABLE = re.compile(
    rf"^\| file \| delete \|\n\|---\|---\|\n(?:{DELETED.pattern.strip('^$')}\n)+", re.MULTILINE
)


class Edit(NamedTuple):
    """One block of a page: what to do to which file.

    Attributes:
        file: its path in the repository.
        how: `a new file` or `in place of what is there`, if the block is all of the file; `above` the line
            that begins with a name; or `in place of` names, if what the block defines takes the place of what
            has these names, and the rest is added. Empty for a diff.
        code: the block. In a diff, + and - mark the lines to add and to remove, and @@ stands for lines in
            between.
    """

    file: str
    how: str
    code: str

    def make(self, root: Path) -> None:
        """Change the file in the repository at `root`."""
        path = root / self.file
        if self.how in WHOLE:
            assert path.exists() == WHOLE[self.how], self.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.code, encoding="utf-8")
            return
        names = re.findall(r"`([^`]+)`", self.how)
        text = path.read_text(encoding="utf-8")
        if self.how.startswith("above"):
            [line] = re.findall(rf"^{names[0]}\b.*", text, re.MULTILINE)
            text = text.replace(line, f"{self.code}\n\n{line}")
        elif self.how:
            text = redefine(text, names, self.code)
        else:
            for hunk in self.code.split("@@\n"):
                text = self._change(text, hunk.splitlines(keepends=True))
        path.write_text(text, encoding="utf-8")

    def _change(self, text: str, lines: list[str]) -> str:
        """Replace a hunk of a diff wherever it is; one with lines that stay has to be there once."""
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        found = len(re.findall(rf"^{re.escape(old)}", text, re.MULTILINE))
        assert found == 1 or (found and not any(line[0] == " " for line in lines)), (self.file, found, old)
        return re.sub(rf"^{re.escape(old)}", lambda _: new, text, flags=re.MULTILINE)


class Deletion(NamedTuple):
    """A row of a table of what to delete.

    Attributes:
        file: its path in the repository.
        names: of functions, classes and their attributes, or of keys and items of YAML.
    """

    file: str
    names: list[str]

    def make(self, root: Path) -> None:
        """Change the file in the repository at `root`."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        for name in self.names:
            find = find_definition if path.suffix == ".py" else find_key
            start, end = find(text, name)
            lines = text.splitlines(keepends=True)
            text = "".join(lines[:start] + lines[end:])
        path.write_text(text, encoding="utf-8")


def actions(page: str) -> Iterator[Edit | Deletion | str]:
    """Yield what the text of a `page` tells the reader to do, in order; a string is a command."""
    found = [*FENCE.finditer(page), *TABLE.finditer(page)]
    for match in sorted(found, key=re.Match.start):
        if match.re is TABLE:
            for row in DELETED.finditer(match.group()):
                yield Deletion(row["file"], re.findall(r"`([^`]+)`", row["names"]))
        elif match["language"] == "sh":
            yield from match["code"].splitlines()
        else:
            assert match["file"], f"where does this go?\n{match['code']}"
            yield Edit(match["file"], match["how"] or "", match["code"])


def edits(page: str) -> list[Edit]:
    """Return the edits in the text of a `page`, in order."""
    return [action for action in actions(page) if isinstance(action, Edit)]


def commands(page: str) -> list[str]:
    """Return the commands in the text of a `page`, in order."""
    return [action for action in actions(page) if isinstance(action, str)]


def redefine(text: str, names: list[str], code: str) -> str:
    """Return the module `text` in which the definitions in `code` take the place of those of these `names`.

    What `code` defines besides is added to the end, and its imports to the others.
    """
    code = textwrap.dedent(code)
    places = {name.rpartition(".")[2]: name for name in names}
    lines = code.splitlines()
    for node in ast.parse(code).body:
        start, end = extent(node)
        block = "\n".join(lines[start:end])
        if isinstance(node, ast.Import | ast.ImportFrom):
            first = next(each for each in ast.parse(text).body if isinstance(each, type(node)))
            at = first.lineno - 1
            text = insert(text, at, at, block)
        elif (name := defined(node)) in places:
            start, end = find_definition(text, places[name])
            margin = re.match(" *", text.splitlines()[start])
            text = insert(text, start, end, textwrap.indent(block, margin.group() if margin else ""))
            del places[name]
        else:
            text = f"{text}\n\n{block}\n"
    assert not places, f"the block lacks {', '.join(places)}"
    return text


def insert(text: str, start: int, end: int, block: str) -> str:
    """Return `text` with `block` in place of its lines from `start` to before `end`."""
    lines = text.splitlines()
    return "\n".join([*lines[:start], block, *lines[end:], ""])


def defined(node: ast.stmt) -> str:
    """Return the name that a statement defines; empty if it is no definition."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def extent(node: ast.stmt) -> tuple[int, int]:
    """Return the first line of a statement with its decorators, from 0, and the one after its last line."""
    decorators = getattr(node, "decorator_list", [])
    return min(each.lineno for each in (node, *decorators)) - 1, node.end_lineno or node.lineno


def find_definition(text: str, name: str) -> tuple[int, int]:
    """Return the lines of what has the dotted `name` in the module `text`, as `extent` does."""
    body = ast.parse(text).body
    for part in name.split("."):
        found = [each for each in body if defined(each) == part]
        assert len(found) == 1, f"{len(found)} definitions of {name}"
        [node] = found
        body = getattr(node, "body", [])
    return extent(node)


def find_key(text: str, name: str) -> tuple[int, int]:
    """Return the lines of the key or item with the dotted `name` in the YAML `text`, as `extent` does.

    An item is found by itself or, if it is a mapping, by its only key.
    """
    node: yaml.Node | None = yaml.compose(text)
    for part in name.split("."):
        assert isinstance(node, yaml.CollectionNode), name
        entries = node.value if isinstance(node, yaml.MappingNode) else [(item, item) for item in node.value]
        found = [entry for entry in entries if label(entry[0]) == part]
        assert len(found) == 1, f"{len(found)} entries of {name}"
        [(key, node)] = found
    lines = text.splitlines()
    start = end = key.start_mark.line
    margin = len(lines[start]) - len(lines[start].lstrip())
    while end + 1 < len(lines) and lines[end + 1].startswith(" " * (margin + 1)):
        end += 1
    return start, end + 1


def label(node: yaml.Node) -> str:
    """Return what names a key or item of YAML."""
    return label(node.value[0][0]) if isinstance(node, yaml.MappingNode) else str(node.value)
