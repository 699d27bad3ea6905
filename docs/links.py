"""Keep the links from the text to the code true: `python docs/links.py`, which `make format` runs too.

A link whose text is code, as in [`forward(block)`](../pipeline/nn/mlp.py#L194), is to a line that holds it.
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\[`(?P<code>[^`\n]+)`\]\((?P<target>[^()#\s]+)#L(?P<line>\d+)\)")


def mended(text: str, folder: Path) -> str:
    """Return `text`, a Markdown file's in `folder`, with the line number of every such link as it is now.

    Where several lines hold the code, the one nearest to the old number is meant.

    Raises:
        ValueError: if no line of the linked file holds the code any more.
    """

    def mend(link: re.Match[str]) -> str:
        code, target, old = link["code"], link["target"], int(link["line"])
        if not (folder / target).is_file():
            raise ValueError(f"{target}, to which the text links, is not there: mend the text")
        lines = (folder / target).read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, start=1) if code in line]
        if not found:
            raise ValueError(f"no line of {target} holds `{code}`, to which the text links: mend the text")
        nearest = min(found, key=lambda number: abs(number - old))
        return f"[`{code}`]({target}#L{nearest})"

    return LINK.sub(mend, text)


if __name__ == "__main__":
    for page in sorted(Path(__file__).parent.glob("*.md")):
        try:
            text = mended(page.read_text(encoding="utf-8"), page.parent)
        except ValueError as error:
            sys.exit(f"error: {page.name}: {error}")
        page.write_text(text, encoding="utf-8", newline="\n")
