"""Read the window, which is the part of the audit log between two marks that belongs to one run.

A window also lists the reasons why it may be incomplete.
"""

from __future__ import annotations

import functools
import io
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from selab.auditlog.journal import SUPPRESSED, read_journal
from selab.errors import SelabError
from selab.guest import (
    MAX_ANSWER,
    Completed,
    Guest,
    Malformed,
    Query,
    number,
    one_of,
    reading,
    script,
    script_argv,
)

READ_TIMEOUT = 180.0
"""Seconds to wait for the end mark and read the window: usually one, but a flood of records is slow."""
MARK_WAIT = 30
"""Seconds to wait for a mark; auditd flushes its queue within one."""
MAX_BYTES = 256 * 1024 * 1024
"""A larger window is a flood; it is reported as incomplete instead of filling the memory."""
MAX_LINES = 1_000_000
"""Lines of a window. A line has about 250 bytes, and each takes some more in memory."""


@dataclass(frozen=True)
class AuditStatus:
    """The kernel's audit status (`auditctl -s`).

    enabled: whether records are generated; 0 if not.
    pid: process that receives them; 0 if there is none.
    lost: number of records that the kernel has lost since boot.
    """

    enabled: int
    pid: int
    lost: int


@dataclass(frozen=True)
class OpenWindow:
    """A window that has been opened.

    token: random, so that no container can forge the mark.
    status: audit status at that time.
    inode, offset: file of the log and its size at that time.
    cursor: journal position, if no audit daemon receives the records and they come from the journal.
    ratelimit: kernel's own limit (sysctl kernel.printk_ratelimit), which is off while a journal window is
        open.
    """

    token: str
    status: AuditStatus
    inode: int = 0
    offset: int = 0
    cursor: str = ""
    ratelimit: int = 5

    def mark(self, which: str) -> str:
        return f"selab {self.token} {which}"


@dataclass(frozen=True)
class Window:
    """The result of a closed window.

    lines: raw lines between the marks.
    problems: reasons why records may be missing; if there is one, "no denials" is unproven.
    enforcing: whether the mode was enforcing when the window was closed.
    """

    lines: tuple[bytes, ...]
    problems: tuple[str, ...]
    enforcing: bool


def open_window() -> Query[OpenWindow]:
    """Query that sets the begin mark. Reading the answer raises SelabError if the guest cannot audit."""
    token = secrets.token_hex(12)
    return Query(script("auditlog/open-window"), functools.partial(_opened, token), (f"selab {token} begin",))


def _opened(token: str, done: Completed) -> OpenWindow:
    done.expect(
        "The guest cannot mark its audit log.",
        hint="Run `selab doctor`: auditd must run, or no denial can be observed.",
    )
    status, where = _status(done.text), re.search(r"^log (\d+) (\d+)$", done.text, re.MULTILINE)
    if status.pid and where:
        return OpenWindow(token, status, number(where.group(1)), number(where.group(2)))
    if cursor := re.search(r"^cursor (\S+)$", done.text, re.MULTILINE):
        limit = re.search(r"^ratelimit (\d+)$", done.text, re.MULTILINE)
        return OpenWindow(
            token, status, cursor=cursor.group(1), ratelimit=number(limit.group(1)) if limit else 5
        )
    hint = "Start auditd: `selab vm ssh -- systemctl start auditd`."
    raise SelabError(
        "No process receives audit records in the guest.",
        "The audit daemon is not running, and the journal has no cursor.",
        hint,
    )


def release(guest: Guest, opened: OpenWindow) -> None:
    """Restore the kernel's rate limit if `open_window` changed it, even if the window was not closed."""
    if opened.cursor:
        guest.run(script_argv("auditlog/restore-ratelimit", str(opened.ratelimit))).expect(
            "The kernel's rate limit could not be restored.",
            hint="Restart the guest to restore it: `selab vm halt`, then `selab vm up`.",
        )


def audit_status(guest: Guest) -> AuditStatus:
    """Return the kernel's audit status without changing anything."""
    done = guest.run(["auditctl", "-s"])
    text = done.expect("The guest's audit status cannot be read.", hint="Run `selab doctor`.").text
    with reading(done):
        return _status(text)


def close_window(opened: OpenWindow) -> Query[Window]:
    """Query that sets the end mark, waits until it is in the log, and reads the lines between the marks."""
    where = [opened.cursor] if opened.cursor else [str(opened.inode), str(opened.offset)]
    words = (opened.mark("end"), *where, str(MARK_WAIT), str(MAX_BYTES))
    return Query(
        script("auditlog/close-journal-window" if opened.cursor else "auditlog/close-window"),
        functools.partial(_closed, opened),
        words,
        timeout=READ_TIMEOUT,
        limit=MAX_BYTES + MAX_ANSWER,
    )


def _closed(opened: OpenWindow, done: Completed) -> Window:
    if not done.ok:
        return Window((), (f"the end of the window could not be marked: {_last(done)}",), False)
    head, separator, log = done.stdout.partition(b"\nwindow\n")
    text = head.decode("utf-8", "replace") + "\n"
    if not separator:
        raise Malformed("it has no window")
    mode = one_of(_field(text, "mode"), "0", "1")
    records, unreadable = read_journal(log) if opened.cursor else (log, 0)
    lines, problems = _between(records, opened)
    if unreadable:
        problems.append(f"{unreadable} entries of the guest's journal are unreadable")
    problems += _doubts(opened, _status(text), done.error_text, len(log), SUPPRESSED in log)
    return Window(tuple(lines), tuple(problems), mode == "1")


def _last(done: Completed) -> str:
    return (done.error_text or done.text).strip().rsplit("\n", 1)[-1]


def _between(log: bytes, opened: OpenWindow) -> tuple[list[bytes], list[str]]:
    """Return the lines of the events between the marks, by serial number: events may be interleaved."""
    serials = {which: _serial(log, opened.mark(which)) for which in ("begin", "end")}
    begin, end = serials["begin"], serials["end"]
    problems = [
        f"the mark of the window's {which} is not in the audit log"
        for which, serial in serials.items()
        if serial is None
    ]
    lines: list[bytes] = []
    for line in _each_line(log):
        match = _STAMP.search(line)
        serial = int(match.group(1)) if match else None
        if serial is None or (begin is None or serial > begin) and (end is None or serial < end):
            if len(lines) == MAX_LINES:
                problems.append(f"the window has more than {MAX_LINES} lines")
                break
            lines.append(line)
    return lines, problems


def _each_line(log: bytes) -> Iterator[bytes]:
    """Yield what bytes.splitlines returns, without a list of it: 256 MiB of short lines need 10 GB."""
    for ended in io.BytesIO(log):
        yield from ended.splitlines()


_STAMP = re.compile(rb"\baudit\(\d{1,12}\.\d{1,10}:(\d{1,20})\)")


def _serial(log: bytes, mark: str) -> int | None:
    """Return the serial number of the mark, a USER record, which requires CAP_AUDIT_WRITE in the guest."""
    match = re.search(
        rb"^(?:node=\S+ )?type=USER msg=audit\(\d{1,12}\.\d{1,10}:(\d{1,20})\):[^\n]*"
        + re.escape(mark.encode()),
        log,
        re.MULTILINE,
    )
    return int(match.group(1)) if match else None


def _doubts(opened: OpenWindow, after: AuditStatus, stderr: str, size: int, suppressed: bool) -> list[str]:
    problems = []
    if after.lost > opened.status.lost:
        problems.append(f"the kernel lost {after.lost - opened.status.lost} audit records")
    if after.pid == 0 and not opened.cursor:
        problems.append("the audit daemon stopped during the run")
    elif after.pid != opened.status.pid:
        problems.append("the audit daemon was restarted during the run")
    if not opened.status.enabled or not after.enabled:
        problems.append("auditing is switched off in the guest")
    if "rotated-away" in stderr:
        problems.append("the audit log was rotated away during the run")
    if "truncated" in stderr:
        problems.append("the audit log was truncated during the run")
    if opened.cursor and suppressed:
        problems.append("the kernel suppressed audit records instead of printing them")
    if size >= MAX_BYTES:
        problems.append(f"the window holds more than {MAX_BYTES >> 20} MiB")
    return problems


def _status(text: str) -> AuditStatus:
    return AuditStatus(*(number(_field(text, name)) for name in ("enabled", "pid", "lost")))


def _field(text: str, name: str) -> str:
    """Return the value of the only complete line `name VALUE` of `text`."""
    values = re.findall(rf"^{name} (.*)\n", text, re.MULTILINE)
    if len(values) != 1:
        raise Malformed(f"it has {len(values)} lines '{name}'")
    return str(values[0])
