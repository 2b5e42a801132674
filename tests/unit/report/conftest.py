"""One headless browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.chromium import chromium


@pytest.fixture(scope="session")
def session_browser() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(session_browser: Chrome) -> Iterator[Chrome]:
    """The browser as it starts: light, wide, and with JavaScript."""
    yield session_browser
    session_browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    session_browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    session_browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    session_browser.get("about:blank")
    session_browser.get_log("browser")  # type: ignore[no-untyped-call]
