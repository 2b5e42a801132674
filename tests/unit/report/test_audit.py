"""What a policy adds, on a terminal and as JSON."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from selab.analysis.audit import PolicyAudit
from selab.policy.query.reach import Access, Addition, Reach
from selab.policy.query.risk import LOW, Level, Risk
from selab.report.audit import document, show_audit

DANGEROUS = Addition(
    Access("web_t", "shadow_t", "file", ("read",), "web_reads"), Risk(Level.HIGH, "it reads passwords")
)
HARMLESS = Addition(Access("web_t", "self", "process", ("signal",)), LOW)
GONE = Access("web_t", "etc_t", "file", ("open", "read"))
REACH = Reach(
    "web_t",
    ("domain", "svirt"),
    {"writes to": ("a_t", "b_t")},
    {"writes to": 3, "becomes": 0},
    {"writes to": 0, "becomes": 2},
)
AUDIT = PolicyAudit("web", ("web_t", "web_file_t"), (DANGEROUS, HARMLESS), (REACH,), (GONE,))


def shown(audit: PolicyAudit = AUDIT, *against: str) -> list[str]:
    stream = io.StringIO()
    out = Console(file=stream, width=40, emoji=False, highlight=False)
    show_audit(audit, out, *against)
    return stream.getvalue().splitlines()


def test_an_addition_has_its_risk_its_condition_and_the_reason() -> None:
    assert shown()[:4] == [
        "web declares web_t, web_file_t",
        "  high    web_t shadow_t:file read if web_reads",
        "           it reads passwords",
        "  low     web_t self:process signal",
    ]


def test_compared_with_another_version_additions_and_removals_have_signs() -> None:
    lines = shown(AUDIT, "HEAD")
    assert lines[1] == "  high   + web_t shadow_t:file read if web_reads"
    assert "  gone   - web_t etc_t:file { open read }" in lines


def test_a_reach_says_what_is_its_own_and_what_its_attributes_give() -> None:
    assert shown()[-3:] == [
        "web_t by its own rules, and by the attributes domain, svirt:",
        "  writes to: a_t, b_t (and 3 types by its attributes)",
        "  becomes: nothing of its own (and 0 types by its attributes, 2 more under booleans that are off)",
    ]


def test_a_policy_without_a_type_says_so() -> None:
    assert shown(PolicyAudit("web", (), (), ())) == ["web declares no type"]


def test_as_json_nothing_is_left_out() -> None:
    data = document(AUDIT)
    assert data.keys() == {"schema", "policy", "types", "additions", "removed", "limited", "reach"}
    assert (data["schema"], data["policy"], data["types"]) == (1, "web", ["web_t", "web_file_t"])
    assert data["additions"] == [
        {
            "source": "web_t",
            "target": "shadow_t",
            "class": "file",
            "permissions": ["read"],
            "condition": "web_reads",
            "risk": "high",
            "reason": "it reads passwords",
            "by_template": False,
        },
        {
            "source": "web_t",
            "target": "self",
            "class": "process",
            "permissions": ["signal"],
            "condition": "",
            "risk": "low",
            "reason": "",
            "by_template": False,
        },
    ]
    assert data["removed"] == [
        {
            "source": "web_t",
            "target": "etc_t",
            "class": "file",
            "permissions": ["open", "read"],
            "condition": "",
        }
    ]
    assert data["reach"] == {
        "web_t": {
            "own": {"writes to": ("a_t", "b_t")},
            "inherited": {"writes to": 3, "becomes": 0},
            "switched_off": {"writes to": 0, "becomes": 2},
        }
    }


def test_what_a_template_grants_comes_after_what_the_author_added() -> None:
    by_template = replace(DANGEROUS, by_template=True)
    audit = replace(AUDIT, additions=(by_template, HARMLESS), removed=(), reaches=())
    assert [line.split()[0] for line in shown(audit)[1:]] == ["low", "By", "high", "it"]
    rows = document(audit)["additions"]
    assert isinstance(rows, list)
    assert [row["by_template"] for row in rows] == [True, False]


def test_the_json_has_the_commands_of_an_ioctl_only_if_rules_list_them() -> None:
    limited = Addition(Access("web_t", "self", "file", ("ioctl",), "", "{ 0x1 0x2 }"), LOW)
    rows = document(replace(AUDIT, additions=(limited, HARMLESS)))["additions"]
    assert isinstance(rows, list)
    assert [row.get("commands") for row in rows] == ["{ 0x1 0x2 }", None]


def test_the_json_says_which_accesses_booleans_switch_off() -> None:
    off = replace(DANGEROUS, access=replace(DANGEROUS.access, off=True))
    rows = document(replace(AUDIT, additions=(off, HARMLESS)))["additions"]
    assert isinstance(rows, list)
    assert [row.get("off") for row in rows] == [True, None]


LIMITED = replace(
    AUDIT,
    limited=(
        Access("web_t", "etc_t", "file", ("ioctl",)),
        Access("web_t", "tmp_t", "file", ("ioctl",), "", "0x2"),
    ),
)


def test_an_ioctl_that_the_policy_limits_is_shown_with_the_commands_that_remain() -> None:
    assert [line for line in shown(LIMITED) if line.startswith("  limits")] == [
        "  limits   web_t etc_t:file ioctl  no command remains",
        "  limits   web_t tmp_t:file ioctl 0x2  the base policy allows others as well",
    ]


def test_the_json_has_the_commands_that_remain_also_if_there_are_none() -> None:
    rows = document(LIMITED)["limited"]
    assert isinstance(rows, list)
    assert [(row["target"], row["commands"]) for row in rows] == [("etc_t", ""), ("tmp_t", "0x2")]
