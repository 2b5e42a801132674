"""Read the window, which is the part of the audit log between two marks that belongs to one run.

A window also lists the reasons why it may be incomplete.
"""

from __future__ import annotations

import functools
import re
import secrets
from dataclasses import dataclass

from selab.auditlog.journal import SUPPRESSED, raw_from_journal
from selab.errors import SelabError
from selab.guest import Completed, Guest, Query

READ_TIMEOUT = 180.0
"""Seconds to wait for the end mark and read the window: usually one, but a flood of records is slow."""
MARK_WAIT = 30
"""Seconds to wait for a mark; auditd flushes its queue within one."""
MAX_BYTES = 256 * 1024 * 1024
"""A larger window is a flood; it is reported as incomplete instead of filling the memory."""

# Print the kernel's audit status and the positions of the log and the journal, then set the mark. If no
# daemon
# runs and the kernel has lost records, its queue for a future daemon is full and it loses every further
# record:
# a stopped daemon is then started.
_OPEN = r"""
status=$(auditctl -s) || exit 3
case "
$status
" in *"
pid 0
"*)
  case "
$status
" in *"
lost 0
"*) ;; *)
    systemctl -q is-enabled auditd && { systemctl reset-failed auditd; systemctl start auditd || service auditd start; } >/dev/null 2>&1
    status=$(auditctl -s) || exit 3 ;;
  esac ;;
esac
echo "$status"
log=/var/log/audit/audit.log
[ -e "$log" ] && stat --format 'log %i %s' "$log"
case "
$status
" in *"
pid 0
"*)
  journalctl --lines=1 --show-cursor --quiet --output=cat | sed -n 's/^-- cursor: /cursor /p'
  echo "ratelimit $(cat /proc/sys/kernel/printk_ratelimit)" && echo 0 >/proc/sys/kernel/printk_ratelimit ;;
esac
auditctl -m "$1" || exit 4
"""
# Close a window of the journal, to which the kernel prints its records if there is no audit daemon.
_CLOSE_JOURNAL = r"""
mark=$1 cursor=$2 wait=$3 max=$4
auditctl -m "$mark" || exit 4
since() { journalctl _TRANSPORT=kernel + _TRANSPORT=audit --after-cursor="$cursor" --quiet --all --output=json; }
turns=$wait
while [ "$turns" -gt 0 ]; do since | grep -qaF -e "$mark" && break; turns=$((turns - 1)); sleep 1; done
auditctl -s
echo "mode $(cat /sys/fs/selinux/enforce)"
echo window
since | head --bytes="$max"
"""
# Set the mark, wait until it is in the log, and print the status, the mode, and after a line `window` the log
# since the window was opened. The log may have been rotated since: the inode identifies the old file, and the
# newer files follow it.
_CLOSE = r"""
mark=$1 inode=$2 offset=$3 wait=$4 max=$5
directory=/var/log/audit; log=$directory/audit.log; kept=/run/selab/window
[ -d /run/selab ] || mkdir -p /run/selab
auditctl -m "$mark" || exit 4
auditctl -s  # while the mark is on its way
since() {
  set -- $(stat --format '%i %s' "$log")
  if [ "$1" = "$inode" ] && [ "$2" -ge "$offset" ]; then tail --bytes="+$((offset + 1))" "$log"; return; fi
  first=$(find "$directory" -maxdepth 1 -inum "$inode" -name 'audit.log*')
  if [ -z "$first" ]; then first=$log; offset=0; echo rotated-away >&2; fi
  number=${first##*audit.log}; number=${number#.}; number=${number:-0}
  [ "$(stat --format %s "$first")" -ge "$offset" ] || { echo truncated >&2; offset=0; }
  tail --bytes="+$((offset + 1))" "$first"
  while [ "$number" -gt 0 ]; do
    number=$((number - 1)); next=$log
    [ "$number" -gt 0 ] && next=$log.$number
    cat "$next"
  done
}
turns=$((wait * 10))
while [ "$turns" -gt 0 ]; do
  since 2>"$kept.said" | head --bytes="$max" >"$kept"
  grep -qaF -e "$mark" "$kept" && break
  turns=$((turns - 1)); sleep 0.1
done
read -r mode </sys/fs/selinux/enforce; echo "mode $mode"
echo window
[ -s "$kept.said" ] && cat "$kept.said" >&2
cat "$kept"; : >"$kept"
"""


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
    return Query(_OPEN, functools.partial(_opened, token), (f"selab {token} begin",))


def _opened(token: str, done: Completed) -> OpenWindow:
    done.expect(
        "The guest cannot mark its audit log.",
        hint="Run `selab doctor`: auditd must run, or no denial can be observed.",
    )
    status, where = _status(done.text), re.search(r"^log (\d+) (\d+)$", done.text, re.MULTILINE)
    if status.pid and where:
        return OpenWindow(token, status, int(where.group(1)), int(where.group(2)))
    if cursor := re.search(r"^cursor (\S+)$", done.text, re.MULTILINE):
        limit = re.search(r"^ratelimit (\d+)$", done.text, re.MULTILINE)
        return OpenWindow(
            token, status, cursor=cursor.group(1), ratelimit=int(limit.group(1)) if limit else 5
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
        script = 'echo "$1" >/proc/sys/kernel/printk_ratelimit'
        guest.run(["sh", "-c", script, "sh", str(opened.ratelimit)]).expect(
            "The kernel's rate limit could not be restored.",
            hint="Restart the guest to restore it: `selab vm halt`, then `selab vm up`.",
        )


def audit_status(guest: Guest) -> AuditStatus:
    """Return the kernel's audit status without changing anything."""
    done = guest.run(["auditctl", "-s"])
    return _status(done.expect("The guest's audit status cannot be read.", hint="Run `selab doctor`.").text)


def close_window(opened: OpenWindow) -> Query[Window]:
    """Query that sets the end mark, waits until it is in the log, and reads the lines between the marks."""
    where = [opened.cursor] if opened.cursor else [str(opened.inode), str(opened.offset)]
    words = (opened.mark("end"), *where, str(MARK_WAIT), str(MAX_BYTES))
    return Query(
        _CLOSE_JOURNAL if opened.cursor else _CLOSE,
        functools.partial(_closed, opened),
        words,
        timeout=READ_TIMEOUT,
    )


def _closed(opened: OpenWindow, done: Completed) -> Window:
    if not done.ok:
        return Window((), (f"the end of the window could not be marked: {_last(done)}",), False)
    head, _, log = done.stdout.partition(b"\nwindow\n")
    text = head.decode("utf-8", "replace")
    lines, problems = _between(raw_from_journal(log) if opened.cursor else log, opened)
    problems += _doubts(opened, _status(text), done.error_text, len(log), SUPPRESSED in log)
    return Window(tuple(lines), tuple(problems), "mode 1" in text)


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
    lines = []
    for line in log.splitlines():
        match = _STAMP.search(line)
        serial = int(match.group(1)) if match else None
        if serial is None or (begin is None or serial > begin) and (end is None or serial < end):
            lines.append(line)
    return lines, problems


_STAMP = re.compile(rb"\baudit\(\d+\.\d+:(\d+)\)")


def _serial(log: bytes, mark: str) -> int | None:
    """Return the serial number of the mark, a USER record, which requires CAP_AUDIT_WRITE in the guest."""
    match = re.search(
        rb"^(?:node=\S+ )?type=USER msg=audit\(\d+\.\d+:(\d+)\):[^\n]*" + re.escape(mark.encode()),
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
    values = {key: int(value) for key, value in re.findall(r"^(enabled|pid|lost) (\d+)", text, re.MULTILINE)}
    return AuditStatus(values.get("enabled", 0), values.get("pid", 0), values.get("lost", 0))
