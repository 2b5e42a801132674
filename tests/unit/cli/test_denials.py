"""`selab denials`: a file or standard input, a table or JSON, bad input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from selab.cli.denials import denials
from selab.cli.session import Context
from selab.errors import InputError
from tests.unit.auditlog.records import avc

PACKED = gzip.compress(avc(1) * 100)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(denials, list(arguments), obj=Context(), input=stdin)


@pytest.fixture(autouse=True)
def outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "audit.log"
    file.write_bytes(avc(1) + avc(2))
    return file


def test_json_is_one_document(log: Path) -> None:
    document = json.loads(run("--json", str(log)).stdout)
    assert list(document) == ["records", "events", "denials", "selinux_err", "ignored", "unparsed"]


def test_a_denial_in_json_has_the_keys_of_a_run(log: Path) -> None:
    (denial,) = json.loads(run("--json", str(log)).stdout)["denials"]
    assert {"source", "target", "class", "permissions", "count", "permissive", "comm", "path"} <= set(denial)


def test_the_table_shows_the_denial(log: Path) -> None:
    assert "container_t etc_t:file { read }" in run(str(log)).stdout


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_standard_input_is_read(arguments: tuple[str, ...]) -> None:
    assert "1 denial record in 1 event" in run(*arguments, stdin=avc(1)).stdout


def test_without_a_file_a_terminal_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.cli.denials._is_terminal", lambda: True)
    assert run().exit_code == 2


def test_a_packed_log_is_read(tmp_path: Path) -> None:
    packed = tmp_path / "audit.log.1.gz"
    packed.write_bytes(gzip.compress(avc(1)))
    assert "1 denial record" in run(str(packed)).stdout


@pytest.mark.parametrize(
    "content",
    [None, PACKED[:40], PACKED[:20] + b"xxxx" + PACKED[24:]],
    ids=["missing", "cut gzip", "broken gzip"],
)
def test_a_log_that_cannot_be_read_is_an_input_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x"
    if content is not None:
        file.write_bytes(content)
    assert isinstance(run(str(file)).exception, InputError)


@pytest.mark.parametrize("where", ["comm", "path", "tclass"])
def test_nothing_in_a_log_acts_on_the_terminal(where: str) -> None:
    lines = {
        "comm": avc(1, comm=b"\x1b[31mred\x07"),
        "path": avc(1, path="/tmp/\u202e\u009b31m".encode()),
        "tclass": b"avc:  denied  { \x1b[31m } for scontext=u:r:\x1b[2Jt tcontext=u:r:b_t tclass=x\n",
    }
    shown = run("-", stdin=lines[where]).stdout
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []


def test_markup_in_a_log_is_shown_as_it_is() -> None:
    assert "[bold]x[/]" in run("-", stdin=avc(1, comm=b"[bold]x[/]")).stdout


def test_a_record_that_cannot_be_read_is_shown() -> None:
    assert "1 record could not be read" in run("-", stdin=avc(1)[:100]).stdout


def test_a_log_of_something_else_is_told_apart_from_one_without_denials() -> None:
    assert "no audit record" in run("-", stdin=b"hello\n").stdout
