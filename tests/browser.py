"""Chromium as the tests of the page use it: without a window and without a network."""

import importlib.util
import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.commands import ROOT, wait_for

NO_AXE = "WHETHER EVERYBODY CAN USE THE PAGE WAS NOT TESTED: axe-core-python of requirements.lock is missing"
PAGE = ROOT / "pipeline/page"  # the page's HTML, CSS and JavaScript


def is_there() -> bool:
    """Return whether there is a browser, and what drives it."""
    return bool(
        shutil.which("chromium") and shutil.which("chromedriver") and importlib.util.find_spec("selenium")
    )


class Browser:
    """A browser with one page. It keeps what the page logs and which requests it makes."""

    def __init__(self) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options, Service(shutil.which("chromedriver")))

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def open(self, path: Path) -> None:
        """Open the file at `path`, and forget what was logged before."""
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(path.resolve().as_uri())

    def run(self, script: Path, expression: str, *arguments: Any) -> Any:
        """Return what `expression` gives after `script` on an empty page, with `arguments`."""
        self.driver.get("about:blank")
        return self.driver.execute_script(
            f"{script.read_text(encoding='utf-8')}\nreturn {expression};", *arguments
        )

    def value(self, expression: str, *arguments: Any) -> Any:
        """Return the value of a JavaScript `expression` on the page, with `arguments`."""
        return self.driver.execute_script(f"return {expression};", *arguments)

    def wait(self, expression: str) -> Any:
        """Wait until `expression` is true on the page, and return its value."""
        return wait_for(lambda: self.value(expression))

    def find(self, selector: str) -> Any:
        """Return the first element that fits the CSS `selector`."""
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Click on the first element that fits the CSS `selector`."""
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'});", element)
        element.click()

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that fits the CSS `selector`."""
        return str(self.find(selector).text)

    def press(self, selector: str, *keys: str) -> None:
        """Press keys, by Selenium's names or as letters, while the element has the focus."""
        from selenium.webdriver.common.keys import Keys

        self.driver.execute_script("arguments[0].focus();", self.find(selector))
        self.driver.switch_to.active_element.send_keys("".join(getattr(Keys, key, key) for key in keys))

    def drag(self, selector: str, strokes: list[list[tuple[float, float]]], kind: str = "mouse") -> None:
        """Draw strokes with a pointer: each is points within the element, as fractions of its size.

        Args:
            selector: of the element.
            strokes: (x, y) from (0, 0), the upper left corner, to (1, 1).
            kind: mouse, pen or touch.
        """
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'});", element)
        left, top, width, height = self.value(
            "(({x, y, width, height}) => [x, y, width, height])(arguments[0].getBoundingClientRect())",
            element,
        )
        chain = ActionChains(self.driver, duration=10, devices=[PointerInput(kind, kind)])
        pointer = chain.w3c_actions.pointer_action
        for stroke in strokes:
            points = [(round(left + x * width), round(top + y * height)) for x, y in stroke]
            pointer.move_to_location(*points[0])
            pointer.pointer_down()
            for point in points[1:]:
                pointer.move_to_location(*point)
            pointer.pointer_up()
        chain.perform()

    def resize(self, width: int, height: int = 900) -> None:
        """Let the page have so many CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """Tell the page how its reader likes it; nobody likes it to move."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page to `path`."""
        import base64

        shot = {"captureBeyondViewport": True, "format": "png"}
        path.write_bytes(
            base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", shot)["data"])
        )

    def logged(self) -> list[str]:
        """Return what the page has written to the console, errors included."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self) -> list[str]:
        """Return what of the page not everybody can use, as axe-core finds it: the rule and the place.

        The test is skipped, and a warning says so, where the package that brings axe-core is not installed.
        """
        package = importlib.util.find_spec("axe_core_python")
        if not package or not package.origin:
            warnings.warn(NO_AXE, stacklevel=1)
            pytest.skip(NO_AXE)
        self.driver.execute_script(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
        done = self.driver.execute_async_script("axe.run().then(arguments[0])")
        return [f"{rule['id']}: {node['target']}" for rule in done["violations"] for node in rule["nodes"]]

    def requests(self) -> list[str]:
        """Return the address of every request since the page was opened, that for the page included."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]
