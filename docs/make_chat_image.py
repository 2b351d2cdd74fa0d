"""Takes the picture of the chat page: `python docs/make_chat_image.py http://127.0.0.1:8080`.

The server holds the demo (`make demo`, then `ragwright serve` in build/demo). Needs Chromium with its driver.
"""
# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import base64
import shutil
import sys
import time
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).with_name("images") / "chat.png"
QUESTION = "What torque do the axlebox cover bolts of a Kestrel 330 take?"
CITATION = 3  # of a PDF
SIZE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
MOST_SECONDS = 30


def take(session: Any, address: str) -> bytes:
    """The page with an answer, and a citation open beside it, as PNG."""
    session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
    media = [
        {"name": "prefers-reduced-motion", "value": "reduce"},
        {"name": "prefers-color-scheme", "value": "light"},
    ]
    session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": media})
    session.get(address)
    shown(session, ".shelf li")
    shown(session, "#question").send_keys(QUESTION, "\ue007")
    shown(session, ".actions")
    session.execute_script("arguments[0].click()", shown(session, f".chip[data-marker='{CITATION}']"))
    shown(session, ".panel .box")
    time.sleep(0.5)
    picture = session.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(picture["data"])


def shown(session: Any, selector: str) -> Any:
    """An element, as soon as it is there.

    Raises:
        TimeoutError: It did not come.
    """
    ends = time.monotonic() + MOST_SECONDS
    while not (found := session.find_elements("css selector", selector)):
        if time.monotonic() > ends:
            raise TimeoutError(f"the page shows no {selector}")
        time.sleep(0.05)
    return found[0]


def main(address: str) -> None:
    """Take the picture."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    session = webdriver.Chrome(options=options, service=service)
    try:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(take(session, address))
    finally:
        session.quit()


if __name__ == "__main__":
    main(sys.argv[1])
