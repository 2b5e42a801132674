"""The page for a reviewer in a real browser: what it shows, does, and lets itself be used with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk
from selab.report.html import render
from selab.report.model import Report, ReportedRun, Source
from tests.chromium import chromium, colours, wide
from tests.unit.documents import DENIAL, document

pytestmark = pytest.mark.browser

HOSTILE = "<img src=http://evil.test/x onerror=alert(1)><script>alert(1)</script>\"'`]]>&amp;\x1b[31m\u202e"
LONG = "a_type_with_a_name_that_goes_on_and_on_as_generated_ones_do_and_has_no_place_to_break_t"
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
WCAG_AA = 4.5
"""Of text to what it stands on: Web Content Accessibility Guidelines 2.2, 1.4.3."""
FOCUSABLE = "a[href], button, input, summary, [tabindex='0']"


def denial(target: str, count: int, **more: Any) -> dict[str, Any]:
    return {**DENIAL, "target": target, "count": count, **more}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs with everything that a page may hold, and with names that mean harm or are too long."""
    rows = [
        denial("http_port_t", 9),
        denial("shadow_t", 10, path=HOSTILE),
        denial(LONG, 1, comm=HOSTILE, source=HOSTILE),
    ]
    need = DeniedAccess(2, "web_t", "shadow_t", "tcp_socket", frozenset({"read"}))
    remedies = (
        Remedy(Kind.RULE, f"allow {LONG};", HOSTILE, Risk(Level.HIGH, HOSTILE), 3),
        Remedy(Kind.LEAVE, "dontaudit web_t shadow_t;"),
    )
    full = ReportedRun(
        document(
            run="three",
            denials=rows,
            hidden=[denial("etc_t", 2)],
            reasons=[HOSTILE, LONG],
            scenario=HOSTILE,
            log=LONG,
        ),
        sources=(
            Source(
                "web",
                f"policy_module(web, 1)\n# {HOSTILE} {LONG}\nallow web_t http_port_t:tcp_socket name_bind;\n",
            ),
        ),
        records=(HOSTILE, LONG * 5),
        advice=(Advice(need, HOSTILE, Cause.RULE, remedies),),
    )
    passed = document(run="two", denials=[], verdict="PASS", reasons=["fine"], policy=LONG)
    doubted = document(run="one", verdict="ERROR", reasons=["not seen"])
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render(Report((ReportedRun(doubted), ReportedRun(passed), full))))
    return path


@pytest.fixture
def opened(browser: Chrome, file: Path) -> Chrome:
    browser.get(file.as_uri())
    return browser


def rows(browser: Chrome) -> list[WebElement]:
    """The rows that show of the first table of denials, in their order."""
    table = browser.find_element(By.CSS_SELECTOR, "table.denials")
    return [row for row in table.find_elements(By.CSS_SELECTOR, "tbody > tr") if row.is_displayed()]


def column(browser: Chrome, number: int) -> list[str]:
    return [row.find_elements(By.TAG_NAME, "td")[number].text for row in rows(browser)]


def heading(browser: Chrome, name: str) -> WebElement:
    return browser.find_element(By.XPATH, f"(//table[@class='denials'])[1]//th[normalize-space()='{name}']")


def test_the_filter_leaves_the_rows_that_have_all_words(opened: Chrome) -> None:
    opened.find_element(By.ID, "filter3").send_keys("WEB_T shadow")
    assert column(opened, 2) == ["shadow_t:tcp_socket"]
    assert opened.find_element(By.ID, "count3").text == "1 of 4 rows"


def test_a_filter_that_is_cleared_shows_all(opened: Chrome) -> None:
    opened.find_element(By.ID, "filter3").send_keys("nothing has this", *[Keys.BACKSPACE] * 16)
    assert len(rows(opened)) == 4


def test_a_click_on_a_heading_sorts_numbers_as_numbers_and_a_second_one_turns_them(opened: Chrome) -> None:
    heading(opened, "count").find_element(By.TAG_NAME, "button").click()
    assert (column(opened, 4), heading(opened, "count").get_attribute("aria-sort")) == (
        ["1", "2", "9", "10"],
        "ascending",
    )
    heading(opened, "count").find_element(By.TAG_NAME, "button").click()
    assert (column(opened, 4), heading(opened, "count").get_attribute("aria-sort")) == (
        ["10", "9", "2", "1"],
        "descending",
    )


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE], ids=["Enter", "Space"])
def test_a_key_on_a_heading_sorts(key: str, opened: Chrome) -> None:
    button = heading(opened, "target:class").find_element(By.TAG_NAME, "button")
    for _ in opened.find_elements(By.CSS_SELECTOR, FOCUSABLE):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        if opened.switch_to.active_element == button:
            break
    ActionChains(opened).send_keys(key).perform()
    assert column(opened, 2) == sorted(column(opened, 2)) != []


def test_without_javascript_everything_is_there(browser: Chrome, file: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(file.as_uri())
    assert len(rows(browser)) == 4
    assert not browser.find_elements(By.CSS_SELECTOR, "th button")  # it really does not run
    assert not browser.find_element(By.ID, "filter3").is_displayed()  # what would do nothing does not show


def test_nothing_is_wrong_and_nothing_of_a_record_runs(opened: Chrome) -> None:
    assert opened.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_nothing_is_fetched(opened: Chrome) -> None:
    assert (
        opened.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)") == []
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str, opened: Chrome) -> None:
    colours(opened, scheme)
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert opened.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") is (
        scheme == "dark"
    )
    seen, poor = opened.execute_script(CONTRAST, WCAG_AA)
    assert seen > 50 and poor == []


def test_every_heading_of_a_table_says_what_it_is_for(opened: Chrome) -> None:
    headings = opened.find_elements(By.TAG_NAME, "th")
    assert headings and {head.get_attribute("scope") for head in headings} == {"col"}


def test_the_keyboard_reaches_everything_and_shows_where_it_is(opened: Chrome) -> None:
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    focusable = {
        element for element in opened.find_elements(By.CSS_SELECTOR, FOCUSABLE) if element.is_displayed()
    }
    reached: set[WebElement] = set()
    for _ in range(len(focusable) + 5):  # the table that scrolls may be a stop of the browser's own
        ActionChains(opened).send_keys(Keys.TAB).perform()
        here = opened.switch_to.active_element
        if here.tag_name == "body":
            break
        outline = opened.execute_script(
            "const s = getComputedStyle(arguments[0]); return [s.outlineStyle, parseFloat(s.outlineWidth)]",
            here,
        )
        assert outline[0] != "none" and outline[1] >= 2, (
            f"no focus to be seen on {here.tag_name} {here.text[:40]}"
        )
        reached.add(here)
    assert focusable and focusable <= reached


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_the_page_is_no_wider_than_the_screen(width: int, opened: Chrome) -> None:
    wide(opened, width)
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_pictures_names_can_be_read_on_a_phone(opened: Chrome) -> None:
    wide(opened, 400)
    heights = [element.rect["height"] for element in opened.find_elements(By.CSS_SELECTOR, ".picture text")]
    assert heights and min(heights) >= 11


def test_a_browser_that_is_missing_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="script/setup --dev"), chromium():
        pass
