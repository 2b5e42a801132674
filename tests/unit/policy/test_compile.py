"""Compile errors in the user's words, and linking with real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError
from selab.guest import script
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module, link, policy_digest
from selab.policy.module import PolicyModule
from selab.policy.toolchain import Toolchain
from tests.unit.conftest import module, seal
from tests.unit.fakes import FakeGuest

MODULE = PolicyModule(
    "web",
    Path("/p/policies"),
    {"te": b"policy_module(web, 1.0)\nfiles_red_etc(web_t)\nallow web_t x_t:file read;\n"},
)


def compile_error(base: BasePolicy, output: str) -> InputError:
    guest = FakeGuest()
    guest.answer(script("policy/compile"), code=1, err=output)
    guest.answer(script("policy/find-translator"), out="/pp\n")
    guest.answer(script("policy/clear-sources"))
    with pytest.raises(InputError) as caught:
        compile_module(MODULE, base, Toolchain(guest, "/w"))
    return caught.value


def test_an_error_names_the_users_file_line_and_text(base: BasePolicy) -> None:
    error = compile_error(
        base,
        "web.te:3:ERROR 'unknown type x_t' at token ';' on line 3391:\nallow ...\ncheckmodule:  error(s)",
    )
    assert error.detail == "/p/policies/web.te:3: unknown type x_t at ';': allow web_t x_t:file read;"


def test_an_unknown_interface_is_answered_with_the_nearest(base: BasePolicy) -> None:
    (base.headers / "files.if").write_text("interface(`files_read_etc_files',`\n')\n")
    error = compile_error(base, "web.te:2:ERROR 'syntax error' at token 'files_red_etc' on line 3391:")
    assert "no interface 'files_red_etc'" in error.hint and "files_read_etc_files" in error.hint


def test_an_error_of_another_form_is_shown_as_it_is(base: BasePolicy) -> None:
    assert compile_error(base, "make: x\nsomething else broke\n").detail == "something else broke"


@pytest.mark.toolchain
def test_a_candidate_is_linked_with_the_flat_base(base: BasePolicy, tools: Toolchain) -> None:
    policy = link(base, [module("web", "(allow web_t etc_t (file (read)))")], tools)
    assert (policy.binary[:4], policy.slow_because) == (b"\x8c\xff\x7c\xf9", "")


@pytest.mark.toolchain
def test_a_type_that_an_optional_of_the_base_waits_for_takes_the_whole_store(
    base: BasePolicy, tools: Toolchain
) -> None:
    assert "optional blocks of the base policy" in link(base, [module("dangling", "")], tools).slow_because


@pytest.mark.toolchain
def test_a_macro_takes_the_whole_store(base: BasePolicy, tools: Toolchain) -> None:
    (base.directory / "cil" / "base.cil").write_text(
        base.flat.read_text() + "(macro m ((type T)) (allow T etc_t (file (open))))"
    )
    seal(base.directory)
    assert link(base, [module("web", "(call m (web_t))")], tools).slow_because == "it uses CIL's 'call'"


@pytest.mark.toolchain
def test_what_cannot_be_linked_is_wrong_input(base: BasePolicy, tools: Toolchain) -> None:
    with pytest.raises(InputError, match="cannot be linked"):
        link(base, [module("web", "(allow web_t nobody_t (file (read)))")], tools)


def test_the_digest_tells_policies_apart(base: BasePolicy) -> None:
    web, other = module("web", ""), module("web", "(allow web_t etc_t (file (read)))")
    digests = {
        policy_digest(base, [web]),
        policy_digest(base, [other]),
        policy_digest(base, [web], permissive="web_t"),
        policy_digest(base, [web], dontaudit=False),
        policy_digest(base, []),
    }
    assert len(digests) == 5


@pytest.mark.toolchain
def test_the_digest_is_the_linked_policys(base: BasePolicy, tools: Toolchain) -> None:
    web = module("web", "")
    assert link(base, [web], tools, permissive="web_t").digest == policy_digest(
        base, [web], permissive="web_t"
    )


def test_a_macro_that_is_there_is_not_called_unknown(base: BasePolicy) -> None:
    (base.headers / "loadable_module.spt").write_text("define(`files_red_etc',`x')\n")
    assert (
        compile_error(base, "web.te:2:ERROR 'syntax error' at token 'files_red_etc' on line 3391:").hint == ""
    )
