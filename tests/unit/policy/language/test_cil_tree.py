"""The tree that secil2tree prints, as plain CIL."""

from __future__ import annotations

import pytest

from selab.policy.language.cil_tree import plain_statements, section

TREE = """\
;;* lms 1 /work/base.cil
(type etc_t)
;;* lme
;;* lms 1 /work/web.cil
(block box
    (blockabstract box)
    (type box.process)
    (allow process etc_t (file (read)))
)
(macro reads ((type d))
    (allow d etc_t (file (read)))
)
(block web
    (blockinherit box)
        (type web.process)
        (allow web.process etc_t (file (read)))
    )
    (optional missing)
    (optional there
        (allow web.process etc_t (dir (search)))
    )
    (call reads (web.process)
        (allow web.process etc_t (file (open)))
    )
    (block inner
        (type web.inner.data)
    )
    (booleanif (shiny)
        (true
            (call reads (web.process)
                (allow web.process etc_t (file (write)))
            )
        )
        (false
            (allow web.process etc_t (file (lock)))
        )
    )
)
(in web
    (allow web.process etc_t (file (map)))
)
(filecon "/x(" any (system_u object_r web.inner.data ((s0) (s0))))
;;* lme
"""


def test_the_lines_of_a_file_are_those_between_its_marks() -> None:
    assert section(TREE.splitlines(), "/work/base.cil") == ["(type etc_t)"]


def test_the_lines_of_a_file_include_those_with_marks_of_its_own() -> None:
    text = ";;* lms 1 a.cil\n(a)\n;;* lmx 7 b.te\n(b)\n;;* lme\n(c)\n;;* lme\n(d)\n"
    assert section(text.splitlines(), "a.cil") == ["(a)", "(b)", "(c)"]


def test_blocks_calls_and_optionals_are_replaced_by_their_content() -> None:
    assert [*plain_statements(section(TREE.splitlines(), "/work/web.cil"))] == [
        "(type web.process)",
        "(allow web.process etc_t (file (read)))",
        "(allow web.process etc_t (dir (search)))",
        "(allow web.process etc_t (file (open)))",
        "(type web.inner.data)",
        "(booleanif (shiny) (true (allow web.process etc_t (file (write)))) "
        "(false (allow web.process etc_t (file (lock)))))",
        "(allow web.process etc_t (file (map)))",
        '(filecon "/x(" any (system_u object_r web.inner.data ((s0) (s0))))',
    ]


@pytest.mark.parametrize("text", ["", ")\n)", "; a comment\n\n"])
def test_lines_without_a_statement_yield_none(text: str) -> None:
    assert [*plain_statements(text.splitlines())] == []
