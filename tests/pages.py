"""The edits that a page of docs/ tells the reader to make, and how a test makes them."""

import re
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"^`(\S+)`(?:, (?:above `([^`]+)`|(a new file|in place of what is there)))?:\n\n```(\w+)\n(.+?)```",
    re.MULTILINE | re.DOTALL,
)


class Edit(NamedTuple):
    """One block of a page: what to do to which file.

    Attributes:
        file: its path in the repository.
        above: which line of the file the block goes above, by its first word.
        whole: `a new file` or `in place of what is there`, if the block is all of the file.
        language: of the block; of a `diff`, + and - mark the lines to add and to remove, and @@ stands for
            lines in between.
        code: the block.
    """

    file: str
    above: str
    whole: str
    language: str
    code: str

    def make(self, root: Path) -> None:
        """Change the file in the repository at `root`."""
        path = root / self.file
        if self.whole:
            assert path.exists() == (self.whole != "a new file"), self.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.code, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        for old, new in self._replacements(text):
            assert text.count(old) == 1, f"{self.file} has {text.count(old)} times {old!r}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def _replacements(self, text: str) -> list[tuple[str, str]]:
        if self.above:
            [line] = re.findall(rf"^{self.above}\b.*", text, re.MULTILINE)
            return [(line, f"{self.code}\n\n{line}")]
        hunks = [hunk.splitlines(keepends=True) for hunk in self.code.split("@@\n")]
        return [
            (
                "".join(line[1:] for line in lines if line[0] in " -"),
                "".join(line[1:] for line in lines if line[0] in " +"),
            )
            for lines in hunks
        ]


def edits(page: str) -> list[Edit]:
    """Return the edits in the text of a `page`, in order; no block of code may be left out."""
    found = [Edit(*match) for match in BLOCK.findall(page)]
    assert len(found) == len(re.findall("```(?:python|diff|yaml)\n", page))
    return found


def commands(page: str) -> list[str]:
    """Return the commands in the text of a `page`, in order."""
    return "".join(re.findall(r"```sh\n(.+?)```", page, re.DOTALL)).splitlines()
