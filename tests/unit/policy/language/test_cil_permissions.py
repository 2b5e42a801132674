"""Rules with the names of their permissions."""

from __future__ import annotations

import pytest

from selab.policy.language.cil_permissions import Permissions

DECLARED = """
(common files (read write))
(class file (open))
(class dir (search))
(classcommon file files)
(classpermission rw)
(classpermissionset rw (file (read write)))
(classpermissionset rw (dir (search)))
(classpermission rest)
(classpermissionset rest (file (not (read))))
(classmap content (look change))
(classmapping content look (file (read)))
(classmapping content look (dir (search)))
(classmapping content change rw)
(classpermission endless)
(classpermissionset endless endless)
"""


@pytest.mark.parametrize(
    ("rule", "explicit"),
    [
        ("(allow a b (file (read)))", "(allow a b (file (read)))"),
        ("(allow a b (file (all)))", "(allow a b (file (open read write)))"),
        ("(deny a b (file (not (read))))", "(deny a b (file (open write)))"),
        ("(allow a b (file (and (read open) (not (read)))))", "(allow a b (file (open)))"),
        ("(allow a b rw)", "(allow a b (file (read write))) (allow a b (dir (search)))"),
        ("(allow a b rest)", "(allow a b (file (open write)))"),
        ("(allow a b (content (look)))", "(allow a b (file (read))) (allow a b (dir (search)))"),
        ("(deny a b (content (change)))", "(deny a b (file (read write))) (deny a b (dir (search)))"),
        ("(booleanif (x) (true (allow a b rest)))", "(booleanif (x) (true (allow a b (file (open write)))))"),
        ("(allow a b (file (not (all))))", ""),
        ('(filecon "/a" any ())', '(filecon "/a" any ())'),
    ],
)  # fmt: skip
def test_names_and_expressions_become_permissions(rule: str, explicit: str) -> None:
    assert Permissions([DECLARED]).explicit(rule) == explicit


@pytest.mark.parametrize(
    "rule",
    [
        "(allow a b absent)",
        "(allow a b (absent (all)))",
        "(allow a b (file (absent)))",
        "(allow a b endless)",
    ],
)
def test_what_is_unknown_stays_as_it_is(rule: str) -> None:
    assert Permissions([DECLARED]).explicit(rule) == rule


def test_a_name_that_two_blocks_declare_stays_as_it_is() -> None:
    text = f"{DECLARED}(classpermission rw)\n"
    assert Permissions([text]).explicit("(allow a b rw)") == "(allow a b rw)"
