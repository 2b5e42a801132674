"""What a container, a file name or a record says reaches no output as anything but text."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from selab.__main__ import _say
from selab.cli.logfile import log_to, log_to_terminal
from selab.report import github, junit, sarif
from selab.report.markup import safe
from selab.report.progress import TerminalListener
from selab.report.terminal import show_run
from selab.report.text import UNSAFE, plain, plain_lines
from selab.run.document import RunDocument
from tests.unit.documents import DENIAL, document, report

ATTACKS = {
    "a colour": "\x1b[31mred",
    "a title": "\x1b]0;owned\x07",
    "a clipboard": "\x1b]52;c;ZXZpbA==\x1b\\",
    "a C1 sequence": "\x9b2J\x9d0;x\x9c",
    "a bell": "\x07",
    "a backspace": "rm\x08\x08ls",
    "a new line": "x\n::error::forged\r\nPASS",
    "another new line": "x\u2028y\u2029z\x85",
    "an override": "\u202etxt.exe\u2066\u2069",
    "a zero width": "a\u200bb\ufeff",
    "a tag": "\U000e0041",
    "NUL": "a\0b",
    "a surrogate": "a\ud800b",
    "markup": "[bold red]PASS[/bold red][link=http://x]y[/link]",
    "a command": "::set-env name=PATH::x",
    "an old command": "x ##[error]y ##vso[task.complete]z ##teamcity[x]",
    "an escape of an escape": "%0A::error::x %25",
    "XML": "]]>&<![CDATA[<x/>\ufffe\uffff",
}
COMMAND = re.compile(r"\s*::[A-Za-z]")
"""Matches a line that GitHub takes for a command: `::` and its name, and not an address like `::1`."""
SPEAKS = ["::", "##["]
"""What a CI system takes for a command, at a line's start or anywhere in it."""
SCHEMA = json.loads((Path(__file__).parent / "sarif.schema.json").read_text())

hostile = pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)


def of(text: str) -> RunDocument:
    """Return a run in which each text from outside selab is `text`."""
    denial = (
        DENIAL
        | {name: text for name in ("source", "target", "class", "comm", "path", "exe", "detail")}
        | {"permissions": [text]}
    )
    error = {"kind": text, "meaning": text, "text": text}
    more: dict[str, Any] = {
        "run": text,
        "scenario": text,
        "policy": text,
        "label": {"requested": text, "actual": text},
        "log": text,
        "notes": [text],
        "steps": [{"name": text, "ok": False, "seconds": 1, "detail": text}],
        "reasons": [text, text],
        "timings": {text: 1.0},
        "denials": [denial],
        "hidden": [denial],
        "runtime": [denial],
        "machine": [denial],
        "selinux_errors": [error],
    }
    return document(**more, verdict="ERROR")


def harmless(shown: str) -> bool:
    """Whether a terminal and a CI system show `shown`, lines and all, and do nothing else."""
    acts = any(unicodedata.category(char) in UNSAFE for char in shown if char != "\n")
    return not acts and "##[" not in shown and not any(COMMAND.match(line) for line in shown.split("\n"))


@hostile
def test_text_is_one_line_that_no_terminal_acts_on(text: str) -> None:
    assert harmless(plain(text)) and "\n" not in plain(text)


@given(st.text())
@example("::")
@example("::1")
@settings(deadline=None)
def test_any_text_is_one_line_that_no_terminal_acts_on(text: str) -> None:
    assert harmless(plain(text)) and "\n" not in plain(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" ")))
@settings(deadline=None)
def test_harmless_text_is_not_changed(text: str) -> None:
    assume("::" not in text and "##" not in text)
    assert plain(text) == text


def test_several_lines_keep_their_ends_and_tabs() -> None:
    assert plain_lines("a\n\tb\x1b\n") == "a\n\tb\\x1b\n"


@hostile
@pytest.mark.parametrize("width", [20, 160])
def test_a_run_on_a_terminal(text: str, width: int) -> None:
    out = io.StringIO()
    show_run(
        of(text), Console(file=out, highlight=False, emoji=False, width=width), change=text, everything=True
    )
    assert harmless(out.getvalue())


@hostile
def test_markup_is_shown_and_not_obeyed(text: str) -> None:
    out = io.StringIO()
    Console(file=out, highlight=False, emoji=False, width=1000).print(safe(text), end="")
    assert out.getvalue().removesuffix("\\x5c") == plain(text).removesuffix("\\")


@hostile
def test_progress(text: str) -> None:
    out = io.StringIO()
    listener = TerminalListener(Console(file=out, highlight=False, emoji=False, width=200))
    listener.started(text, 0)
    listener.noted(text, 1)
    listener.ended(text, 0, 2.0, True)
    assert harmless(out.getvalue())


@hostile
def test_an_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    _say(text, text, text)
    shown = capsys.readouterr().err
    assert harmless(shown) and len(shown.splitlines()) == 3


@hostile
def test_the_log(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    log = logging.getLogger("selab")
    monkeypatch.setattr(log, "handlers", [])
    log_to(tmp_path / "log")
    log_to_terminal()
    log.info("the guest said %s", text)
    written = (tmp_path / "log").read_text()
    assert harmless(shown.getvalue()) and harmless(written) and written == shown.getvalue()


@hostile
def test_junit_is_xml(text: str) -> None:
    root = ET.fromstring(junit.render(report(of(text))))
    texts = [value for node in root.iter() for value in (*node.attrib.values(), node.text or "")]
    assert all(harmless(value) for value in texts)


@hostile
def test_sarif_is_valid_and_says_it_as_text(text: str) -> None:
    document = json.loads(sarif.render(report(of(text), te=f"type {text}_t;\n")))
    jsonschema.validate(document, SCHEMA)
    assert all(harmless(value) for value in _strings(document))


@hostile
def test_json_is_ascii_and_says_exactly_what_was_said(text: str) -> None:
    shown = of(text).as_json()
    assert shown.isascii() and harmless(shown)
    assert json.loads(shown)["denials"][0]["path"] == text


@hostile
def test_an_annotation_is_one_command(text: str) -> None:
    for command in github.render(report(of(text), te=text)).splitlines():
        assert command.startswith("::error file=policies/") and command.isprintable()
        properties, _, data = command.removeprefix("::error ").partition("::")
        assert [entry.partition("=")[0] for entry in properties.split(",")] == ["file", "line", "title"]
        assert not any(code in data for code in ("%0A", "%0D"))


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [string for item in value.items() for part in item for string in _strings(part)]
    return (
        [string for part in value for string in _strings(part)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )
