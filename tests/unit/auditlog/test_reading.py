"""What one record is: a decision, a failure, something to ignore, or unreadable."""

from __future__ import annotations

import pytest

from selab.auditlog.denials import AvcDenial, SelinuxError
from selab.auditlog.reading import NOT_A_RECORD, Ignored, ignored_kind, read_record
from selab.auditlog.records import Record, parse_line
from tests.unit.auditlog.records import SOURCE, TARGET, avc, path, syscall

DECISION = f"avc:  denied  {{ read }} for  pid=9 scontext={SOURCE} tcontext={TARGET} tclass=file"


def records(*lines: bytes) -> list[Record]:
    return [record for line in lines for record in parse_line(line)]


def denial(*lines: bytes) -> AvcDenial:
    """The denial of the first of `lines`, which are one event."""
    event = records(*lines)
    decision = read_record(event[0], event)
    assert isinstance(decision, AvcDenial)
    return decision


def record(record_type: str, text: str, *, partial: bool = False) -> Record:
    return Record(record_type, 7, "1700000000.123", text, "", partial=partial)


@pytest.mark.parametrize(
    ("record_type", "kind"),
    [
        (b"AVC", None),
        (b"USER_AVC", None),
        (b"SELINUX_ERR", None),
        (b"USER_SELINUX_ERR", None),
        (b"SYSCALL", ""),
        (b"MQ_GETSETATTR", ""),
        (b"CRED_ACQ", "CRED_ACQ"),
        (b"APPARMOR_DENIED", "apparmor"),
        (b"APPARMOR_AUDIT", "apparmor"),
        (b"USER_MGMT", "USER_MGMT"),
    ],
)
def test_the_type_alone_never_hides_a_denial(record_type: bytes, kind: str | None) -> None:
    assert ignored_kind(record_type) == kind


@pytest.mark.parametrize(
    "text",
    [
        DECISION.replace(TARGET, "etc_t"),
        DECISION.replace("{ read }", "read"),
        DECISION.replace("tclass=file", ""),
        "avc:  denied",
        "something else",
    ],
)
def test_a_denial_that_cannot_be_parsed_is_unreadable_and_not_ignored(text: str) -> None:
    assert read_record(record("AVC", text), ()) is None


@pytest.mark.parametrize(("end", "is_read"), [("", False), (" permissive=0", True)])
def test_a_partial_denial_is_read_only_if_its_mode_is_there(end: str, is_read: bool) -> None:
    assert (read_record(record("AVC", DECISION + end, partial=True), ()) is not None) is is_read


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('apparmor="DENIED" operation="open"', "apparmor"),
        ("lsm=landlock blockers=x", "lsm landlock"),
        (f"lsm={'x' * 99}", f"lsm {'x' * 36}"),
    ],
)
def test_a_record_of_another_security_module_is_ignored_by_its_name(text: str, kind: str) -> None:
    assert read_record(record("AVC", text), ()) == Ignored(kind)


@pytest.mark.parametrize(("partial", "reading"), [(False, Ignored(NOT_A_RECORD)), (True, None)])
def test_a_partial_line_without_a_type_may_be_a_denial(partial: bool, reading: Ignored | None) -> None:
    assert read_record(record("", "noise", partial=partial), ()) == reading


def test_a_notice_of_an_object_manager_is_ignored_and_its_error_is_read() -> None:
    notice = "pid=1 msg='avc:  received setenforce notice (enforcing=1)'"
    assert read_record(record("USER_AVC", notice), ()) == Ignored("notice")
    error = "pid=1 msg='avc:  could not determine enforcing mode'"
    assert isinstance(read_record(record("USER_AVC", error), ()), SelinuxError)


@pytest.mark.parametrize(("decision", "granted"), [("granted", True), ("denied", False)])
def test_an_access_that_auditallow_reports_is_marked(decision: str, granted: bool) -> None:
    assert denial(avc(decision=decision)).granted is granted


def test_the_contexts_are_the_last_ones_in_the_text() -> None:
    """A process may choose a name that looks like contexts."""
    assert denial(avc(comm=b"scontext=a:b:c_t")).source.type == "container_t"
    faked = DECISION.replace("pid=9", "name=x scontext=u:r:init_t tcontext=u:r:init_t tclass=dir")
    decision = read_record(record("AVC", faked), ())
    assert isinstance(decision, AvcDenial)
    assert (decision.source.type, decision.target.type, decision.tclass) == ("container_t", "etc_t", "file")


def named(name: str, inode: int = 7) -> bytes:
    line = avc(path=b"x").replace(b' path="x"', f' name="{name}"'.encode())
    return line.replace(b"ino=7", b"ino=%d" % inode)


def test_the_path_is_that_of_the_record_with_the_denials_inode() -> None:
    event = [named("passwd"), path(name=b"/etc", inode=1), path(name=b"/etc/passwd", inode=7)]
    assert denial(*event).path == "/etc/passwd"
    assert denial(named("passwd", inode=9), *event[1:]).path == "passwd"


@pytest.mark.parametrize(("cwd", "full"), [("/srvX", "/srvX/www"), ("/", "/www"), ("(null)", "www")])
def test_a_relative_path_is_below_the_processs_directory(cwd: str, full: str) -> None:
    line = f'type=CWD msg=audit(1700000000.123:1): cwd="{cwd}"\n'.encode()
    assert denial(named("www"), line, path(name=b"www")).path == full


@pytest.mark.parametrize(
    "event",
    [
        [],
        [path(name=b"(null)")],
        [path().replace(b' name="/etc/passwd"', b"")],
        [b"type=AVC_PATH msg=audit(1700000000.123:1): \n"],
    ],
    ids=["no record", "null", "no name", "no path"],
)
def test_an_object_has_the_denials_own_name_if_its_event_has_none(event: list[bytes]) -> None:
    assert denial(named("x").replace(b' name="x"', b""), *event).path == ""
    assert denial(named("x"), *event).path == "x"


def test_a_relative_path_stays_so_without_the_processs_directory() -> None:
    assert denial(named("x"), path(name=b"www")).path == "www"


def test_what_the_denial_lacks_of_its_process_is_in_the_system_calls_record() -> None:
    decision = denial(avc().replace(b' pid=42 comm="httpd"', b""), syscall(comm=b"nginx"))
    assert (decision.pid, decision.comm) == (42, "nginx")


@pytest.mark.parametrize(
    ("number", "pid"), [("12345678901", 12345678901), ("123456789012", None), ("x", None)]
)
def test_a_process_number_is_a_number_of_a_sensible_length(number: str, pid: int | None) -> None:
    assert denial(avc().replace(b"pid=42", f"pid={number}".encode())).pid == pid


def test_a_decision_without_permissions_is_shown_as_the_kernel_writes_it() -> None:
    decision = read_record(record("AVC", DECISION.replace("{ read }", "null")), ())
    assert isinstance(decision, AvcDenial) and decision.permissions == ("null",)


def test_the_contexts_may_follow_the_permissions_at_once() -> None:
    text = DECISION.replace("} for  pid=9", "}")
    assert isinstance(read_record(record("AVC", text), ()), AvcDenial)


@pytest.mark.parametrize("begin", ["pid=1 ", ""])
@pytest.mark.parametrize(("end", "is_read"), [("'", True), ("", False)])
def test_a_partial_denial_of_an_object_manager_is_read_only_if_its_message_has_its_end(
    begin: str, end: str, is_read: bool
) -> None:
    text = f'{begin}msg=\'{DECISION} permissive=0 exe="/x"{end}'
    assert (read_record(record("USER_AVC", text, partial=True), ()) is not None) is is_read


def test_the_unknown_label_of_a_partial_denial_is_unknown_as_well() -> None:
    text = f"{DECISION} permissive=0 srawcon=u:r:x_t trawcon=u:r:y"
    decisions = [read_record(record("AVC", text, partial=partial), ()) for partial in (True, False)]
    assert [(each.raw_source, each.raw_target) for each in decisions if isinstance(each, AvcDenial)] == [
        ("", ""),
        ("u:r:x_t", "u:r:y"),
    ]


def test_the_program_of_an_interpreted_denial_may_have_a_blank_in_its_name() -> None:
    line = f"type=USER_AVC msg=audit(11/23/2026 22:01:02.123:7) : pid=1 msg='{DECISION} exe=/a b sauid=dbus'"
    assert denial(line.encode()).exe == "/a b"


def test_the_program_is_that_of_the_system_call() -> None:
    assert denial(avc(), syscall(exe=b"/usr/sbin/nginx")).exe == "/usr/sbin/nginx"


def test_an_object_managers_denial_is_about_the_process_that_asked() -> None:
    text = f"pid=1 uid=0 msg='{DECISION.replace('pid=9', 'spid=42')}  exe=\"/usr/bin/dbus-daemon\" sauid=81'"
    decision = read_record(record("USER_AVC", text), ())
    assert isinstance(decision, AvcDenial)
    assert (decision.pid, decision.exe, decision.userspace) == (42, "/usr/bin/dbus-daemon", True)
