"""A headless Chromium at the page, and everything that it asked for or complained of."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

Element = Any
"""Of selenium, which is not there everywhere."""

ENTER, ESCAPE, TAB, SHIFT, NULL, END = "\ue007", "\ue00c", "\ue004", "\ue008", "\ue000", "\ue010"
"""Keys, as WebDriver writes them; NULL lets go of all that are held."""

DESK, PHONE, SMALLEST = (1280, 800), (390, 844), (320, 640)
"""Sizes of a window; the smallest is also what 400 % of zoom leave of the first."""

_SECONDS = 15

# Runs before the page's own scripts, and not under their policy.
_WATCH = """
    window.complaints = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.complaints.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`));
    addEventListener("error", (event) => window.complaints.push(`error: ${event.message}`));
    addEventListener("unhandledrejection", (event) => window.complaints.push(`rejection: ${event.reason}`));
    for (const name of ["alert", "confirm", "prompt"]) window[name] = () => { window.ran = name; };
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A session of a headless Chromium; skips the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no chromium with chromedriver on this machine: the page is not tested in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        session.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        yield session
    finally:
        session.quit()


class Page:
    """The page in a browser, as a person uses it."""

    def __init__(self, session: Any, url: str) -> None:
        """Nothing is shown yet.

        Args:
            session: Of `chromium`.
            url: Of the server.
        """
        self.session = session
        self.url = url

    def visit(
        self, path: str = "/", *, size: tuple[int, int] = DESK, scheme: str = "light", fresh: bool = True
    ) -> Page:
        """Open the page as it is for somebody who was never there, unless it is not to be fresh.

        Args:
            path: Of the address.
            size: Width and height in pixels.
            scheme: `light` or `dark`, as the system says.
            fresh: Whether what the browser kept is forgotten first.
        """
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        self.resize(size)
        if fresh:
            self.session.get(f"{self.url}/page/icon.svg")
            self.session.execute_script("sessionStorage.clear(); localStorage.clear()")
        self.session.get(self.url + path)
        return self

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window another width and height."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def script(self, source: str, *arguments: Any) -> Any:
        """What a function's body returns."""
        return self.session.execute_script(source, *arguments)

    def many(self, selector: str) -> list[Element]:
        """Elements that are there now."""
        found: list[Element] = self.session.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Element:
        """An element, as soon as it is there and shown."""
        return self.until(lambda: next(filter(_is_shown, self.many(selector)), None), selector)

    def until(self, found: Callable[[], Any], what: str = "") -> Any:
        """What a function finds, as soon as it finds something."""
        ends = time.monotonic() + _SECONDS
        while not (value := found()):
            assert time.monotonic() < ends, f"not there after {_SECONDS} s: {what}"
            time.sleep(0.02)
        return value

    def gone(self, selector: str) -> None:
        """Wait until no such element is shown."""
        self.until(lambda: not any(map(_is_shown, self.many(selector))), f"no {selector}")

    def text(self, selector: str) -> str:
        """The text of an element, shown or not, as soon as it is there."""
        read = "return document.querySelector(arguments[0])?.textContent ?? null"
        self.until(lambda: self.script(read, selector) is not None, selector)
        said: str = self.script(read, selector)
        return said

    def attribute(self, selector: str, name: str) -> str | None:
        """An attribute of an element; None where there is neither."""
        read = "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? null"
        value: str | None = self.script(read, selector, name)
        return value

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        self.session.switch_to.active_element.send_keys(*keys)

    def click(self, selector: str) -> None:
        """Press an element, wherever it is scrolled to."""
        self.until(lambda: self._click(selector), f"press {selector}")

    def _click(self, selector: str) -> bool:
        from selenium.common import exceptions

        element = self.one(selector)
        try:
            self.script("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
        except (exceptions.StaleElementReferenceException, exceptions.ElementClickInterceptedException):
            return False  # it was made anew, or something still moves
        return True

    def focused(self) -> str:
        """The name or text of what has the focus."""
        name: str = self.script(
            "const at = document.activeElement;"
            "return at.getAttribute('aria-label') || at.textContent || at.id"
        )
        return name

    def ask(self, question: str, *, wait: bool = True) -> None:
        """Type a question, press Enter, and wait for the end of the answer."""
        turns = len(self.many(".turn"))
        self.one("#question").send_keys(question, ENTER)
        self.until(lambda: len(self.many(".turn")) > turns, "a turn")
        if wait:
            self.until(lambda: len(self.many(".turn:last-child .actions")), "the end of the answer")

    def complaints(self) -> list[str]:
        """What the policy refused, what failed, and what the console says; since this was last asked."""
        told: list[str] = self.script("return window.complaints.splice(0)")
        return told + [entry["message"] for entry in self.session.get_log("browser")]

    def requested(self) -> set[str]:
        """The addresses that the page asked for since this was last asked."""
        messages = [json.loads(entry["message"])["message"] for entry in self.session.get_log("performance")]
        sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return {each["request"]["url"] for each in sent}

    def sideways(self) -> int:
        """By how many pixels the page, or what scrolls in it, is wider than it is shown."""
        wider: int = self.script(
            "const boxes = document.querySelectorAll('html, .scroll-area, .panel-body');"
            "return Math.max(...Array.from(boxes, (each) => each.scrollWidth - each.clientWidth))"
        )
        return wider

    def screenshot(self, path: Path) -> Path:
        """Keep what is seen."""
        assert self.session.save_screenshot(str(path))
        return path

    def axe(self) -> list[str]:
        """What axe-core finds that is serious or critical: rule, and where."""
        package = find_spec("axe_core_python")
        if package is None or package.origin is None:
            pytest.skip("axe-core-python is not installed: accessibility is not tested")
        source = Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8")
        # By the debugger: the page's policy allows no script that is not the server's.
        self.session.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
        run = "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)"
        wanted = {"expression": run, "awaitPromise": True, "returnByValue": True}
        found = self.session.execute_cdp_cmd("Runtime.evaluate", wanted)["result"]["value"]
        return [
            f"{each['impact']} {each['id']}: {[node['html'][:120] for node in each['nodes']]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]


def _is_shown(element: Element) -> bool:
    """Whether an element is seen; one that is no longer there is not."""
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        return bool(element.is_displayed())
    except StaleElementReferenceException:
        return False
