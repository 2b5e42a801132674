"""The window: whole, or with the reason why not."""

from __future__ import annotations

import json
import re

import pytest

from selab.auditlog.windows import (
    AuditStatus,
    OpenWindow,
    Window,
    audit_status,
    close_window,
    open_window,
    release,
)
from selab.errors import CommandFailed, SelabError
from selab.guest import script
from tests.unit.fakes import FakeGuest

STATUS = "enabled 1\nfailure 1\npid 400\nrate_limit 0\nbacklog_limit 8192\nlost {lost}\nbacklog 0\n"


def opened(guest: FakeGuest, lost: int = 0, enabled: int = 1) -> OpenWindow:
    status = STATUS.format(lost=lost).replace("enabled 1", f"enabled {enabled}")
    guest.answer("begin", out=f"{status}log 77 1000\n")
    return open_window().of(guest)


def user(serial: int, text: str) -> str:
    return (
        f"type=USER msg=audit(1700000000.100:{serial}): pid=9 uid=0 msg='text={text} "
        f'exe="/usr/sbin/auditctl" res=success\'\n'
    )


def avc(serial: int) -> str:
    return (
        f"type=AVC msg=audit(1700000000.200:{serial}): avc:  denied  {{ read }} for  pid=1 "
        f"scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0\n"
    )


def closing(
    guest: FakeGuest,
    window: OpenWindow,
    log: str,
    *,
    lost: int = 0,
    pid: int = 400,
    enabled: int = 1,
    stderr: str = "",
    mode: int = 1,
) -> tuple[str, ...]:
    status = STATUS.format(lost=lost).replace("enabled 1", f"enabled {enabled}")
    head = status.replace("pid 400", f"pid {pid}")
    guest.answer(window.mark("end"), out=f"{head}mode {mode}\nwindow\n{log}", err=stderr)
    return close_window(window).of(guest).problems


def test_the_window_holds_what_lies_between_the_marks() -> None:
    guest = FakeGuest()
    window = opened(guest)
    log = avc(9) + user(10, window.mark("begin")) + avc(12) + avc(11) + user(13, window.mark("end")) + avc(14)
    guest.answer(window.mark("end"), out=STATUS.format(lost=0) + f"mode 1\nwindow\n{log}")
    assert list(close_window(window).of(guest).lines) == [avc(12).strip().encode(), avc(11).strip().encode()]


def test_a_record_of_an_event_before_the_mark_that_was_written_after_it_is_left_out() -> None:
    guest = FakeGuest()
    window = opened(guest)
    log = user(10, window.mark("begin")) + avc(9) + user(13, window.mark("end"))
    guest.answer(window.mark("end"), out=STATUS.format(lost=0) + f"mode 1\nwindow\n{log}")
    assert close_window(window).of(guest).lines == ()


def whole(window: OpenWindow) -> str:
    return user(10, window.mark("begin")) + user(13, window.mark("end"))


def test_a_whole_window_has_no_problem() -> None:
    guest = FakeGuest()
    window = opened(guest)
    assert closing(guest, window, whole(window)) == ()


@pytest.mark.parametrize("which", ["begin", "end"])
def test_a_mark_that_did_not_arrive_is_a_problem(which: str) -> None:
    guest = FakeGuest()
    window = opened(guest)
    other = "end" if which == "begin" else "begin"
    assert closing(guest, window, user(10, window.mark(other))) == (
        f"the mark of the window's {which} is not in the audit log",
    )


def test_a_mark_is_a_record_of_type_user_only() -> None:
    guest = FakeGuest()
    window = opened(guest)
    forged = whole(window).replace("type=USER", "type=USER_CMD")
    assert len(closing(guest, window, forged)) == 2


def test_lost_records_are_a_problem() -> None:
    guest = FakeGuest()
    window = opened(guest, lost=3)
    assert closing(guest, window, whole(window), lost=5) == ("the kernel lost 2 audit records",)


def test_records_that_were_lost_before_are_none() -> None:
    guest = FakeGuest()
    window = opened(guest, lost=3)
    assert closing(guest, window, whole(window), lost=3) == ()


@pytest.mark.parametrize(("pid", "word"), [(0, "stopped"), (401, "restarted")])
def test_an_audit_daemon_that_went_away_is_a_problem(pid: int, word: str) -> None:
    guest = FakeGuest()
    window = opened(guest)
    assert closing(guest, window, whole(window), pid=pid) == (
        f"the audit daemon {'was ' if pid else ''}{word} during the run",
    )


@pytest.mark.parametrize(
    ("before", "after", "count"), [(1, 1, 0), (2, 2, 0), (1, 2, 0), (1, 0, 1), (0, 1, 1), (0, 0, 1)]
)
def test_auditing_that_was_off_at_the_beginning_or_at_the_end_is_a_problem(
    before: int, after: int, count: int
) -> None:
    """2 means that auditing is on and locked (auditctl(8))."""
    guest = FakeGuest()
    window = opened(guest, enabled=before)
    assert len(closing(guest, window, whole(window), enabled=after)) == count


@pytest.mark.parametrize(("room", "count"), [(0, 1), (1, 0)], ids=["full", "not full"])
def test_a_window_that_fills_its_limit_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, room: int, count: int
) -> None:
    guest = FakeGuest()
    window = opened(guest)
    monkeypatch.setattr("selab.auditlog.windows.MAX_BYTES", len(whole(window)) + room)
    assert len(closing(guest, window, whole(window))) == count


@pytest.mark.parametrize("mode", [0, 1])
def test_a_window_has_the_mode_at_its_end(mode: int) -> None:
    guest = FakeGuest()
    window = opened(guest)
    guest.answer(window.mark("end"), out=f"{STATUS.format(lost=0)}mode {mode}\nwindow\n{whole(window)}")
    assert close_window(window).of(guest).enforcing is (mode == 1)


@pytest.mark.parametrize("stderr", ["rotated-away", "truncated"])
def test_a_log_that_was_cut_is_a_problem(stderr: str) -> None:
    guest = FakeGuest()
    window = opened(guest)
    assert len(closing(guest, window, whole(window), stderr=stderr)) == 1


def test_a_window_that_cannot_be_closed_is_a_problem() -> None:
    guest = FakeGuest()
    window = opened(guest)
    guest.answer(window.mark("end"), code=4, err="auditctl: cannot send")
    (problem,) = close_window(window).of(guest).problems
    assert "auditctl: cannot send" in problem


def test_an_answer_without_a_window_is_an_error() -> None:
    guest = FakeGuest()
    window = opened(guest)
    guest.answer(window.mark("end"), out=f"{STATUS.format(lost=0)}mode 0\n")
    with pytest.raises(SelabError, match="it has no window"):
        close_window(window).of(guest)


def journal_window(extra: str = "", unread: str = "") -> Window:
    """A window of the journal; `extra` is the message of one more entry, and `unread` the text after it."""
    guest = FakeGuest()
    status = STATUS.format(lost=0).replace("pid 400", "pid 0")
    guest.answer("begin", out=status + "log 77 1000\ncursor s=abc;i=1\nratelimit 5\n")
    window = open_window().of(guest)
    records = [
        (1005, 10, f"pid=9 msg='text={window.mark('begin')}'"),
        (1400, 11, AVC),
        (1005, 12, f"pid=9 msg='text={window.mark('end')}'"),
    ]
    lines = [f"audit: type={kind} audit(1700000000.123:{serial}): {text}" for kind, serial, text in records]
    entries = "\n".join(json.dumps({"MESSAGE": line, "_TRANSPORT": "kernel"}) for line in [*lines, extra])
    guest.answer(window.mark("end"), out=f"{status}mode 0\nwindow\n{entries}\n{unread}")
    return close_window(window).of(guest)


AVC = "avc:  denied  { read } for  pid=1"


def test_without_an_audit_daemon_the_journal_is_read() -> None:
    closed = journal_window()
    assert (closed.lines, closed.problems) == (
        (f"type=AVC msg=audit(1700000000.123:11): {AVC}".encode(),),
        (),
    )


@pytest.mark.parametrize(("line", "limit"), [("ratelimit 0\n", 0), ("ratelimit 7\n", 7), ("", 5)])
def test_a_window_of_the_journal_remembers_the_rate_limit_from_before(line: str, limit: int) -> None:
    guest = FakeGuest()
    guest.answer("begin", out=f"{STATUS.format(lost=0).replace('pid 400', 'pid 0')}cursor s=abc;i=1\n{line}")
    assert open_window().of(guest).ratelimit == limit


def test_the_rate_limit_is_put_back() -> None:
    guest = FakeGuest()
    guest.answer(script("auditlog/restore-ratelimit"))
    release(guest, OpenWindow("t", AuditStatus(1, 0, 0), cursor="s=abc", ratelimit=7))
    assert guest.commands[0][-1] == "7"


def test_a_window_of_the_log_has_nothing_to_put_back() -> None:
    guest = FakeGuest()
    release(guest, OpenWindow("t", AuditStatus(1, 400, 0), inode=77))
    assert guest.commands == []


def test_records_that_the_kernel_did_not_print_are_a_problem() -> None:
    assert journal_window("kauditd_printk_skb: 5 callbacks suppressed").problems != ()


@pytest.mark.parametrize(("entries", "count"), [('{"MESSAGE": "aud', 1), ("x\ny", 2)], ids=["cut", "noise"])
def test_an_entry_of_the_journal_that_cannot_be_read_is_a_problem(entries: str, count: int) -> None:
    assert journal_window(unread=f"{entries}\n").problems == (
        f"{count} entries of the guest's journal are unreadable",
    )


def test_without_a_reader_of_records_there_is_no_window() -> None:
    guest = FakeGuest()
    guest.answer("begin", out=STATUS.format(lost=0).replace("pid 400", "pid 0") + "log 77 1000\n")
    with pytest.raises(SelabError) as raised:
        open_window().of(guest)
    assert (raised.value.what, raised.value.detail, raised.value.hint) == (
        "No process receives audit records in the guest.",
        "The audit daemon is not running, and the journal has no cursor.",
        "Start auditd: `selab vm ssh -- systemctl start auditd`.",
    )


def test_a_window_that_cannot_be_opened_leads_to_doctor() -> None:
    guest = FakeGuest()
    guest.answer("begin", code=1, err="auditctl: not permitted")
    with pytest.raises(CommandFailed) as raised:
        open_window().of(guest)
    assert raised.value.what == "The guest cannot mark its audit log."
    assert "Run `selab doctor`" in raised.value.hint


def test_the_audit_status_is_read_without_a_change() -> None:
    guest = FakeGuest()
    guest.answer("auditctl", out=STATUS.format(lost=12))
    assert audit_status(guest) == AuditStatus(1, 400, 12)
    assert guest.commands == [("auditctl", "-s")]


def test_an_audit_status_that_cannot_be_read_leads_to_doctor() -> None:
    guest = FakeGuest()
    guest.answer("auditctl", code=1, err="not permitted")
    with pytest.raises(CommandFailed) as raised:
        audit_status(guest)
    assert (raised.value.what, raised.value.hint) == (
        "The guest's audit status cannot be read.",
        "Run `selab doctor`.",
    )


@pytest.mark.parametrize(("pids", "count"), [("", 0), ("pid 1\npid 400\n", 2)])
def test_a_status_is_not_read_from_an_ambiguous_answer(pids: str, count: int) -> None:
    guest = FakeGuest()
    guest.answer("begin", out=STATUS.format(lost=0).replace("pid 400\n", pids) + "log 77 1000\n")
    with pytest.raises(SelabError, match=f"it has {count} lines 'pid'"):
        open_window().of(guest)


def test_the_rate_limit_that_cannot_be_put_back_is_an_error_with_the_way_out() -> None:
    guest = FakeGuest()
    guest.answer(script("auditlog/restore-ratelimit"), code=1, err="read-only")
    with pytest.raises(CommandFailed) as raised:
        release(guest, OpenWindow("t", AuditStatus(1, 0, 0), cursor="s=abc", ratelimit=7))
    assert raised.value.what == "The kernel's rate limit could not be restored."
    assert "`selab vm halt`, then `selab vm up`" in raised.value.hint


def test_each_window_has_a_token_of_its_own() -> None:
    assert opened(FakeGuest()).token != opened(FakeGuest()).token


def forged_with(token: str, kind: str = "USER") -> str:
    """What a process with CAP_AUDIT_WRITE may have sent: a mark that ends the window before its denial."""
    return user(11, f"selab {token} end").replace("type=USER", f"type={kind}")


@pytest.mark.parametrize("token", ["", "0" * 24, "*", ".*", "*' type=USER msg=audit(1.1:1): '"])
def test_a_mark_cannot_be_forged_without_the_token(token: str) -> None:
    guest = FakeGuest()
    window = opened(guest)
    log = user(10, window.mark("begin")) + forged_with(token) + avc(12) + user(13, window.mark("end"))
    guest.answer(window.mark("end"), out=STATUS.format(lost=0) + f"mode 1\nwindow\n{log}")
    closed = close_window(window).of(guest)
    assert (avc(12).strip().encode() in closed.lines, closed.problems) == (True, ())


@pytest.mark.parametrize("kind", ["USER_CMD", "EXECVE", "USER_AVC", "TRUSTED_APP"])
def test_a_mark_is_none_in_a_record_of_another_type_even_with_the_token(kind: str) -> None:
    guest = FakeGuest()
    window = opened(guest)
    log = (
        user(10, window.mark("begin"))
        + forged_with(window.token, kind)
        + avc(12)
        + user(13, window.mark("end"))
    )
    guest.answer(window.mark("end"), out=STATUS.format(lost=0) + f"mode 1\nwindow\n{log}")
    assert avc(12).strip().encode() in close_window(window).of(guest).lines


def test_what_a_log_says_of_the_status_is_not_believed() -> None:
    guest = FakeGuest()
    window = opened(guest)
    log = user(10, window.mark("begin")) + "lost 0\npid 400\nmode 1\nwindow\n" + user(13, window.mark("end"))
    assert closing(guest, window, log, lost=9, pid=0) == (
        "the kernel lost 9 audit records",
        "the audit daemon stopped during the run",
    )


def test_the_token_cannot_be_guessed() -> None:
    assert re.fullmatch("[0-9a-f]{24}", opened(FakeGuest()).token)


def test_a_window_with_too_many_lines_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.windows.MAX_LINES", 3)
    guest = FakeGuest()
    window = opened(guest)
    log = user(10, window.mark("begin")) + "\n" * 1000 + user(13, window.mark("end"))
    assert closing(guest, window, log) == ("the window has more than 3 lines",)


def test_a_window_may_have_as_many_lines_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.windows.MAX_LINES", 3)
    guest = FakeGuest()
    window = opened(guest)
    log = user(10, window.mark("begin")) + avc(11) * 3 + user(13, window.mark("end"))
    assert closing(guest, window, log) == ()
