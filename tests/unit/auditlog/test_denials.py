"""Denials: what one record says, and rows of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from selab.auditlog.context import Context
from selab.auditlog.denials import (
    MAX_EVIDENCE,
    AvcDenial,
    Denial,
    DenialKey,
    comparable,
    group,
    shown_labels,
    with_bare_keys,
)
from selab.auditlog.events import Event, read_events
from selab.auditlog.summary import summarise
from tests.unit.auditlog.records import SOURCE, TARGET, avc, avc_lines

USER_AVC = (
    "type=USER_AVC msg=audit(1700000000.123:5): pid=1 uid=0 subj=system_u:system_r:init_t:s0 "
    "msg='avc:  denied  {{ start }} for auid=n/a "
    'uid=0 gid=0 path="/usr/lib/systemd/system/x.service" cmdline="{cmdline}" scontext={source} '
    "tcontext={target} tclass=service "
    'permissive=0 exe="/usr/lib/systemd/systemd" sauid=0 hostname=? addr=? terminal=?\'\n'
)


def event(*lines: bytes) -> Event:
    (only,) = read_events(lines)
    return only


def denial(*lines: bytes) -> AvcDenial:
    (only,) = event(*lines).denials()
    return only


def row(*lines: bytes) -> Denial:
    (only,) = group(avc for event in read_events(lines) for avc in event.denials())
    return only


def test_a_denial_has_the_full_contexts() -> None:
    parsed = denial(avc())
    assert (parsed.source, parsed.target) == (Context.parse(SOURCE), Context.parse(TARGET))


def test_trap_17_every_permission_of_a_record_counts() -> None:
    assert denial(avc(permissions="read write open")).permissions == ("read", "write", "open")


@pytest.mark.parametrize(("permissive", "expected"), [(0, False), (1, True), (None, None)])
def test_trap_10_permissive_has_three_states(permissive: int | None, expected: bool | None) -> None:
    assert denial(avc(permissive=permissive)).permissive is expected


def test_trap_9_apparmor_under_type_avc_is_no_denial() -> None:
    line = (
        b'type=AVC msg=audit(1700000000.123:5): apparmor="DENIED" operation="ptrace" '
        b'profile="docker-default" pid=1 comm="ps"\n'
    )
    assert (event(line).denials(), event(line).ignored()) == ((), ("apparmor",))


@pytest.mark.parametrize(
    "notice",
    [
        "received policyload notice (seqno=2)",
        "received setenforce notice (enforcing=0)",
        "op=load_policy lsm=selinux",
    ],
)
def test_trap_9_a_notice_under_type_user_avc_is_no_denial(notice: str) -> None:
    line = (
        f"type=USER_AVC msg=audit(1700000000.123:5): pid=1 msg='avc:  {notice} "
        f'exe="/usr/bin/dbus-broker" sauid=81\'\n'
    ).encode()
    assert (event(line).denials(), event(line).ignored()) == ((), ("notice",))


def test_granted_is_no_denial() -> None:
    assert (event(avc(decision="granted")).denials(), event(avc(decision="granted")).ignored()) == (
        (),
        ("granted",),
    )


def test_trap_7_the_candidate_may_be_the_target() -> None:
    parsed = denial(
        avc(
            source="system_u:system_r:dockerd_t:s0",
            target="system_u:system_r:selab_apache_t:s0:c1,c2",
            tclass="process",
        )
    )
    assert (parsed.source.type, parsed.target.type) == ("dockerd_t", "selab_apache_t")


def test_trap_12_categories_of_both_sides_are_kept() -> None:
    (pair,) = row(avc(source="u:r:container_t:s0:c1,c2", target="u:r:container_file_t:s0:c3,c4")).evidence
    assert [context.level for context in pair] == ["s0:c1,c2", "s0:c3,c4"]


def of_levels(*pairs: tuple[str, str]) -> list[bytes]:
    return [
        avc(number, source=f"u:r:container_t:{a}", target=f"u:r:container_file_t:{b}")
        for number, (a, b) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("s0:c1,c2", "s0:c3,c4")], True),
        ([("s0:c1,c2", "s0:c1,c2")], False),
        ([("s0", "s0:c3,c4")], False),
        ([("s0:c1", f"s0:c{number}") for number in range(2, 20)], True),
        ([*(("s0:c1", f"s0:c{number}") for number in range(2, 20)), ("s0:c1", "s0")], False),
    ],
    ids=["another pair", "the same pair", "no categories", "many pairs", "one record of many"],
)
def test_trap_12_categories_explain_a_row_only_where_they_explain_each_record(
    pairs: list[tuple[str, str]], expected: bool
) -> None:
    lines = of_levels(*pairs)
    assert (row(*lines).separated, summarise(lines).denials[0].separated) == (expected, expected)


def test_an_object_managers_denial_is_userspace() -> None:
    parsed = denial(USER_AVC.format(cmdline="systemctl start x", source=SOURCE, target=TARGET).encode())
    assert (parsed.userspace, parsed.exe, parsed.path) == (
        True,
        "/usr/lib/systemd/systemd",
        "/usr/lib/systemd/system/x.service",
    )


def test_a_command_line_cannot_choose_the_contexts() -> None:
    forged = 'x\\" scontext=u:r:innocent_t:s0 tcontext=u:r:innocent_t:s0 tclass=file permissive=1 '
    parsed = denial(USER_AVC.format(cmdline=forged, source=SOURCE, target=TARGET).encode())
    assert (parsed.source.type, parsed.tclass) == ("container_t", "service")


def test_a_context_that_the_policy_does_not_know_is_kept() -> None:
    line = avc().rstrip() + b" trawcon=6B75C5996563C3AD20C599C3AD7A656B\n"
    assert denial(line).raw_target == "kuřecí řízek"


def test_capability_and_port_are_details() -> None:
    assert denial(avc(extra="capability=12 src=80 ")).detail == "capability=12 src=80"


@pytest.mark.parametrize(
    "line", [avc()[:120] + b"\n", avc(source="nonsense"), avc().replace(b"scontext", b"ssid")]
)
def test_a_denial_that_cannot_be_read_is_not_passed_over(line: bytes) -> None:
    assert len(event(line).unparsed()) == 1


def test_the_key_is_types_class_and_one_permission() -> None:
    assert denial(avc(permissions="read write")).keys == (
        DenialKey("container_t", "etc_t", "file", "read"),
        DenialKey("container_t", "etc_t", "file", "write"),
    )


READ = DenialKey("a_t", "b_t", "file", "read")
IOCTL = READ._replace(permission="ioctl")
FIRST, SECOND = IOCTL._replace(command="0x8910"), IOCTL._replace(command="0x8927")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (READ, "a_t b_t:file read"),
        (READ._replace(target="a_t"), "a_t self:file read"),
        (FIRST, "a_t b_t:file ioctl 0x8910"),
    ],
)
def test_a_key_is_shown_as_the_policy_language_writes_the_access(key: DenialKey, text: str) -> None:
    assert str(key) == text


def test_the_first_command_of_an_ioctl_gives_the_value_of_all() -> None:
    values = {READ: 1, FIRST: 2, SECOND: 3}
    assert with_bare_keys(values) == {READ: 1, FIRST: 2, SECOND: 3, IOCTL: 2}


def test_two_policies_are_compared_by_command_only_if_both_distinguish_commands() -> None:
    assert comparable({READ, FIRST}, {IOCTL}) == {READ, IOCTL}
    assert comparable({READ, FIRST}, {SECOND}) == {READ, FIRST}


@pytest.mark.parametrize("by_command", [True, False])
def test_each_command_is_a_denial_only_where_the_policy_distinguishes_commands(by_command: bool) -> None:
    line = avc(permissions="ioctl read", source="u:r:a_t", target="u:r:b_t", extra="ioctlcmd=0x8910 ")
    both = row(line, line.replace(b"0x8910", b"0x8927"))
    assert replace(both, by_command=by_command).keys == (
        (FIRST, SECOND, READ) if by_command else (IOCTL, READ)
    )


def test_only_a_row_that_distinguishes_commands_says_so() -> None:
    assert replace(row(avc()), by_command=True).to_json()["by_command"] is True
    assert "by_command" not in row(avc()).to_json()


def test_a_number_that_looks_like_a_command_belongs_to_an_ioctl_only() -> None:
    line = avc(extra="ioctlcmd=0x8910 ")
    assert (row(line).commands, denial(line).command_of("read")) == ((), None)


def test_the_commands_of_a_row_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.auditlog.denials.MAX_COMMANDS", 2)
    lines = [avc(permissions="ioctl", extra=f"ioctlcmd={number:#x} ") for number in (3, 1, 2)]
    assert row(*lines).commands == ("0x1", "0x3")


def test_a_random_category_does_not_make_a_denial_new() -> None:
    assert row(avc(1), avc(2, source="system_u:system_r:container_t:s0:c7,c9")).count == 2


def test_a_rows_permissions_are_the_sorted_union() -> None:
    assert row(avc(1, permissions="write"), avc(2, permissions="read write")).permissions == ("read", "write")


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ((1, 1), True),
        ((1, 0), False),
        ((None, 0), False),
        ((None, 1), None),
        ((None, None), None),
        ((0, 0), False),
    ],
)
def test_a_row_is_permissive_only_where_every_record_says_so(
    modes: tuple[int | None, ...], expected: bool | None
) -> None:
    assert (
        row(*(avc(serial, permissive=permissive) for serial, permissive in enumerate(modes))).permissive
        is expected
    )


@pytest.mark.parametrize(("modes", "expected"), [((1, 0), True), ((1, 1), False), ((0, None), False)])
def test_a_row_says_when_its_records_differ(modes: tuple[int | None, ...], expected: bool) -> None:
    assert (
        row(*(avc(serial, permissive=permissive) for serial, permissive in enumerate(modes))).mixed
        is expected
    )


def test_a_whole_path_is_a_better_example_than_a_name() -> None:
    assert (
        row(avc(1).replace(b'path="/etc/passwd"', b'name="passwd"'), avc(2, permissions="open")).path
        == "/etc/passwd"
    )


@pytest.mark.parametrize("first", ["/a", "/"])
def test_the_first_whole_path_stays_the_example(first: str) -> None:
    assert row(avc(1, path=first.encode()), avc(2, permissions="open", path=b"/b")).path == first


def test_a_row_has_the_number_of_each_event_once() -> None:
    assert row(avc(1), avc(2), avc(2)).serials == (1, 2)


def test_a_rows_evidence_is_bounded() -> None:
    lines = [
        avc(serial, source=f"system_u:system_r:container_t:s0:c{serial}")
        for serial in range(MAX_EVIDENCE + 5)
    ]
    assert (len(row(*lines).evidence), len(row(*lines).serials)) == (MAX_EVIDENCE, MAX_EVIDENCE)


@given(avc_lines())
def test_a_denial_has_the_permissions_of_its_keys(line: bytes) -> None:
    for parsed in event(line).denials():
        assert tuple(key.permission for key in parsed.keys) == parsed.permissions


@pytest.mark.parametrize(
    "value", ['"system_u:object_r:gone_t:s0"', "system_u:object_r:gone_t:s0", b"u:r:gone_t".hex().upper()]
)
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_row_has_the_labels_that_the_policy_does_not_know(value: str, side: str) -> None:
    line = avc().rstrip() + f" {side[0]}rawcon={value}\n".encode()
    (row,) = summarise([avc(), line, line]).denials
    labels = row.to_json()[f"raw_{side}s"]
    assert isinstance(labels, list) and [label.split(":")[2] for label in labels] == ["gone_t"]


def test_the_unknown_labels_of_a_row_are_limited() -> None:
    lines = [avc().rstrip() + b' trawcon="u:r:gone%d_t"\n' % number for number in range(MAX_EVIDENCE + 5)]
    assert len(summarise(lines).denials[0].raw_targets) == MAX_EVIDENCE


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ([b""], ""),
        ([b" trawcon=u:r:x_t"], "(label unknown to the policy: u:r:x_t)"),
        (
            [b" trawcon=u:r:x_t", b" srawcon=u:r:y_t", b" srawcon=u:r:x_t"],
            "(label unknown to the policy: u:r:y_t, u:r:x_t)",
        ),
    ],
    ids=["known", "one", "several"],
)
def test_the_labels_that_the_policy_does_not_know_are_shown_once_each(ends: list[bytes], text: str) -> None:
    assert shown_labels(row(*(avc().rstrip() + end for end in ends))) == text
