"""An answer that is cut at any byte is an ERROR or has the same result; it never has another result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from selab.auditlog.windows import audit_status
from selab.container.lifecycle import Container, _started
from selab.container.removal import end
from selab.container.runtime import runtimes
from selab.container.steps import _exit, _http, _tcp, _up
from selab.errors import SelabError
from selab.guest import RUN_TIMEOUT, Completed, Guest
from selab.scaffold.image_config import of_inspect
from selab.scenario.steps import ExitStep, HttpStep, TcpStep, UpStep
from selab.vm import provision
from tests.unit.fakes import framed
from tests.unit.test_hostile_guest import QUERIES
from tests.unit.workloads import scenario, workload

DOCKER = runtimes()["docker"]
CONTAINER = Container("web", 12, DOCKER)
LABELS = "label u:r:web_t:s0:c1,c2\nlabel u:r:other_t:s0\nend\n"
STEPS = provision.steps("apt")
INSPECTED = '[{"Config": {"ExposedPorts": {"80/tcp": {}}, "Volumes": null, "User": "web"}}]\n'


class CutGuest:
    """Prints only the first `length` bytes of an answer, which ends with `code`, whatever it is asked."""

    def __init__(self, answer: bytes, code: int, length: int) -> None:
        self._answer, self._code, self._length = answer, code, length

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        code, out, _ = framed(argv, (self._code, self._answer.decode(), ""))
        return Completed(tuple(argv), code, out.encode()[: self._length], b"")


def result(read: Callable[[Guest], object], answer: bytes, code: int, length: int) -> object:
    """Return what `read` makes of a cut answer; None if that is an error."""
    try:
        return read(CutGuest(answer, code, length))  # type: ignore[arg-type]
    except SelabError:
        return None


def assert_no_cut_changes_the_result(read: Callable[[Guest], object], data: bytes, code: int = 0) -> None:
    whole = read(CutGuest(data, code, 10_000))  # type: ignore[arg-type]
    wrong = {
        data[:length]: cut
        for length in range(len(data) + 50)
        if (cut := result(read, data, code, length)) not in (whole, None)
    }
    assert not wrong, f"{whole} was expected: {wrong}"


def http(guest: Guest) -> str:
    return "problem: " + _http(guest, HttpStep(port=80), CONTAINER)


def http_any(guest: Guest) -> str:
    return "problem: " + _http(guest, HttpStep(port=80, status="any"), CONTAINER)


def ended(guest: Guest) -> str:
    return "problem: " + _exit(guest, ExitStep(code=1), CONTAINER)


def labels(guest: Guest) -> set[str]:
    container = Container("web", 12, DOCKER)
    end(guest, workload(scenario(), name="web"), [container], keep=True)
    return container.labels


def connected(guest: Guest) -> str:
    return "problem: " + _tcp(guest, TcpStep(port=80), CONTAINER, {})


def kept_up(guest: Guest) -> str:
    return "problem: " + _up(guest, UpStep(), CONTAINER)


def started(guest: Guest) -> Container:
    return _started(guest.run(["start"]), workload(scenario(), name="web").containers[0], DOCKER)


def missing(guest: Guest) -> list[str]:
    return [step.name for step in provision.left_to_do(guest, STEPS)]


@pytest.mark.parametrize("name", QUERIES)
def test_a_cut_answer_to_a_query(name: str) -> None:
    query, valid = QUERIES[name]
    assert_no_cut_changes_the_result(lambda guest: (query.of(guest),), valid)


READERS: dict[str, tuple[Callable[[Guest], object], str, int]] = {
    "http passes": (http, "200\n", 0),
    "http passes with any status": (http_any, "401\n", 0),
    "http fails": (http, "a body\n500\n", 1),
    "http has no answer": (http, "curl: (7) refused\n\n000\n", 1),
    "ended": (ended, "13\n", 0),
    "not ended": (ended, "it still runs after 30 seconds\n", 1),
    "connected": (connected, "accepted\n", 0),
    "not connected": (connected, "elsewhere\n", 1),
    "up": (kept_up, "it still runs after 4 seconds\n", 1),
    "not up": (kept_up, "13\n", 0),
    "started": (started, f"pid 123\n{LABELS}", 0),
    "labels": (labels, f"runs\n{LABELS}", 0),
    "audit status": (audit_status, "enabled 1\nfailure 1\npid 400\nlost 12\nbacklog 0\n", 0),
    "package tools": (provision.family_of, "/usr/bin/apt-get\n", 1),
    "probes": (missing, "present\n" * (len(STEPS) - 1) + "missing\n", 0),
    "inspect": (lambda guest: of_inspect(guest.run(["inspect"]).text), INSPECTED, 0),
    "runtime": (DOCKER.sets_labels, '["name=apparmor","name=selinux"]\n', 0),
}
"""Each reader of an answer without an end, with an answer and its exit code."""


@pytest.mark.parametrize("name", READERS)
def test_a_cut_answer_to_a_script(name: str) -> None:
    read, answer, code = READERS[name]
    assert_no_cut_changes_the_result(read, answer.encode(), code)
