"""Run a unit of the guest during a block, and read from the kernel which labels its processes really have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from selab.errors import InputError, SelabError
from selab.guest import (
    Completed,
    Guest,
    Malformed,
    Query,
    contexts_in,
    number,
    one_of,
    reading,
    script,
    script_argv,
    whole_seconds,
)
from selab.guest_state import NO_DIRECTORY, NO_UNIT, NOT_STOPPED, OTHER_UNIT, UNIT_DID_NOT_START
from selab.policy.contexts import FileContexts
from selab.policy.guest.relabel import contexts_file
from selab.scenario.service import SUFFIX, Service

START_TIMEOUT = 300.0
"""Seconds for start.sh, which waits up to 100 seconds for the end of an active unit, 120 for its start and 5
for the end of systemd's copies."""
STOP_TIMEOUT = 180.0
"""Seconds for stop.sh, which waits up to 100 seconds, and 30 more after SIGKILL."""
RESTORE_TIMEOUT = 300.0
"""Seconds for restore.sh, which waits up to 120 for each unit: a run leaves one or two."""
NO_CONTEXTS = FileContexts((), "")
TAIL = 8
"""Lines of the service's log that a failed run shows."""
MAIN_PROCESS = ("result", "code", "status")
"""The keys of what systemd says about the main process."""
ENDED = ("inactive", "failed")
LIVING = ("active", "reloading", "refreshing", "activating", "deactivating", "maintenance")
"""The states of a unit (systemd, UnitActiveState)."""
_INVOCATION = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[a-z-]{0,40}")
_BY_SYSTEMD = {
    203: "EXEC: the program could not be executed",
    217: "USER: the user could not be set",
    226: "NAMESPACE: the unit's namespaces could not be set up",
    229: "SELINUX_CONTEXT: the label that the unit names could not be set",
}
"""Exit statuses of systemd itself, which concern SELinux or a scenario (systemd.exec(5))."""


@dataclass(frozen=True)
class MainProcess:
    """What systemd says about a service's main process.

    result: `success`, or why the service failed, such as `exit-code` or `timeout` (systemd.service(5)).
    code: how it ended, as waitid(2) numbers it: 1 it exited, 2 a signal killed it, 3 with a core dump; 0 if
        it runs.
    status: exit status, or number of the signal.
    """

    result: str
    code: int
    status: int

    @property
    def exit_code(self) -> int:
        """Return the exit status, or 128 and the number of the signal, as a shell does."""
        return self.status if self.code <= 1 else 128 + self.status

    @property
    def in_words(self) -> str:
        """Describe how the service ended."""
        if self.code == 1:
            name = _BY_SYSTEMD.get(self.status, "")
            return f"its main process ended with status {self.status}{f' ({name})' if name else ''}"
        if self.code:
            return f"signal {self.status} ended its main process"
        return f"systemd reports '{self.result}'"


@dataclass
class RunningService:
    """A service that runs, or has run.

    name: unit.
    pid: process id of its main process in the guest, or 0 if it has ended.
    labels: distinct contexts that its processes have had.
    invocation: systemd's id of this start, which the entries of its log have.
    title: its name in the scenario; empty if it is the only one.
    ended: exit code of its main process, or 128 and the number of the signal, if it had ended by itself when
        the steps were over.
    end: how it ended, if it did, as the rest of a sentence.
    restarted: how often systemd has restarted it, and why, if it did.
    observed: whether the last three have been read.
    """

    name: str
    pid: int = 0
    labels: set[str] = field(default_factory=set)
    invocation: str = ""
    title: str = ""
    ended: int | None = None
    end: str = ""
    restarted: str = ""
    observed: bool = False

    @property
    def noun(self) -> str:
        """Return what a sentence about a step calls it."""
        return "the service"

    @property
    def log_argv(self) -> list[str]:
        """Return the command that prints all that the service's processes have logged."""
        return self._journal()

    @property
    def tail_argv(self) -> list[str]:
        """Return the command that prints the last lines of that."""
        return self._journal(f"--lines={TAIL}")

    def _journal(self, *options: str) -> list[str]:
        match = f"_SYSTEMD_INVOCATION_ID={self.invocation}"
        return ["journalctl", "--quiet", "--no-pager", "--output=cat", *options, match]

    def end_argv(self, seconds: float) -> list[str]:
        """Return the command that waits for the main process's end and prints its exit code."""
        return script_argv("service/wait-for-end", str(self.pid), self.name, whole_seconds(seconds))


class ServiceRefused(SelabError):
    """The service did not start. This is an outcome of the run, because the candidate may be the cause.

    reason: what systemd and the service's log say, on one line.
    title: the service's name in the scenario.
    """

    def __init__(self, unit: str, reason: str, title: str = "") -> None:
        super().__init__(f"The service {unit} did not start.", reason)
        self.unit, self.reason, self.title = unit, reason, title

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.unit, self.reason, self.title))


def unit_of(service: Service, name: str) -> str:
    """Return the unit of the service, which is called `name` if it is a command."""
    return service.unit or f"{name}{SUFFIX}"


def transient_words(service: Service, unit: str) -> list[str]:
    """Return the words after `systemd-run` that start the service's command; none for a unit of the guest.

    systemd-run(1) replaces `$NAME` in the command, and `$$` by `$`. The unit remains after its end, so that
    its exit code can be read.
    """
    if not service.command:
        return []
    words = ["--quiet", "--no-ask-password", f"--unit={unit}", "--service-type=exec", "--remain-after-exit"]
    words += [f"--uid={service.user}"] if service.user else []
    return [*words, "--", *(word.replace("$", "$$") for word in service.command)]


@contextmanager
def running_service(
    guest: Guest,
    service: Service,
    name: str,
    domain: str,
    *,
    title: str = "",
    contexts: FileContexts = NO_CONTEXTS,
    keep: bool = False,
) -> Iterator[RunningService]:
    """Start the service, whose processes should have the type `domain`, and stop it after the block.

    `contexts` label the directories that systemd creates for it; they must be in the guest already.

    With `keep`, it remains until the next run. A unit that was active before is started again by
    `restore_services`, after the labels of its files have been restored. The service's labels are complete
    only after the block: they are read again just before it is stopped.

    Raises ServiceRefused if it does not start, and InputError if the guest has no such unit.
    """
    unit = unit_of(service, name)
    running = RunningService(unit, title=title)
    words = (unit, domain, contexts_file(contexts), *transient_words(service, unit))
    done = guest.run(script_argv("service/start", *words), timeout=START_TIMEOUT)
    answer = done.error_text.strip()
    if done.returncode == OTHER_UNIT.code:
        raise other_name(unit, answer)
    if done.returncode == NO_UNIT.code:
        hint = (
            "Look for its name in the guest: `selab vm ssh -- systemctl list-unit-files`."
            if service.packages
            else "List the package that has it in `packages`."
        )
        raise no_such_unit(unit, answer, hint)
    try:
        _read_start(running, done)
        yield running
    finally:
        _stop(guest, running, keep=keep)


def observe(guest: Guest, running: RunningService) -> None:
    """Read the labels of a service before others are stopped, and whether it has ended."""
    _stop(guest, running, keep=True)


def _stop(guest: Guest, running: RunningService, *, keep: bool) -> None:
    argv = script_argv("service/stop", running.name, "1" if keep else "0")
    _read_stop(running, guest.run(argv, timeout=STOP_TIMEOUT))


def no_such_unit(unit: str, state: str, hint: str) -> InputError:
    """Return the error about a unit that the guest lacks, of which systemd reports the load `state`."""
    return InputError(
        f"The guest has no unit {unit} that can be started.", f"systemd reports {state[:80]!r}.", hint
    )


def other_name(unit: str, name: str) -> InputError:
    """Return the error about a name that is only an alias of the unit `name`."""
    return InputError(
        f"The guest's unit {unit} has another name.", f"systemd reports {name[:80]!r}.", "Use that name."
    )


def _read_start(running: RunningService, done: Completed) -> None:
    if done.returncode == NOT_STOPPED.code:
        done.expect(f"The service {running.name}, which was active, could not be stopped.")
    if done.returncode == NO_DIRECTORY.code:
        done.expect(f"A directory of the service {running.name} could not be created in the guest.")
    done.expect(f"The service {running.name} failed in an unknown way.", 0, UNIT_DID_NOT_START.code)
    with reading(done):
        keys = ("invocation", *MAIN_PROCESS, *(["pid"] if done.ok else []))
        fields, labels = _fields(done, *keys, complete=done.ok)
        main = _main_process(fields)
        invocation = fields["invocation"]
        if invocation and not _INVOCATION.fullmatch(invocation):
            raise Malformed(f"{invocation[:40]!r} is not an id of systemd")
        if not done.ok:
            raise ServiceRefused(running.name, _reason(main, done.error_text), running.title)
        if not invocation:
            raise Malformed("it lacks systemd's id of the start")
        running.pid, running.invocation = number(fields["pid"]), invocation
        running.labels |= labels


def _reason(main: MainProcess, errors: str) -> str:
    """Return why a service did not start: what systemd says, and the last line of its log."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if not line.startswith("See ")), "it logged nothing")
    return f"{main.in_words}: {last}"


def _read_stop(running: RunningService, done: Completed) -> None:
    done.expect(f"The service {running.name} could not be stopped.", hint="The next run tries again.")
    with reading(done):
        fields, labels = _fields(done, "active", "restarts", *MAIN_PROCESS, complete=True)
        running.labels |= labels
        main, restarts = _main_process(fields), number(fields["restarts"] or "0")
        state = one_of(fields["active"], *ENDED, *LIVING)
    if running.observed:
        return
    running.observed = True
    if main.code or state in ENDED:
        running.ended, running.end = main.exit_code, f"ended ({main.in_words})"
    if restarts:
        times = "once" if restarts == 1 else f"{restarts} times"
        running.restarted = f"{times}: {main.in_words}" if main.code else times


def _main_process(fields: dict[str, str]) -> MainProcess:
    if not _WORD.fullmatch(fields["result"]):
        raise Malformed(f"{fields['result'][:40]!r} is not a result of systemd")
    return MainProcess(fields["result"], number(fields["code"] or "0"), number(fields["status"] or "0"))


def _fields(done: Completed, *keys: str, complete: bool) -> tuple[dict[str, str], set[str]]:
    """Return the values of exactly these keys, in this order, and the contexts after them.

    Raises Malformed, also if the end is missing although the answer should be `complete`.
    """
    lines = done.text.split("\n")
    end = ["end", ""] if complete else [""]
    if lines[-len(end) :] != end:
        raise Malformed("it does not have its end")
    pairs = [line.partition(" ") for line in lines[: -len(end)]]
    if [key for key, _, _ in pairs[: len(keys)]] != [*keys]:
        raise Malformed(f"it does not begin with {', '.join(keys)}")
    labels = contexts_in(value for key, _, value in pairs[len(keys) :] if one_of(key, "label"))
    return {key: value for key, _, value in pairs[: len(keys)]}, labels


def restore_services() -> Query[None]:
    """Restore the units that this run or an interrupted one has started: active again, or stopped.

    The labels of the guest's files must be restored by then.
    """
    return Query(script("service/restore"), _restored, timeout=RESTORE_TIMEOUT)


def _restored(done: Completed) -> None:
    done.expect(
        "A service of the guest could not be restored to what it was before the run.",
        hint="Look at it in the guest: `selab vm ssh -- systemctl --failed`.",
    )
