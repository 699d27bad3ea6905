"""Draw a digit on the page of DVC's run, as a reader would, and write the README's picture of it.

`python -m docs.draw_digit` needs Chromium, and `reports/page.html`, which `dvc repro` makes.
"""

import io
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.interpolate import CubicSpline

from pipeline.runs.run import Run
from tests.browser import Browser

PICTURE = Path(__file__).parent / "figures/draw.gif"
WIDTH = 720  # pixels of the picture
COLOURS = 48
FRAME_MS, LAST_MS = 90, 2500
CORNERS = [  # of a three, as fractions of the pad
    *((0.30, 0.22), (0.40, 0.15), (0.54, 0.14), (0.65, 0.21), (0.66, 0.32), (0.58, 0.42), (0.46, 0.46)),
    *((0.60, 0.49), (0.69, 0.58), (0.70, 0.70), (0.62, 0.81), (0.48, 0.86), (0.34, 0.82), (0.28, 0.74)),
]
STEPS = 3  # frames from a corner to the next


def main() -> None:
    """Write the picture."""
    along = np.arange(STEPS * (len(CORNERS) - 1) + 1) / STEPS
    path = CubicSpline(range(len(CORNERS)), CORNERS)(along)
    with closing(Browser()) as browser:
        browser.prefer("light")
        browser.resize(1100, 1200)
        browser.open(Run().page)
        browser.click("#clear")
        frames = [frame(browser)]
        for begin, end in zip(path[:-1].tolist(), path[1:].tolist(), strict=True):
            browser.drag("#pad", [[begin, end]])
            browser.wait("document.getElementById('verdict').textContent.includes('%')")
            frames.append(frame(browser))
    least = min(each.height for each in frames)
    frames = [each.crop((0, 0, WIDTH, least)) for each in frames]
    palette = frames[-1].quantize(COLOURS)
    first, *others = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    durations = [*[FRAME_MS] * len(others), LAST_MS]
    first.save(PICTURE, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)
    print(f"{PICTURE.name}: {len(frames)} frames, {PICTURE.stat().st_size:,} bytes")


def frame(browser: Browser) -> Image.Image:
    """Return what the page shows of the drawing and its reading."""
    shot = Image.open(io.BytesIO(browser.find(".drawing").screenshot_as_png)).convert("RGB")
    return shot.resize((WIDTH, round(WIDTH * shot.height / shot.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
