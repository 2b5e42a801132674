"""What a candidate can take from others."""

from __future__ import annotations

import pytest

from selab.policy.compile import CompiledModule
from selab.policy.query.side_effects import beyond_its_own

OWN = """(type web_t)
(typeattribute web_files)
(roletype object_r web_t)
(typeattributeset cil_gen_require sshd_t)
(typeattributeset domain (web_t ))
(typeattributeset web_files (etc_t usr_t))
(typetransition web_t shell_exec_t process sshd_t)
(typebounds sshd_t web_t)
(allowx web_t sshd_t (ioctl tcp_socket (0x8927)))
(optional web_optional_1
    (allow sshd_t web_t (process (sigchld)))
)
"""


@pytest.mark.parametrize(
    "statement",
    [
        "(typetransition sshd_t shell_exec_t process web_t)",
        "(typebounds web_t sshd_t)",
        "(typeattributeset domain (web_t sshd_t))",
        "(typeattributeset domain (not (web_t)))",
        "(deny sshd_t shell_exec_t (file (execute)))",
        "    (rangetransition init_t sshd_exec_t process ((s1) (s1)))",
        "(mlsconstrain (process (fork)) (eq t1 web_t))",
        "(allowx sshd_t self (ioctl tcp_socket (0x8927)))",
        "    (dontauditx sshd_t self (ioctl tcp_socket (0x8927)))",
        "(auditallowx web_files self (ioctl file (0x5401)))",
        "(portcon tcp 22 (system_u object_r web_t ((s0) (s0))))",
    ],
)
def test_what_reaches_further_is_named(statement: str) -> None:
    assert beyond_its_own([CompiledModule("web", OWN + statement + "\n", frozenset())]) == statement.strip()


def test_own_types_concern_no_other_domain() -> None:
    assert beyond_its_own([CompiledModule("web", OWN, frozenset())]) == ""


def test_types_of_another_candidate_are_own_as_well() -> None:
    other = CompiledModule("db", "(type db_t)\n", frozenset())
    assert (
        beyond_its_own(
            [CompiledModule("web", "(typetransition db_t web_t process web_t)\n", frozenset()), other]
        )
        == ""
    )


@pytest.mark.parametrize(
    ("statement", "harmless"),
    [
        ("(typetransition init_t web_t process sshd_t)", True),
        ("(rangetransition init_t web_t process ((s0) (s0)))", True),
        ("(typetransition init_t web_files process web_t)", False),
        ('(typetransition init_t web_t file "web" etc_t)', False),
        ("(typetransition init_t web_t)", False),
    ],
)
def test_a_transition_at_a_program_of_its_own_type_concerns_no_other_program(
    statement: str, harmless: bool
) -> None:
    assert (beyond_its_own([CompiledModule("web", f"{OWN}{statement}\n", frozenset())]) == "") is harmless
