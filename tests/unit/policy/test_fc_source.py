"""The entries of a .fc after m4, and their lines in the user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.fc_source import (
    WrittenEntries,
    conflicts,
    entries,
    expanded_lines,
    looked_up,
    other_names,
    rewritten,
)
from selab.policy.filecon import FileSpec
from selab.policy.module import PolicyModule
from tests.unit.headers import write_headers


def with_contexts(text: str) -> PolicyModule:
    return PolicyModule("web", Path("/p"), {"te": b"", "fc": text.encode()})


def test_the_lines_of_other_files_are_left_out() -> None:
    support = '#line 1 "/x/support.spt"\nfrom support\n'
    output = support + '#line 3 "/x/web.fc"\n/a <<none>>\n# no\n\n#line 9\n/b <<none>>\n'
    assert [(entry.line, entry.text) for entry in expanded_lines(output, "web.fc")] == [
        (3, "/a <<none>>"),
        (9, "/b <<none>>"),
    ]


@pytest.mark.toolchain
def test_a_repeated_path_has_the_line_of_each_place(base: BasePolicy) -> None:
    write_headers(base.headers)
    module = with_contexts("\n/a <<none>>\nifdef(`enable_mcs',`\n/a <<none>>\n/a -- <<none>>\n')\n")
    assert [entry.line for entry in entries(module, base)] == [2, 4, 5]


@pytest.mark.toolchain
def test_a_quote_without_an_end_is_reported_with_its_line(base: BasePolicy) -> None:
    write_headers(base.headers)
    with pytest.raises(InputError) as caught:
        entries(with_contexts("/a <<none>>\n/it`s <<none>>\n"), base)
    assert caught.value.detail.startswith("/p/web.fc:2: ERROR: end of file in string")


def test_a_module_without_file_contexts_needs_no_m4(base: BasePolicy) -> None:
    assert entries(with_contexts(""), base) == []


def test_an_alias_of_the_same_type_is_no_conflict(base: BasePolicy) -> None:
    base.flat.write_text("(typealias old_t)\n(typealiasactual old_t etc_t)\n")
    other = ("/p/common.fc:1", FileSpec("/a", "", "u:object_r:etc_t:s0"))
    assert conflicts([(1, FileSpec("/a", "", "u:object_r:old_t:s0"))], [other], base) == []


@pytest.mark.parametrize(
    ("level", "other", "number"),
    [
        ("s0:c1", "s0", 1),
        ("s0-s0:c1", "s0", 1),
        ("s1", "s0", 1),
        ("s0:c1,c2", "s0:c1.c2", 0),
        ("s0 - s0", "s0", 0),
    ],
)
def test_levels_conflict_as_libsepol_compares_them(
    base: BasePolicy, level: str, other: str, number: int
) -> None:
    """It compares both ends of the range, and of their categories only whether there are any."""
    own, others = (FileSpec("/a", "", f"u:object_r:etc_t:{each}") for each in (level, other))
    assert len(conflicts([(1, own)], [("/p/common.fc:1", others)], base)) == number


def test_the_line_with_the_type_and_the_kind_is_the_written_one() -> None:
    module = with_contexts(
        "/a gen_context(u:object_r:a_t,s0)\n/a -- gen_context(u:object_r:b_t,s0)\n/b <<none>>\n"
    )
    lines = [
        WrittenEntries(module).line(FileSpec("/a", kind, f"u:object_r:{name}:s0"))
        for kind, name in (("", "a_t"), ("--", "b_t"))
    ]
    assert lines == [1, 2]


def test_a_line_that_a_macro_wrote_is_unknown() -> None:
    assert WrittenEntries(with_contexts("fcm(alpha)\n")).line(FileSpec("/srv/alpha", "", "<<none>>")) == 0


def test_a_path_whose_equivalence_leads_to_itself_can_match() -> None:
    assert rewritten("/usr/lib/x", [("/usr/lib", "/usr/lib")]) == ""


EQUIVALENT = (
    ("/run", "/var/run"),
    ("/run/lock", "/var/lock"),
    ("/bin", "/usr/bin"),
    ("/usr/lib64", "/usr/lib"),
)


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/run", "/var/run"),
        ("/run/web", "/var/run/web"),
        ("/run/lock/web", "/var/lock/web"),
        ("/usr/lib64/web", "/usr/lib/web"),
        ("/bin/web", "/usr/bin/web"),
        ("/runs/web", "/runs/web"),
        ("/srv/bin/web", "/srv/bin/web"),
    ],
)
def test_a_path_below_an_equivalence_is_looked_up_as_another(path: str, other: str) -> None:
    assert looked_up(path, EQUIVALENT) == other


def test_the_names_of_a_path_are_those_that_are_looked_up_as_it() -> None:
    assert other_names("/var/run/web", EQUIVALENT) == ["/run/web"]
    assert other_names("/var/run/lock", EQUIVALENT) == []
