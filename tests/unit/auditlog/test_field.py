"""Logs of public reports, as facts: each stands for a kind of fault, with what selab must answer."""

from __future__ import annotations

import json

from selab.auditlog.summary import Summary, summarise

WEB, ETC = "system_u:system_r:web_t:s0:c1,c2", "system_u:object_r:etc_t:s0"
LATER = "audit(1754343743.323:21156)"


def avc(permission: str, source: str = WEB, target: str = ETC, tclass: str = "file", what: str = "") -> str:
    subject = f"scontext={source} tcontext={target} tclass={tclass} permissive=0"
    return f'avc:  denied  {{ {permission} }} for  pid=7 comm="x" {what}{subject}'


def summary(*lines: str) -> Summary:
    return summarise([f"{line}\n".encode() for line in lines])


def rows(*lines: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(row.source, row.target, row.tclass, row.permissions) for row in summary(*lines).denials]


def test_two_decisions_on_a_line_are_two_rows() -> None:
    other = avc("read", "system_u:system_r:sshd_t:s0", "system_u:object_r:shadow_t:s0")
    assert rows(f"{avc('write')} {other}") == [
        ("sshd_t", "shadow_t", "file", ("read",)),
        ("web_t", "etc_t", "file", ("write",)),
    ]


def test_a_bare_decision_behind_one_with_a_header_is_a_row_of_its_own() -> None:
    bare = avc("read", "system_u:system_r:sshd_t:s0", "system_u:object_r:shadow_t:s0")
    joined = rows(f"type=AVC msg={LATER}: {avc('write')} {bare}")
    assert joined == rows(f"type=AVC msg={LATER}: {avc('write')}", bare)


def test_any_number_of_blanks_separates_fields() -> None:
    message = f"pid=1 uid=81 msg='{avc('send_msg', tclass='dbus')}  exe=\"/usr/bin/dbus-daemon\" sauid=81'"
    line = f"type=USER_AVC  msg={LATER}:   {message}"
    assert rows(line.replace(" tcontext", "\t  tcontext")) == [("web_t", "etc_t", "dbus", ("send_msg",))]


def test_a_record_of_the_journal_that_is_there_twice_is_one_event() -> None:
    twice = summary(
        f"host kernel: audit: type=1400 {LATER}: {avc('write')}", f"host audit[7]: AVC {avc('write')}"
    )
    assert (twice.records, twice.events) == (1, 1)


def test_a_record_in_a_json_string_has_no_escapes() -> None:
    (row,) = summary(json.dumps({"_TRANSPORT": "kernel", "MESSAGE": f"AVC {avc('read')}"})).denials
    assert row.comm == "x"


def test_a_log_that_says_that_records_are_missing_is_incomplete() -> None:
    log = summary(
        f"[ 9497.3] audit: type=1400 {LATER}: {avc('open')}",
        "[ 9502.3] kauditd_printk_skb: 127 callbacks suppressed",
        "[ 9503.1] audit: backlog limit exceeded",
        "[ 9503.2] audit: audit_lost=12 audit_rate_limit=0 audit_backlog_limit=64",
    )
    reasons = log.to_json()["incomplete"]
    assert isinstance(reasons, list) and len(reasons) == 3
    assert "12" in reasons[0] and "127" in reasons[2] and len(log.denials) == 1


def test_the_label_that_the_policy_does_not_know_is_kept() -> None:
    line = f'type=AVC msg={LATER}: {avc("read")} trawcon="system_u:object_r:gone_t:s0"'
    assert summary(line).denials[0].raw_targets == ("system_u:object_r:gone_t:s0",)


def test_a_record_without_a_header_is_read_without_a_time() -> None:
    error = (
        f'op=security_compute_sid invalid_context="u:r:ssh_t" scontext={WEB} tcontext={ETC} tclass=process'
    )
    log = summary(f"type=SELINUX_ERR {error}", f"audit: SELINUX_ERR {error}", f"type=AVC {avc('setrlimit')}")
    (((failure, count),), (row,)) = log.selinux_err, log.denials
    assert (failure.time, count, failure.invalid_context) == (None, 2, "u:r:ssh_t")
    assert (row.serials, row.permissions, log.unparsed) == ((), ("setrlimit",), 0)


STAFF, RUNTIME = "staff_u:staff_r:staff_t:s0", "staff_u:staff_r:container_runtime_t:s0"


def test_a_decision_of_a_bus_that_names_no_process_is_read() -> None:
    """As in an issue of container-selinux (115)."""
    decision = f"scontext={STAFF} tcontext={RUNTIME} tclass=dbus permissive=0"
    line = f"Jan 04 10:00:00 host dbus-broker-launch[1547]: avc:  denied  {{ send_msg }} for  {decision}"
    assert rows(line) == [("staff_t", "container_runtime_t", "dbus", ("send_msg",))]


def test_a_decision_of_systemd_with_a_command_line_is_read() -> None:
    """As in an issue of Bottlerocket (1364)."""
    command = 'auid=n/a uid=0 gid=81 cmdline="/usr/bin/dbus-broker-launch --scope system"'
    decision = f"{command} scontext={STAFF} tcontext={RUNTIME} tclass=system permissive=0"
    line = f"Mar 03 01:22:24 host systemd[1]: selinux: avc:  denied  {{ status }} for {decision}"
    assert rows(line) == [("staff_t", "container_runtime_t", "system", ("status",))]


def test_the_records_of_an_interpreted_event_on_one_line_are_its_own() -> None:
    """As in a change to Fedora's policy (2658)."""
    head = "msg=audit(04/08/2025 11:42:27.425:2640) :"
    log = summary(
        f"type=PROCTITLE {head} proctitle=dbus-broker --max-matc type=SYSCALL {head} arch=x86_64 pid=639 "
        f"comm=dbus-broker key=(null) type=AVC {head} {avc('read')}"
    )
    assert (log.events, log.unparsed, [row.permissions for row in log.denials]) == (1, 0, [("read",)])


def test_a_record_that_has_a_type_and_no_stamp_is_read() -> None:
    """As in a change to the reference policy (967); the other records of the event are no doubt."""
    log = summary(
        "type=PROCTITLE proctitle=/usr/bin/dbus-daemon --system", f"type=AVC {avc('use', tclass='fd')}"
    )
    assert (log.unparsed, [row.permissions for row in log.denials]) == (0, [("use",)])


def test_a_record_that_a_mail_has_wrapped_could_not_be_read() -> None:
    """As in an issue of BOINC (6991): no denial is made of its parts, and none is lost in silence."""
    log = summary(
        *f"Apr 12 15:43:09 host audit[1698]: AVC {avc('execute')}".replace(" scontext", "\nscontext").split(
            "\n"
        )
    )
    assert (log.records, log.unparsed > 0) == (0, True)
