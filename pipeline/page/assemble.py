"""The page's HTML, CSS and JavaScript, and its contents, become one file."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.page.contents import Contents

FOLDER = Path(__file__).parent
STYLE = re.compile(r'<link rel="stylesheet" href="(\S+)">')
SCRIPT = re.compile(r'<script src="(\S+)"></script>')


def assemble(contents: Contents) -> str:
    """Return the page: page.html with the `contents` of the run in it."""
    data = json.dumps(contents.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    texts = {
        "title": html.escape(contents.title),
        "sentence": html.escape(contents.sentence),
        "contents": data.replace("<", "\\u003c"),  # so no text in it ends the element that holds it
    }
    return fill("page.html", texts)


def fill(name: str, texts: Mapping[str, str]) -> str:
    """Return the HTML file `name` with the files that it names and with the `texts`, which are HTML."""
    page = STYLE.sub(lambda match: f"<style>\n{_read(match[1])}</style>", _read(name))
    page = SCRIPT.sub(lambda match: f"<script>\n{_read(match[1])}</script>", page)
    return re.sub(r"\{\{(\w+)\}\}", lambda match: texts[match[1]], page)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
