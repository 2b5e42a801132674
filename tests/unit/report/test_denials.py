"""The summary of an audit log on a terminal: what was blocked, and what could not be read."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from selab.auditlog.denials import SelinuxError
from selab.auditlog.reading import NOT_A_RECORD
from selab.auditlog.summary import Summary, summarise
from selab.report.denials import show_summary, summary_lines
from tests.unit.auditlog.records import avc

ERROR = (
    b"type=SELINUX_ERR msg=audit(1700000000.123:9): op=security_compute_sid "
    b"invalid_context=u:r:x_t:s0 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=process\n"
)


def shown(*lines: bytes, width: int = 200) -> str:
    stream = io.StringIO()
    out = Console(file=stream, width=width, emoji=False, highlight=False)
    show_summary(summarise(lines), out)
    return stream.getvalue()


def summary(**fields: Any) -> Summary:
    plain: dict[str, Any] = {
        "records": 0,
        "events": 0,
        "denials": (),
        "selinux_err": (),
        "ignored": {},
        "unparsed": 0,
        "unparsed_examples": (),
    }
    return Summary(**(plain | fields))


@pytest.mark.parametrize(
    ("modes", "outcome"),
    [((0,), "blocked"), ((1,), "permissive"), ((None,), "not said"), ((0, 1), "blocked, mixed")],
)
def test_a_denial_says_whether_the_access_was_blocked(modes: tuple[int | None, ...], outcome: str) -> None:
    row = shown(*(avc(serial, permissive=mode) for serial, mode in enumerate(modes, 1))).splitlines()[1]
    cells = [cell for cell in row.split("  ") if cell.strip()]
    assert [cell.strip() for cell in cells] == [
        "container_t etc_t:file { read }",
        str(len(modes)),
        outcome,
        "httpd /etc/passwd",
    ]


def test_a_log_without_any_record_is_not_called_a_log_without_denials() -> None:
    assert "There is no audit record in this log." in shown(b"noise\n")


@pytest.mark.parametrize("fields", [{"unparsed": 1}, {"ignored": {"CRED_ACQ": 1}}])
def test_a_log_with_other_records_is_an_audit_log(fields: dict[str, Any]) -> None:
    stream = io.StringIO()
    out = Console(file=stream, width=200)
    show_summary(summary(**fields), out)
    assert "no audit record" not in stream.getvalue()


def test_records_and_events_are_counted() -> None:
    assert next(summary_lines(summary(records=1, events=1))) == "1 denial record in 1 event, 0 unique"
    assert next(summary_lines(summary(records=2, events=3))) == "2 denial records in 3 events, 0 unique"


def test_a_record_that_may_be_a_denial_is_reported_with_its_text() -> None:
    *_, line, example = summary_lines(summary(unparsed=1, unparsed_examples=("avc: [x]",)))
    assert "1 record could not be read, and may be a denial" in line
    assert example == "  avc: \\[x]"


def test_what_was_ignored_is_counted_by_kind() -> None:
    line = list(summary_lines(summary(ignored={"apparmor": 2, NOT_A_RECORD: 1})))[-1]
    assert line == "ignored: apparmor 2, not an audit record 1"


def test_an_error_has_its_contexts_its_class_and_the_invalid_one() -> None:
    contexts = "u:r:a_t:s0 -> u:r:b_t:s0, class process, invalid context u:r:x_t:s0"
    assert f"SELINUX_ERR security_compute_sid x2: {contexts}" in shown(ERROR, ERROR).splitlines()


def test_an_error_without_contexts_is_shown_with_its_text() -> None:
    line = b"type=SELINUX_ERR msg=audit(1700000000.123:9): op=fscreate invalid_context=u:r:x_t:s0\n"
    assert "SELINUX_ERR fscreate x1: invalid context u:r:x_t:s0" in shown(line).splitlines()
    error = SelinuxError("odd", "the whole text", "", "", "", "It is odd.")
    lines = list(summary_lines(summary(selinux_err=((error, 1),))))
    assert lines[-2:] == ["[bold]SELINUX_ERR[/] odd x1: the whole text", "  It is odd."]


def test_an_incomplete_log_is_named_with_its_reasons() -> None:
    text = shown(avc(1), b"kauditd_printk_skb: 127 callbacks suppressed\n", b"audit: audit_lost=12 x\n")
    assert "The log is incomplete" in text and "suppressed 127" in text and "lost 12" in text


@pytest.mark.parametrize(("omitted", "words"), [(1, "1 further record"), (7, "7 further records"), (0, "")])
def test_denials_without_a_row_are_counted(omitted: int, words: str) -> None:
    lines = [line for line in summary_lines(summary(omitted=omitted)) if "too many unique denials" in line]
    assert [words in line for line in lines] == ([True] if words else [])


def test_a_log_without_a_record_but_with_a_loss_is_not_said_to_be_empty() -> None:
    assert "no audit record" not in shown(b"audit: audit_lost=12 x\n")


def test_a_label_that_the_policy_does_not_know_is_shown() -> None:
    assert "unknown to the policy: u:r:gone_t" in shown(avc(1).rstrip() + b' trawcon="u:r:gone_t"\n')


def test_no_character_of_a_rule_or_an_example_is_left_out_on_a_narrow_terminal() -> None:
    record = avc(1, target=f"u:r:{'Z' * 40}_t:s0", path=b"/etc/" + b"Y" * 60)
    text = shown(record, width=60)
    assert (text.count("Z"), text.count("Y")) == (40, 60)
