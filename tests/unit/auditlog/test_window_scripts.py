"""The scripts that mark and read a window, run on this machine with the guest's files below a directory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from selab.auditlog import windows
from selab.auditlog.windows import AuditStatus, OpenWindow, Window, close_window, open_window, release
from selab.errors import CommandFailed, SelabError
from selab.guest import script_argv
from tests.unit.fakes import SandboxGuest

LOG = "/var/log/audit/audit.log"
LIMIT = "/proc/sys/kernel/printk_ratelimit"
MARKED = (
    'case "$2" in *begin) serial=10 ;; *) serial=90 ;; esac; '
    """printf 'type=USER msg=audit(1.1:%s): text=%s\\n' $serial "$2" >>{log}"""
)
"""What auditctl does with a mark if auditd writes it to the log at once."""


class AuditedGuest(SandboxGuest):
    """A sandbox with an audit log, in which the fakes of auditctl, journalctl and sleep do what a test says.

    A command that starts a daemon does nothing, unless the test writes its fake.
    """

    PLACES = (*SandboxGuest.PLACES, "/var/log/audit", "/proc/sys/kernel")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.log = self.path(LOG)
        self.log.write_text("")
        self.path(LIMIT).write_text("5\n")
        self.path("/sys/fs/selinux/enforce").write_text("1")
        self.auditctl()
        for name in ("systemctl", "service", "journalctl", "sleep"):
            self.program(name)

    def auditctl(self, status: str = "pid 400\nlost 0\n", *, on_mark: str = MARKED) -> None:
        """Let auditctl report `status`, to which `enabled 1` is added, and run `on_mark` for a mark."""
        self.path("/status").write_text(f"enabled 1\n{status}")
        on_mark = on_mark.replace("{log}", str(self.log))
        print_status = f'[ "$*" = -s ] && cat {self.path("/status")}'
        self.program("auditctl", f'if [ "$1" = -m ]; then {on_mark}; else {print_status}; fi')

    def write(self, *serials: int, to: Path | None = None) -> None:
        """Add a denial for each of `serials` to the log."""
        with (to or self.log).open("a") as log:
            log.writelines(f"type=AVC msg=audit(1.1:{serial}): avc: denied\n" for serial in serials)

    def rotate(self) -> None:
        """Rotate the log as auditd does: each file is renamed to the next number."""
        old = sorted(self.log.parent.glob("audit.log.*"), reverse=True)
        for path in old:
            path.rename(path.with_suffix(f".{int(path.suffix[1:]) + 1}"))
        self.log.rename(self.log.with_name("audit.log.1"))
        self.log.write_text("")

    def run_script(self, name: str, *words: str) -> tuple[int, str, str]:
        done = self.run(script_argv(f"auditlog/{name}", *words))
        return done.returncode, done.text, done.error_text


@pytest.fixture
def guest(tmp_path: Path) -> AuditedGuest:
    return AuditedGuest(tmp_path)


def opened(guest: AuditedGuest) -> OpenWindow:
    """Open a window behind the records of an earlier time."""
    guest.write(1, 2)
    return open_window().of(guest)


def serials(window: Window) -> list[int]:
    return [int(line.partition(b"1.1:")[2].partition(b")")[0]) for line in window.lines]


def test_a_window_begins_with_the_size_that_the_log_had_before_the_mark(guest: AuditedGuest) -> None:
    guest.write(1, 2)
    stat = guest.log.stat()
    window = open_window().of(guest)
    assert (window.inode, window.offset) == (stat.st_ino, stat.st_size)
    assert window.mark("begin") in guest.log.read_text()
    assert guest.called == ["auditctl -s", f"auditctl -m {window.mark('begin')}"]


def test_a_window_has_the_records_since_it_was_opened(guest: AuditedGuest) -> None:
    window = opened(guest)
    guest.write(20, 21)
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems, closed.enforcing) == ([20, 21], (), True)


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_a_log_that_was_rotated_is_read_in_all_of_its_files(guest: AuditedGuest, rotations: int) -> None:
    guest.write(0)
    guest.rotate()
    window = opened(guest)
    for rotation in range(rotations):
        guest.write(20 + rotation)
        guest.rotate()
    guest.write(30)
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems) == ([*range(20, 20 + rotations), 30], ())


def test_what_the_log_had_before_the_window_is_not_sent(guest: AuditedGuest) -> None:
    guest.write(1)
    stat = guest.log.stat()
    guest.write(2)
    _, out, _ = guest.run_script("close-window", "mark", str(stat.st_ino), str(stat.st_size), "1", "9999")
    assert out.partition("\nwindow\n")[2].startswith("type=AVC msg=audit(1.1:2):")


def test_what_a_rotated_file_had_before_the_window_is_not_sent(guest: AuditedGuest) -> None:
    guest.write(1)
    stat = guest.log.stat()
    guest.write(2)
    guest.rotate()
    _, out, _ = guest.run_script("close-window", "mark", str(stat.st_ino), str(stat.st_size), "1", "9999")
    assert out.partition("\nwindow\n")[2].startswith("type=AVC msg=audit(1.1:2):")


def test_a_file_that_was_rotated_away_is_a_problem_and_the_log_is_read_from_its_start(
    guest: AuditedGuest,
) -> None:
    window = opened(guest)
    guest.rotate()
    guest.log.with_name("audit.log.1").rename(guest.path("/var/log/audit/gone"))
    guest.write(20)
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems[1:]) == (
        [20],
        ("the audit log was rotated away during the run",),
    )


@pytest.mark.parametrize("rotated", [False, True])
def test_a_log_that_was_truncated_is_a_problem_and_is_read_from_its_start(
    guest: AuditedGuest, rotated: bool
) -> None:
    guest.write(*range(9))
    window = opened(guest)
    guest.log.write_text("")
    guest.write(20)
    if rotated:
        guest.rotate()
    closed = close_window(window).of(guest)
    assert (20 in serials(closed), closed.problems[1:]) == (
        True,
        ("the audit log was truncated during the run",),
    )


def test_a_window_in_which_nothing_was_written_is_not_truncated(guest: AuditedGuest) -> None:
    guest.write(1)
    stat = guest.log.stat()
    guest.auditctl(on_mark=":")
    result = guest.run_script("close-window", "mark", str(stat.st_ino), str(stat.st_size), "1", "99")
    assert (result[1].partition("window\n")[2], result[2]) == ("", "")


def late(guest: AuditedGuest, command: str, turns: int) -> None:
    """Let `sleep` run `command` when it is called for the `turns`th time."""
    guest.program("sleep", f'[ "$(grep -c ^sleep "{guest.root}/called")" -ne {turns} ] || {command}')


def test_a_guest_whose_log_is_being_renamed_is_read_in_the_next_turn(guest: AuditedGuest) -> None:
    window = opened(guest)
    guest.write(20)
    guest.auditctl(on_mark=f"mv {guest.log} {guest.log}.1")
    record = f"type=USER msg=audit(1.1:90): text={window.mark('end')}"
    late(guest, f"echo '{record}' >>{guest.log}", turns=1)
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems) == ([20], ())


def test_the_log_is_read_again_until_it_has_the_mark(guest: AuditedGuest) -> None:
    window = opened(guest)
    guest.auditctl(on_mark=":")
    record = f"type=USER msg=audit(1.1:90): text={window.mark('end')}"
    late(guest, f"echo '{record}' >>{guest.log}", turns=3)
    assert close_window(window).of(guest).problems == ()
    assert guest.called.count("sleep 0.1") == 3


def test_a_mark_that_does_not_arrive_is_awaited_for_the_given_time(
    guest: AuditedGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MARK_WAIT", 2)
    window = opened(guest)
    guest.auditctl(on_mark=":")
    guest.write(20)
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems) == (
        [20],
        ("the mark of the window's end is not in the audit log",),
    )
    assert guest.called.count("sleep 0.1") == 20


def test_no_more_than_the_limit_is_sent_of_a_log(guest: AuditedGuest) -> None:
    guest.write(1, 2)
    _, out, _ = guest.run_script("close-window", "mark", str(guest.log.stat().st_ino), "0", "1", "20")
    assert out.partition("\nwindow\n")[2] == guest.log.read_text()[:20]


@pytest.mark.parametrize("mode", ["0", "1"])
@pytest.mark.parametrize("name", ["close-window", "close-journal-window"])
def test_the_status_and_the_mode_come_before_the_window(guest: AuditedGuest, name: str, mode: str) -> None:
    guest.path("/sys/fs/selinux/enforce").write_text(mode)
    words = ("mark", "1", "0") if name == "close-window" else ("mark", "s=1")
    _, out, _ = guest.run_script(name, *words, "1", "0")
    assert out == f"enabled 1\npid 400\nlost 0\nmode {mode}\nwindow\n"


def test_the_copy_of_the_window_does_not_stay_in_the_guest(guest: AuditedGuest) -> None:
    guest.path("/run/selab").rmdir()
    close_window(opened(guest)).of(guest)
    assert {path.name: path.stat().st_size for path in guest.path("/run/selab").iterdir()} == {
        "window": 0,
        "window.said": 0,
    }


@pytest.mark.parametrize(
    ("name", "words"), [("close-window", ("1", "0")), ("close-journal-window", ("s=1",))]
)
def test_a_mark_that_was_not_set_has_its_own_exit_code(
    guest: AuditedGuest, name: str, words: tuple[str, ...]
) -> None:
    guest.auditctl(on_mark="exit 1")
    assert guest.run_script(name, "mark", *words, "1", "9")[0] == 4


@pytest.mark.parametrize("cursor", ["", "s=1"], ids=["log", "journal"])
def test_a_window_whose_end_cannot_be_marked_is_not_read(guest: AuditedGuest, cursor: str) -> None:
    window = replace(opened(guest), cursor=cursor)
    guest.auditctl(on_mark="echo 'cannot send' >&2; exit 1")
    assert close_window(window).of(guest).problems == (
        "the end of the window could not be marked: cannot send",
    )


@pytest.mark.parametrize(
    ("on_mark", "on_status", "code"), [("exit 1", "true", 4), (":", "exit 1", 3)], ids=["mark", "status"]
)
def test_a_window_that_cannot_be_opened_has_an_exit_code(
    guest: AuditedGuest, on_mark: str, on_status: str, code: int
) -> None:
    guest.program("auditctl", f'if [ "$1" = -m ]; then {on_mark}; else {on_status}; fi')
    assert guest.run_script("open-window", "mark")[0] == code
    with pytest.raises(CommandFailed, match="cannot mark"):
        open_window().of(guest)


def test_a_guest_without_a_log_has_no_line_about_it(guest: AuditedGuest) -> None:
    guest.auditctl(on_mark=":")
    guest.log.unlink()
    assert guest.run_script("open-window", "mark") == (0, "enabled 1\npid 400\nlost 0\n", "")


@pytest.mark.parametrize("status", ["pid 10\nlost 7\n", "pid 100\nlost 0\n"])
def test_a_daemon_that_runs_is_not_started_and_the_rate_limit_stays(guest: AuditedGuest, status: str) -> None:
    guest.auditctl(status)
    assert opened(guest).cursor == ""
    assert guest.path(LIMIT).read_text() == "5\n"
    assert {call.partition(" ")[0] for call in guest.called} == {"auditctl"}


CURSOR = "echo '-- cursor: s=abc;i=1'"


def test_without_a_daemon_the_window_begins_at_the_journals_end_and_without_a_rate_limit(
    guest: AuditedGuest,
) -> None:
    guest.auditctl("pid 0\nlost 0\n", on_mark=f"cp {guest.path(LIMIT)} {guest.path('/at-mark')}")
    guest.program("journalctl", CURSOR)
    window = open_window().of(guest)
    assert (window.cursor, window.ratelimit, guest.path("/at-mark").read_text()) == ("s=abc;i=1", 5, "0\n")
    assert guest.called == [
        "auditctl -s",
        "journalctl --lines=1 --show-cursor --quiet --output=cat",
        f"auditctl -m {window.mark('begin')}",
    ]


def lossy(guest: AuditedGuest, **failing: bool) -> None:
    """Let the guest have no daemon after the kernel lost records. Starting one succeeds unless it fails.

    `failing`: the words of systemctl that fail, or `service`.
    """
    guest.auditctl("pid 0\nlost 10\n", on_mark=":")
    start = f"sed -i 's/pid 0/pid 9/' {guest.path('/status')}"
    failures = "|".join(f"*{word.replace('_', '-')}*" for word in failing) or "nothing"
    guest.program("systemctl", f'case "$*" in {failures}) exit 1 ;; "start auditd") {start} ;; esac')
    guest.program("service", "exit 1" if "service" in failing else f'[ "$*" = "auditd start" ] && {start}')
    guest.program("journalctl", CURSOR)


ENABLED, RESET, START = (
    "systemctl -q is-enabled auditd",
    "systemctl reset-failed auditd",
    "systemctl start auditd",
)


@pytest.mark.parametrize(
    ("failing", "cursor", "calls"),
    [
        ([], "", [ENABLED, RESET, START]),
        (["reset_failed"], "", [ENABLED, RESET, START]),
        (["start"], "", [ENABLED, RESET, START, "service auditd start"]),
        (["start", "service"], "s=abc;i=1", [ENABLED, RESET, START, "service auditd start"]),
        (["is_enabled"], "s=abc;i=1", [ENABLED]),
    ],
    ids=["starts", "never failed", "by service only", "does not start", "not enabled"],
)
def test_a_stopped_daemon_is_started_again_once_the_kernel_loses_records(
    guest: AuditedGuest, failing: list[str], cursor: str, calls: list[str]
) -> None:
    """The kernel's queue for a daemon is full then, and each further record is lost."""
    lossy(guest, **dict.fromkeys(failing, True))
    window = open_window().of(guest)
    assert (window.cursor, window.status.pid) == (cursor, 0 if cursor else 9)
    assert [call for call in guest.called if call.startswith(("systemctl", "service"))] == calls


def test_what_a_start_prints_is_no_part_of_the_answer(guest: AuditedGuest) -> None:
    lossy(guest)
    guest.program("systemctl", '[ "$1" = -q ] || { echo pid 1; echo lost 1 >&2; }')
    assert guest.run_script("open-window", "mark")[1:] == (
        "enabled 1\npid 0\nlost 10\n" + stat_line(guest) + "cursor s=abc;i=1\nratelimit 5\n",
        "",
    )


def stat_line(guest: AuditedGuest) -> str:
    return f"log {guest.log.stat().st_ino} {guest.log.stat().st_size}\n"


def test_a_status_that_cannot_be_read_after_a_start_is_an_error(guest: AuditedGuest) -> None:
    lossy(guest)
    guest.program("systemctl", f"rm {guest.path('/status')}")
    assert guest.run_script("open-window", "mark")[0] == 3


@pytest.mark.parametrize(
    ("cursor", "on_mark"),
    [("", ":"), (CURSOR, "exit 1"), ("", "exit 1")],
    ids=["no cursor", "no mark", "neither"],
)
def test_a_window_that_was_not_opened_leaves_the_rate_limit_as_it_was(
    guest: AuditedGuest, cursor: str, on_mark: str
) -> None:
    """A variable of the guest's environment is no limit that the script has read."""
    guest.environment["limit"] = "9"
    guest.auditctl("pid 0\nlost 0\n", on_mark=on_mark)
    guest.program("journalctl", cursor)
    with pytest.raises(SelabError):
        open_window().of(guest)
    assert guest.path(LIMIT).read_text() == "5\n"


def entries(*records: tuple[str, int, str]) -> str:
    return "\n".join(
        json.dumps({"_TRANSPORT": "kernel", "MESSAGE": f"audit: type={kind} audit(1.1:{serial}): {text}"})
        for kind, serial, text in records
    )


@pytest.fixture
def journal(guest: AuditedGuest) -> tuple[AuditedGuest, OpenWindow]:
    """A guest without a daemon with an open window. Its journal, the file `journal`, has all but the end."""
    guest.auditctl("pid 0\nlost 0\n", on_mark=":")
    guest.program("journalctl", CURSOR)
    window = open_window().of(guest)
    records = entries(("1005", 10, f"msg='text={window.mark('begin')}'"), ("1400", 11, "avc: denied"))
    guest.path("/journal").write_text(records + "\n")
    guest.path("/called").unlink()
    guest.program("journalctl", f"cat {guest.path('/journal')}")
    return guest, window


def test_a_journals_window_has_the_kernels_entries_since_it_was_opened(
    journal: tuple[AuditedGuest, OpenWindow],
) -> None:
    guest, window = journal
    end = entries(("1005", 12, f"msg='text={window.mark('end')}'"))
    guest.path("/end").write_text(end + "\n")
    guest.auditctl("pid 0\nlost 0\n", on_mark=f"cat {guest.path('/end')} >>{guest.path('/journal')}")
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems) == ([11], ())
    since = "--after-cursor=s=abc;i=1 --quiet --all --output=json"
    read = f"journalctl _TRANSPORT=kernel + _TRANSPORT=audit {since}"
    assert guest.called == [f"auditctl -m {window.mark('end')}", read, "auditctl -s", read]


def test_a_journal_is_read_again_until_it_has_the_mark(journal: tuple[AuditedGuest, OpenWindow]) -> None:
    guest, window = journal
    guest.path("/end").write_text(entries(("1005", 12, f"msg='text={window.mark('end')}'")))
    late(guest, f"cat {guest.path('/end')} >>{guest.path('/journal')}", turns=3)
    assert close_window(window).of(guest).problems == ()
    assert guest.called.count("sleep 1") == 3


def test_a_mark_that_does_not_arrive_in_the_journal_is_awaited_for_the_given_time(
    journal: tuple[AuditedGuest, OpenWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MARK_WAIT", 2)
    guest, window = journal
    closed = close_window(window).of(guest)
    assert (serials(closed), closed.problems) == (
        [11],
        ("the mark of the window's end is not in the audit log",),
    )
    assert guest.called.count("sleep 1") == 2


def test_no_more_than_the_limit_is_sent_of_a_journal(journal: tuple[AuditedGuest, OpenWindow]) -> None:
    guest, _ = journal
    _, out, _ = guest.run_script("close-journal-window", "mark", "s=1", "1", "20")
    assert out.partition("\nwindow\n")[2] == guest.path("/journal").read_text()[:20]


@pytest.mark.parametrize("name", ["close-window", "close-journal-window"])
def test_a_mark_is_plain_text_and_no_pattern(guest: AuditedGuest, name: str) -> None:
    guest.auditctl(on_mark=":")
    guest.log.write_text("selab xx begin\n")
    guest.program("journalctl", "echo selab xx begin")
    words = (str(guest.log.stat().st_ino), "0") if name == "close-window" else ("s=1",)
    guest.run_script(name, "selab .. begin", *words, "1", "99")
    assert [call for call in guest.called if call.startswith("sleep")] != []


def test_the_rate_limit_is_restored(guest: AuditedGuest) -> None:
    guest.path(LIMIT).write_text("0\n")
    release(guest, OpenWindow("t", AuditStatus(1, 0, 0), cursor="s=abc", ratelimit=7))
    assert guest.path(LIMIT).read_text() == "7\n"


def test_a_rate_limit_that_the_kernel_refuses_is_an_error(guest: AuditedGuest) -> None:
    guest.path(LIMIT).unlink()
    guest.path(LIMIT).mkdir()
    with pytest.raises(CommandFailed, match="could not be restored"):
        release(guest, OpenWindow("t", AuditStatus(1, 0, 0), cursor="s=abc", ratelimit=7))
