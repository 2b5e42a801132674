"""The line of a .te that a CIL statement comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.module import PolicyModule
from selab.policy.source_lines import cil_line, declaring_line, statement_line
from tests.unit.headers import write_headers

TE = """\
policy_module(web, 1.0)
type web_t;
allow web_t etc_t:file read;
optional_policy(`
	gen_require(`
		type base_t;
	')
	allow web_t base_t:file write;
')
files_read_etc_files(web_t)
allow web_t self:process signal;
"""
MODULE = PolicyModule("web", Path("/p"), {"te": TE.encode()})


@pytest.mark.parametrize("expand", [pytest.param(True, marks=pytest.mark.toolchain), False])
@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("(typeattributeset cil_gen_require web_t)", 2),
        ("(allow web_t self (process (signal optional)))", 11),
        ("(allow web_t etc_t (file (read)))", 3),
        ("(typeattributeset cil_gen_require base_t)", 6),
        ("(allow web_t base_t (file (write)))", 8),
        ("(allow web_t self (process (signal)))", 11),
        ("(allow nobody_t (x (y)))", 0),
    ],
)
def test_a_statement_is_found(base: BasePolicy, statement: str, line: int, expand: bool) -> None:
    write_headers(base.headers)
    assert statement_line(MODULE, statement, base, expand=expand) == line


@pytest.mark.toolchain
def test_a_statement_of_an_interface_is_found_at_the_call(base: BasePolicy) -> None:
    write_headers(base.headers)
    assert statement_line(MODULE, "(allow web_t etc_t (file (getattr open read)))", base, expand=True) == 10


CIL = PolicyModule(
    "web",
    Path(),
    {
        "cil": b"""(block web
    (type process)
    (allow process etc_t (file (read)))
    (allow process etc_t (dir (search)))
    (filecon "/srv" any (system_u object_r data ((s0) (s0)))))
(block other
    (type process))
"""
    },
)


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("(allow web.process etc_t (dir (search)))", 4),
        ("(allow web.process etc_t (file (read)))", 3),
        ('(filecon "/srv" any', 5),
        ("(dontaudit web.process etc_t (file (read)))", 0),
        ("(allow other.thing x_t (sock_file (write)))", 0),
    ],
)
def test_a_statement_of_cil_comes_from_the_line_that_is_most_like_it(statement: str, line: int) -> None:
    assert cil_line(CIL, statement) == line


@pytest.mark.parametrize(
    ("name", "line"), [("web.process", 2), ("other.process", 7), ("web.gone", 1), ("x_t", 0)]
)
def test_a_type_of_cil_is_declared_in_its_block(name: str, line: int) -> None:
    assert declaring_line(CIL, name) == line
