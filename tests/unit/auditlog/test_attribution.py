"""Whose denial is it."""

from __future__ import annotations

import pytest

from selab.auditlog.attribution import Owner, Party, RefusedEntry, Scope, attribute

SCOPE = Scope((Party("web_t", "s0:c1,c2"),), frozenset({"web_t", "web_data_t"}))


def avc(source: str, target: str, comm: str = "x") -> bytes:
    text = f'type=AVC msg=audit(1.1:5): avc:  denied  {{ read }} for  pid=1 comm="{comm}" '
    return f"{text}scontext={source} tcontext={target} tclass=file permissive=1".encode()


PROCESS = "system_u:system_r:web_t:s0:c1,c2"
FILE = "system_u:object_r:etc_t:s0"


@pytest.mark.parametrize(
    ("source", "target", "comm", "owner"),
    [
        (PROCESS, FILE, "x", Owner.SCENARIO),
        ("system_u:system_r:dockerd_t:s0", PROCESS, "runc", Owner.SCENARIO),
        ("system_u:system_r:dockerd_t:s0", "system_u:object_r:web_data_t:s0", "dockerd", Owner.SCENARIO),
        (
            "system_u:system_r:dockerd_t:s0",
            "system_u:object_r:container_file_t:s0:c1,c2",
            "dockerd",
            Owner.SCENARIO,
        ),
        ("system_u:system_r:dockerd_t:s0", FILE, "dockerd", Owner.RUNTIME),
        ("system_u:system_r:initrc_t:s0", FILE, "runc", Owner.RUNTIME),
        ("system_u:system_r:systemd_tmpfiles_t:s0", FILE, "x", Owner.MACHINE),
        ("system_u:system_r:init_t:s0-s0:c1,c2", FILE, "x", Owner.SCENARIO),
        ("system_u:system_r:web_t:s0-s0:c1,c2", FILE, "x", Owner.SCENARIO),
        ("system_u:system_r:web_t:s0:c7,c8", FILE, "x", Owner.MACHINE),
        ("system_u:system_r:container_t:s0:c7,c8", FILE, "x", Owner.MACHINE),
    ],
)
def test_a_denial_has_one_owner(source: str, target: str, comm: str, owner: Owner) -> None:
    attribution = attribute([avc(source, target, comm)], SCOPE)
    assert [name for name in Owner if getattr(attribution, name.value)] == [owner]


def test_a_level_without_categories_distinguishes_no_run() -> None:
    denied = avc("system_u:system_r:initrc_t:s0", FILE)
    assert len(attribute([denied], Scope((Party("web_t", "s0"),), frozenset())).machine) == 1


@pytest.mark.parametrize("own", ["invalid_context", "scontext", "tcontext", None])
def test_an_error_is_the_runs_if_one_of_its_contexts_is(own: str | None) -> None:
    contexts = {"invalid_context": "a:b", "scontext": "a:b:c_t:s0", "tcontext": "a:b:d_t:s0"}
    fields = " ".join(
        f"{name}={'system_u:object_r:web_t:s0:c1,c2' if name == own else context}"
        for name, context in contexts.items()
    )
    line = f"type=SELINUX_ERR msg=audit(1.1:6): op=security_compute_sid {fields} tclass=file"
    assert len(attribute([line.encode()], SCOPE).errors) == (own is not None)


def test_an_error_that_the_containers_process_caused_is_the_runs() -> None:
    error = b"type=SELINUX_ERR msg=audit(1.1:6): op=setxattr invalid_context=a:b:z_t:s0"
    call = (
        b'type=SYSCALL msg=audit(1.1:6): arch=c000003e syscall=188 success=no exit=-22 pid=9 comm="x" subj='
        + PROCESS.encode()
    )
    assert len(attribute([error, call], SCOPE).errors) == 1


def test_a_denial_that_cannot_be_read_is_not_lost() -> None:
    assert (
        len(
            attribute(
                [b"type=AVC msg=audit(1.1:5): avc:  denied  { read } for  pid=1 scontext=u:r"], SCOPE
            ).unread
        )
        == 1
    )


def sent(kind: str, subject: str, text: str) -> bytes:
    """A record that a process has sent: the kernel writes who it is, and then its text as it came."""
    return (
        f"type={kind} msg=audit(1700000000.123:7): pid=9 uid=0 auid=0 ses=1 subj={subject} msg='{text}'"
    ).encode()


CLAIM = f"avc:  denied  {{ write }} for  pid=1 scontext={PROCESS} tcontext={FILE} tclass=file permissive=0"
SENT_ERROR = f"op=compute_sid invalid_context={PROCESS} scontext={PROCESS} tcontext={FILE} tclass=file"
DBUS = "system_u:system_r:system_dbusd_t:s0"


@pytest.mark.parametrize(
    ("line", "doubtful"),
    [
        (sent("USER_AVC", PROCESS, CLAIM), True),
        (sent("USER_SELINUX_ERR", PROCESS, SENT_ERROR), True),
        (sent("USER_SELINUX_ERR", DBUS, SENT_ERROR), False),
        (sent("USER_AVC", DBUS, CLAIM), False),
        (sent("USER_AVC", DBUS, f"{CLAIM} subj={PROCESS}"), False),
        (sent("USER_AVC", PROCESS, f"{CLAIM} subj={DBUS}"), True),
        (sent("USER", PROCESS, f"x' type=AVC msg=audit(1700000000.123:8): {CLAIM} '"), True),
        (sent("USER_LOGIN", PROCESS, "op=login acct=root"), False),
        (sent("USER_AVC", "a:b", CLAIM), False),
        (sent("USER_LOGIN", PROCESS, f"x' type=SYSCALL msg=audit(1700000000.123:8): subj={PROCESS}"), True),
        (f"type=AVC msg=audit(1700000000.123:8): {CLAIM} {CLAIM}".encode(), True),
    ],
)
def test_a_denial_that_the_container_may_have_written_itself_is_a_doubt(line: bytes, doubtful: bool) -> None:
    assert bool(attribute([line], SCOPE).claimed) is doubtful


ENTRY = (
    f'avc:  denied  {{ entrypoint }} for  pid=9 comm="runc" scontext={PROCESS} tcontext={FILE} '
    f"tclass=file permissive=0"
)
READ = (
    f'avc:  denied  {{ read }} for  pid=9 comm="web" scontext={PROCESS} tcontext={FILE} tclass=file '
    f"permissive=0"
)
RUNC = "system_u:system_r:dockerd_t:s0"


def event(text: str, subject: str, *, kind: str = "AVC", serial: int = 8) -> list[bytes]:
    """Return a record, and its system call's record with the context of the process at the call's end."""
    head, call = (
        f"msg=audit(1700000000.123:{serial}):",
        'arch=c000003e syscall=59 success=no exit=-13 pid=9 comm="web"',
    )
    return [
        f"type={kind} {head} {text}".encode(),
        f"type=SYSCALL {head} {call} subj={subject} key=(null)".encode(),
    ]


@pytest.mark.parametrize(
    ("lines", "contexts"),
    [
        (event(READ, PROCESS), {PROCESS}),
        (event(READ.replace("permissive=0", "permissive=1"), PROCESS), {PROCESS}),
        (event(READ, PROCESS)[:1], set()),
        (event(ENTRY, RUNC), set()),
        ([event(READ, PROCESS)[0], sent("USER_CMD", PROCESS, "x").replace(b":7)", b":8)")], set()),
        (event(READ.replace("denied", "granted"), PROCESS), set()),
        (
            event(READ.replace("web_t", "helper_t"), PROCESS.replace("web_t", "helper_t")),
            {PROCESS.replace("web_t", "helper_t")},
        ),
        (event(READ.replace("c1,c2", "c7,c8"), PROCESS.replace("c1,c2", "c7,c8")), set()),
        (event(READ, PROCESS)[:1] + event(READ, PROCESS, serial=9)[1:], set()),
        (event(f"pid=9 uid=0 subj={DBUS} msg='{CLAIM}'", PROCESS, kind="USER_AVC"), set()),
    ],
    ids=[
        "read",
        "permissive",
        "no call",
        "exec refused",
        "sent",
        "granted",
        "other domain",
        "other level",
        "other event",
        "claimed",
    ],
)
def test_a_process_ran_where_the_kernel_says_so_of_the_denial_and_of_its_call(
    lines: list[bytes], contexts: set[str]
) -> None:
    assert attribute(lines, SCOPE).ran_as == contexts


START = ENTRY.replace("entrypoint", "transition").replace(PROCESS, RUNC).replace(FILE, PROCESS)
START = START.replace("tclass=file", "tclass=process")


@pytest.mark.parametrize(
    ("lines", "entries"),
    [
        (event(START, RUNC), {RefusedEntry(PROCESS, RUNC)}),
        (event(START, RUNC)[:1], {RefusedEntry(PROCESS, RUNC)}),
        (event(ENTRY, RUNC), {RefusedEntry(PROCESS, RUNC)}),
        (event(ENTRY, RUNC)[:1], {RefusedEntry(PROCESS, "")}),
        ([line.replace(b" subj=", b" obj=") for line in event(ENTRY, RUNC)], {RefusedEntry(PROCESS, "")}),
        (event(START.replace("tclass=process", "tclass=file"), RUNC), set()),
        (event(ENTRY.replace("tclass=file", "tclass=process"), RUNC), set()),
        (event(START.replace("permissive=0", "permissive=1"), RUNC), set()),
        (event(START.replace("denied", "granted"), RUNC), set()),
        (event(START.replace("c1,c2", "c7,c8"), RUNC), set()),
        (event(ENTRY.replace("c1,c2", "c7,c8"), RUNC), set()),
        (event(START.replace("transition", "sigkill"), RUNC), set()),
        (event(READ, PROCESS), set()),
        (event(f"pid=9 uid=0 subj={DBUS} msg='{START}'", DBUS, kind="USER_AVC"), set()),
        ([*event(START, RUNC), sent("USER_AVC", PROCESS, CLAIM)], set()),
    ],
)
def test_an_entry_is_refused_if_the_kernel_blocked_the_exec_into_the_runs_own_level(
    lines: list[bytes], entries: set[RefusedEntry]
) -> None:
    assert attribute(lines, SCOPE).refused_entries == entries


@pytest.mark.parametrize(
    "line",
    [
        sent("USER_AVC", PROCESS, CLAIM),
        sent("USER", PROCESS, f"x' type=AVC msg=audit(1700000000.123:8): {CLAIM} '"),
        b"type=AVC msg=audit(1700000000.123:5): avc:  denied  { read } for  pid=1 scontext=u:r",
    ],
    ids=["claimed", "forged", "unread"],
)
def test_nothing_is_known_of_processes_beside_a_record_that_is_in_doubt(line: bytes) -> None:
    assert attribute([*event(READ, PROCESS), line], SCOPE).ran_as == set()


def test_records_that_are_in_doubt_are_told() -> None:
    lines = [
        sent("USER_AVC", PROCESS, CLAIM),
        b"type=AVC msg=audit(1700000000.123:5): avc:  denied  { read } for  pid=1 scontext=u:r",
    ]
    attribution = attribute(lines, SCOPE)
    (unread,), (claimed,) = attribution.unread, attribution.claimed
    assert attribution.doubts == [
        f"1 records of the window could not be read, the first: {unread[:80]}",
        f"1 records of the window may have been written by the container itself, the first: {claimed[:80]}",
    ]


def test_a_claim_keeps_the_bytes_that_are_no_text() -> None:
    line = sent("USER", PROCESS, f"x' type=AVC msg=audit(1700000000.123:8): {CLAIM} '") + b"\xff"
    (claimed,) = attribute([line], SCOPE).claimed
    assert claimed.endswith("'\\xff")


@pytest.mark.parametrize("kind", ["USER_CMD", "USER_LOGIN"])
@pytest.mark.parametrize(
    "forged",
    [
        f"avc:  denied  {{ read }} for  pid=1 scontext={PROCESS} tcontext={FILE} tclass=file permissive=0",
        f"SELINUX_ERR op=security_compute_sid scontext={PROCESS} tcontext={FILE} tclass=process",
    ],
)
def test_a_record_behind_another_ones_text_may_be_the_containers_own(kind: str, forged: str) -> None:
    """A process with CAP_AUDIT_WRITE can end the quote around its text."""
    line = f"type={kind} msg=audit(1.1:5): pid=1 subj={PROCESS} msg='op=x res=success' {forged}"
    assert len(attribute([line.encode()], SCOPE).claimed) == 1


def test_a_window_that_says_that_records_are_missing_is_in_doubt() -> None:
    notice = b"audit: audit_lost=12 audit_rate_limit=0 audit_backlog_limit=64"
    (doubt,) = attribute([avc(PROCESS, FILE), notice], SCOPE).doubts
    assert "lost 12 audit records" in doubt


DB, WEB = Party("db_t", "s0:c1,c2", "db"), Party("web_t", "s0:c3,c4", "web")


def denial(source: str, target: str) -> bytes:
    return (
        f"type=AVC msg=audit(1.1:5): avc:  denied  {{ read }} for  pid=1 scontext=u:r:{source} "
        f"tcontext=u:r:{target} tclass=file permissive=0"
    ).encode()


@pytest.mark.parametrize(
    ("parties", "source", "target", "names"),
    [
        ((DB, WEB), "db_t:s0:c1,c2", "etc_t:s0", ("db",)),
        ((DB, WEB), "web_t:s0:c3,c4", "db_t:s0:c1,c2", ("web", "db")),
        ((DB, WEB), "web_t:s0:c3,c4", "container_file_t:s0:c1,c2", ("web", "db")),
        ((DB, WEB), "helper_t:s0:c3,c4", "etc_t:s0", ("web",)),
        ((DB, WEB), "dockerd_t:s0", "web_t:s0:c3,c4", ("web",)),
        ((DB, WEB), "dockerd_t:s0", "db_t:s0", ("db",)),
        ((DB, WEB._replace(level=DB.level)), "web_t:s0:c1,c2", "etc_t:s0", ("web",)),
        ((DB, WEB._replace(level=DB.level)), "helper_t:s0:c1,c2", "etc_t:s0", ("db", "web")),
        ((DB, DB._replace(name="replica")), "db_t:s0:c1,c2", "etc_t:s0", ("db", "replica")),
        ((DB, DB._replace(level="s0:c5,c6", name="replica")), "db_t:s0:c5,c6", "etc_t:s0", ("replica",)),
        ((DB,), "db_t:s0:c1,c2", "etc_t:s0", ()),
    ],
)
def test_a_denial_names_the_containers_that_it_concerns(
    parties: tuple[Party, ...], source: str, target: str, names: tuple[str, ...]
) -> None:
    scope = Scope(parties, frozenset({"db_t", "web_t"}))
    (avc,) = attribute([denial(source, target)], scope).decisions
    assert scope.names(avc) == names


def test_a_container_of_another_run_with_the_same_type_is_not_the_scenarios() -> None:
    lines = [denial("db_t:s0:c8,c9", "etc_t:s0"), denial("web_t:s0:c1,c2", "etc_t:s0")]
    result = attribute(lines, Scope((DB, WEB), frozenset()))
    assert [row.source for row in result.scenario] == ["web_t"]
