"""The line of a policy that brings in a domain."""

from __future__ import annotations

import pytest

from selab.report.place import line_of


@pytest.mark.parametrize(
    ("te", "line"),
    [
        ("policy_module(web, 1.0)\n\ntype web_t;\n", 3),
        ("policy_module(web, 1.0)\ncontainer_domain_template(web)\n", 2),
        ("# web_t\n\ntype web_t;\n", 3),
        ("policy_module(web, 1.0)\nallow web_t self:fd use;\n", 2),
        ("policy_module(web, 1.0)\ntype web_tmp_t;\ntype webby_t;\n", 1),
        ("", 1),
    ],
    ids=["declaration", "template", "comment", "use", "another type", "empty"],
)
def test_a_domain_is_found_by_its_declaration_first(te: str, line: int) -> None:
    assert line_of("web_t", te) == line
