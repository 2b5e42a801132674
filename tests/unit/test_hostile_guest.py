"""A guest that answers with garbage: each reader returns a value or raises SelabError, and never anything
else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pytest

from selab.auditlog.windows import AuditStatus, OpenWindow, Window, audit_status, close_window, open_window
from selab.container.lifecycle import _started
from selab.container.runtime import runtimes
from selab.errors import SelabError
from selab.guest import RUN_TIMEOUT, Completed, Query, query_all
from selab.policy.guest import drift, load, mode, relabel
from selab.policy.survey import survey
from tests.unit.fakes import framed
from tests.unit.workloads import scenario, workload

HUGE = b"9" * 5000
GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda valid: b"",
    "not UTF-8": lambda valid: b"\xff\xfe\x80 " + valid.replace(b"1", b"\xe9"),
    "NULs": lambda valid: valid.replace(b" ", b"\0"),
    "negative": lambda valid: valid.replace(b" ", b" -"),
    "huge": lambda valid: valid.replace(b"1", HUGE).replace(b"33", HUGE),
    "truncated": lambda valid: valid[: len(valid) // 2],
    "reordered": lambda valid: b"\n".join(reversed(valid.split(b"\n"))),
    "repeated": lambda valid: valid * 3,
    "long line": lambda valid: valid.replace(b"\n", b" ") * 5000,
    "escapes": lambda valid: b'\x1b]0;x\x07[{"a": [null]}]\n\x1b[2J' + valid,
}
STATUS = b"enabled 1\npid 1\nlost 1\n"
OPENED = OpenWindow("t", AuditStatus(1, 1, 1), 1, 1)
STORE = b"signature s\ntype test\npolicyvers 33\nmls 1\nexpand 0\nstore\ns\n" + b"a" * 64 + b"  m/cil\n"
QUERIES: dict[str, tuple[Query[object], bytes]] = {
    "survey": (survey(), STORE),
    "policy state": (load.policy_state(), b"1 12 digest 12\n"),
    "load": (load.load_base(), b"1 12\n"),
    "flush": (load.flush_cache("d"), b"1 12\n"),
    "drift": (drift.changes("/settings"), b"policy mode\n"),
    "switch mode": (mode.switch_mode(True, "d"), b"1 12\n"),
    "restore mode": (mode.restore_mode(), b"1 12\n"),
    "restore labels": (relabel.restore_labels(), b"labelled 1\n"),
    "open window": (open_window(), STATUS + b"log 1 1\n"),
    "close window": (close_window(OPENED), STATUS + b"mode 1\nwindow\ntype=USER msg=audit(1.1:1): x\n"),
}


class Garbage:
    """A guest that answers every command with `answer` and `code`."""

    def __init__(self, answer: bytes, code: int) -> None:
        self._answer, self._code = answer, code

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        answer = self._answer.decode(errors="surrogateescape")
        code, *outputs = framed(argv, (self._code, answer, answer))
        return Completed(tuple(argv), code, *(text.encode(errors="surrogateescape") for text in outputs))


def assert_value_or_error(ask: Callable[[], object]) -> None:
    try:
        ask()
    except SelabError as error:
        assert len(str(error).splitlines()) <= 3


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("name", QUERIES)
def test_garbage_is_a_value_or_an_error(name: str, kind: str) -> None:
    query, valid = QUERIES[name]
    for code in (0, 1, 255):
        guest = Garbage(GARBAGE[kind](valid), code)
        assert_value_or_error(functools.partial(query.of, guest))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_window_of_garbage_is_never_without_a_doubt(kind: str) -> None:
    query, valid = QUERIES["close window"]
    try:
        window = query.of(Garbage(GARBAGE[kind](valid), 0))  # type: ignore[arg-type]
    except SelabError:
        return
    assert isinstance(window, Window) and window.problems


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_to_several_queries_is_an_error(kind: str) -> None:
    guest = Garbage(GARBAGE[kind](STORE), 0)
    with pytest.raises(SelabError):
        query_all(guest, one=survey(), two=load.policy_state()).read_all()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_garbage_audit_status_is_a_value_or_an_error(kind: str) -> None:
    guest = Garbage(GARBAGE[kind](STATUS), 0)
    assert_value_or_error(lambda: audit_status(guest))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_garbage_process_id_of_a_container_is_a_value_or_an_error(kind: str) -> None:
    answer = GARBAGE[kind](b"pid 12\nlabel u:r:web_t:s0\nend\n")
    runtime = runtimes()["docker"]
    assert_value_or_error(
        lambda: _started(Completed((), 0, answer, b""), workload(scenario()).containers[0], runtime)
    )


def test_a_fault_of_a_reader_is_no_fault_of_the_guest() -> None:
    def faulty(done: Completed) -> object:
        raise KeyError("a fault in selab")

    with pytest.raises(KeyError):
        Query("true", faulty).of(Garbage(b"", 0))  # type: ignore[arg-type]
