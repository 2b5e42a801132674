"""`selab export`: its directory, what it prints, and that it needs a format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.export.files import Exported, ExportedFile

from .conftest import Selab

Calls = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls: Calls = []

    def export(
        project: object, policy: str, form: Any, directory: Path, *_: object, unproven: bool
    ) -> Exported:
        calls.append((policy, form.name, directory, unproven))
        return Exported([ExportedFile("tree/web.te", b"")], ("make web.pp",), ("Set the licence.",))

    monkeypatch.setattr("selab.export.export.export", export)
    return calls


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (("--as", "te"), ("web", "te", Path("web-te"), False)),
        (("--as", "rpm", "-o", "out"), ("web", "rpm", Path("out"), False)),
        (("--as", "spo", "--unproven"), ("web", "spo", Path("web-spo"), True)),
    ],
)
def test_the_options_choose_the_format_and_the_directory(
    selab: Selab, calls: Calls, words: tuple[str, ...], call: tuple[object, ...]
) -> None:
    assert selab("export", "web", *words) == 0
    assert calls == [call]


def test_the_files_are_the_output_and_what_to_do_next_is_not(
    selab: Selab, capsys: pytest.CaptureFixture[str]
) -> None:
    selab("export", "web", "--as", "te")
    captured = capsys.readouterr()
    assert captured.out == "web-te/tree/web.te\n"
    assert "Set the licence." in captured.err and "`make web.pp`" in captured.err


@pytest.mark.parametrize("words", [(), ("--as", "exe")])
def test_without_a_known_format_the_command_is_wrong(
    selab: Selab, calls: Calls, words: tuple[str, ...]
) -> None:
    assert selab("export", "web", *words) == 2
    assert calls == []
