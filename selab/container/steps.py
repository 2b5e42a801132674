"""Do the scenario's steps against the running containers and services, each with its own time limit."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from selab.container.archive import packed
from selab.container.lifecycle import Container, Running
from selab.container.log_search import MAX_LOG, LogSearch, SearchTooSlow
from selab.guest import (
    Completed,
    Guest,
    Malformed,
    complete_line,
    number,
    one_of,
    reading,
    script_argv,
    whole_seconds,
)
from selab.project import inside
from selab.scenario.consistency import container_of
from selab.scenario.model import Scenario
from selab.scenario.steps import (
    ANY_STATUS,
    CopyStep,
    ExecStep,
    ExitStep,
    HttpStep,
    LogStep,
    Step,
    TcpStep,
    UpStep,
)

GRACE = 30.0
"""Seconds after a step's own limit until selab gives up: an emulated guest ends processes slowly."""
MAX_STEP_OUTPUT = 16 * 1024 * 1024
"""Bytes of each output of an `exec` or `guest` step that are searched for its text. The rest is dropped."""
SHORTEST_SEARCH = 1.0
"""Seconds that the search of a log may take even if the step's time is nearly up."""
MAX_LOG_TAIL = 64 * 1024
"""Bytes of the last lines of the container's log that a failed run shows: a line can be very long."""
SHOWN = 300
"""Most characters of a command's output that a failed step shows."""


@dataclass(frozen=True)
class StepResult:
    """How a step ended.

    name: title of the step.
    ok: whether it met its expectation.
    seconds: time that it took.
    detail: what happened instead, or "" if it met its expectation.
    observed: whether selab could observe that; if not, `detail` says why.
    """

    name: str
    ok: bool
    seconds: float
    detail: str = ""
    observed: bool = True


class NotObserved(Exception):
    """selab could not observe whether a step met its expectation; the text says why."""


def run_steps(
    guest: Guest, scenario: Scenario, containers: Mapping[str, Running], root: Path
) -> Iterator[StepResult]:
    """Do the steps in order, up to the first that fails.

    `containers` are the running ones, by name. Files are copied from below `root`.
    """
    ports = {port.guest: port.container for member in scenario.members.values() for port in member.ports}
    for step in scenario.steps:
        started, observed = time.monotonic(), True
        container = containers[container_of(step, scenario.members)]
        try:
            detail = _problem(guest, step, container, ports, root)
        except NotObserved as reason:
            detail, observed = str(reason), False
        title = f"{container.title}: {step.title}" if container.title and not step.guest else step.title
        yield StepResult(title, not detail, time.monotonic() - started, detail, observed)
        if detail:
            return


def _problem(guest: Guest, step: Step, container: Running, ports: Mapping[int, int], root: Path) -> str:
    """Do a step. Return what was wrong, or "" if nothing was. Raises NotObserved."""
    match step.action:
        case HttpStep() as http:
            return _http(guest, http, container)
        case TcpStep() as tcp:
            return _tcp(guest, tcp, container, ports)
        case ExecStep() as command:
            words = [*command.argv]
            if step.exec:
                assert isinstance(container, Container), "a scenario with such a step is refused"
                words = container.runtime.argv("exec", container.name, *words)
            return _command(_limited(guest, words, command.timeout), command)
        case LogStep() as log:
            return _log(guest, log, container)
        case ExitStep() as end:
            return _exit(guest, end, container)
        case UpStep() as up:
            return _up(guest, up, container)
        case CopyStep() as copy:
            return _copy(guest, copy, container, root)


def _limited(guest: Guest, argv: list[str], seconds: float, input: bytes = b"") -> Completed:
    words = ["timeout", "--kill-after=5", str(seconds), *argv]
    return guest.run(words, input=input, timeout=seconds + GRACE, limit=MAX_STEP_OUTPUT)


def _http(guest: Guest, http: HttpStep, container: Running) -> str:
    url = f"http://127.0.0.1:{http.port}{http.path}"
    words = [
        url,
        str(http.status),
        http.contains,
        whole_seconds(http.timeout),
        "1" if http.wait else "0",
        str(container.pid),
        container.noun,
    ]
    done = guest.run(script_argv("container/http", *words), timeout=http.timeout * 2 + GRACE)
    if done.ok:
        with reading(done):
            _require_status(complete_line(done.text), http)
        return ""
    *lines, code = done.expect("The HTTP request could not be made.", 1).text.split("\n")[:-1] or [""]
    with reading(done):
        if not re.fullmatch(r"\d{3}", code, re.ASCII):
            raise Malformed(f"{code[:20]!r} is not a status of HTTP")
    text = " ".join(" ".join(lines).split())[:SHOWN]
    return (
        f"no answer: {text}"
        if code == "000"
        else f"status {code} instead of {http.status}: {text}"
        if http.status not in (ANY_STATUS, int(code))
        else text
    )


def _require_status(code: str, http: HttpStep) -> None:
    if http.status != ANY_STATUS:
        one_of(code, str(http.status))
    elif not re.fullmatch(r"[1-9]\d\d", code, re.ASCII):
        raise Malformed(f"{code[:20]!r} is not a status of HTTP")


def _tcp(guest: Guest, tcp: TcpStep, container: Running, ports: Mapping[int, int]) -> str:
    inner = ports.get(tcp.port, tcp.port)
    limit, wait = whole_seconds(tcp.timeout), "1" if tcp.wait else "0"
    argv = script_argv("container/tcp", str(tcp.port), str(inner), limit, wait, str(container.pid))
    done = guest.run(argv, timeout=tcp.timeout * 2 + GRACE)
    done.expect("The TCP connection could not be tried.", 0, 1, hint="Run `selab doctor`.")
    with reading(done):
        result = complete_line(done.text)
        one_of(result, *(["accepted"] if done.ok else ["ended", "silent", "refused", "elsewhere"]))
    return {
        "accepted": "",
        "ended": f"{container.noun} has ended",
        "silent": f"no process of {container.noun} listens on its TCP port {inner}",
        "refused": f"127.0.0.1:{tcp.port} in the guest accepts no connection",
        "elsewhere": f"the connection to 127.0.0.1:{tcp.port} does not reach {container.noun}'s port {inner}",
    }[result]


def _command(done: Completed, command: ExecStep) -> str:
    if done.returncode == 124 and command.exit != 124:
        return f"it did not end within {command.timeout:g} seconds"
    if done.returncode != command.exit:
        output = (done.error_text or done.text).strip()[-SHOWN:]
        return f"exit code {done.returncode} instead of {command.exit}: {output}"
    if command.contains and command.contains not in done.text:
        if done.truncated:
            raise NotObserved(
                f"the first {MAX_STEP_OUTPUT >> 20} MiB of its output do not contain '{command.contains}', "
                "and selab reads no more; let the command print less"
            )
        return f"its output does not contain '{command.contains}': {done.text.strip()[-SHOWN:]}"
    return ""


def _log(guest: Guest, log: LogStep, container: Running) -> str:
    search, end = LogSearch(guest, container, log.pattern), time.monotonic() + log.timeout
    while True:
        try:
            if search.advance(max(SHORTEST_SEARCH, end - time.monotonic())):
                return ""
        except SearchTooSlow as error:
            raise NotObserved(
                "searching the log for the pattern takes too long or too much memory; "
                "write the pattern without nested repetitions such as (a+)+"
            ) from error
        if search.is_full:
            raise NotObserved(
                f"the pattern did not appear in the first {MAX_LOG >> 20} MiB of the log, "
                "and selab reads no more"
            )
        if time.monotonic() > end or not _is_alive(guest, container):
            return f"the pattern did not appear in the log, which ends with: {search.text.strip()[-SHOWN:]}"
        time.sleep(0.5)


def _is_alive(guest: Guest, container: Running) -> bool:
    done = guest.run(["test", "-e", f"/proc/{container.pid}"])
    return done.expect(f"selab cannot see whether {container.noun} runs.", 0, 1).ok


def _exit(guest: Guest, end: ExitStep, container: Running) -> str:
    code = await_end(guest, container, end.timeout)
    if isinstance(code, str):
        return code
    return "" if code == end.code else f"exit code {code} instead of {end.code}"


def _up(guest: Guest, up: UpStep, container: Running) -> str:
    # The script counts seconds of the clock, of which the first has already begun.
    code = await_end(guest, container, math.ceil(up.seconds) + 1)
    return "" if isinstance(code, str) else f"{container.noun} has ended with exit code {code}"


def await_end(guest: Guest, container: Running, seconds: float) -> int | str:
    """Wait until one ends. Return its exit code, or a sentence if it still runs after `seconds`."""
    done = guest.run(container.end_argv(seconds), timeout=seconds + GRACE)
    if done.returncode == 1 and re.fullmatch(r"it still runs after \d+ seconds\n", done.text, re.ASCII):
        return done.text.strip()
    done.expect(f"The exit code of {container.noun} could not be read.", hint="Run `selab doctor`.")
    with reading(done):
        return number(complete_line(done.text))


def _copy(guest: Guest, copy: CopyStep, container: Running, root: Path) -> str:
    """Copy a file or directory. The runtime unpacks an archive into the parent directory of the target."""
    assert isinstance(container, Container), "a scenario with such a step is refused"
    source = inside(root, root / copy.source, f"The copy of '{copy.source}'")
    parent, _, name = copy.target.rpartition("/")
    archive = packed(source, name)
    if not _is_alive(guest, container):
        return "the container has ended"
    words = container.runtime.argv(*container.runtime.copy, "-", f"{container.name}:{parent or '/'}")
    done = _limited(guest, words, copy.timeout, archive)
    if done.returncode == 124:
        return f"it did not end within {copy.timeout:g} seconds"
    output = (done.error_text or done.text).strip()[-SHOWN:]
    return "" if done.ok else f"{container.runtime.title} could not copy it: {output}"


def logs(guest: Guest, containers: Mapping[str, Running]) -> str:
    """Return the last lines of the output of each container and service, for a run that failed."""
    tails = ((container.title, _log_tail(guest, container)) for container in containers.values())
    return "\n".join(
        "\n".join(f"{title}: {line}" for line in tail.splitlines()) if title else tail
        for title, tail in tails
        if tail
    )


def _log_tail(guest: Guest, container: Running) -> str:
    done = guest.run(container.tail_argv, limit=MAX_LOG_TAIL)
    return (done.text + done.error_text).strip()
