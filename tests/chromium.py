"""Control the browser of the tests and of script/screenshots: Debian's Chromium, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

SECONDS = 30
"""Seconds for a page to load: it is a file of a few kilobytes, but the machine may be busy."""


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser until the block ends.

    Raises FileNotFoundError if it is not installed, so that tests that need it fail instead of being skipped.
    """
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1280,900")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium does not run as root with a sandbox
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, Service(_program("chromedriver")))
    try:
        browser.set_page_load_timeout(SECONDS)
        yield browser
    finally:
        browser.quit()


def wide(browser: Chrome, width: int, height: int = 900) -> None:
    """Give the page `width` pixels. A browser window on a desktop cannot be as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def colours(browser: Chrome, scheme: str) -> None:
    """Emulate a system whose colour scheme is `light` or `dark`."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed; `script/setup --dev` installs it")
    return path
