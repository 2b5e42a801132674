"""Messages of the policy tools as they were recorded, and what selab says about each. No tool runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.errors import InputError, SelabError
from selab.guest import IN_THE_LOG
from selab.policy.base import BasePolicy
from selab.policy.tool_messages import LinkedSource, compile_error, link_error

from .test_tool_messages import CONTEXT, HEAD, extend, failed, web

COMPILER = "/w/web.te:%d:ERROR '%s' at token ';' on line 99:\nallow web_t x_t:file read;\n"
DECLARED = (
    "The base policy declares the type 'known_t'. "
    "Add gen_require(`type known_t;'), or call an interface for it."
)
PLAIN = "module web 1.3;\ntype web_t;\n"


@pytest.mark.parametrize(
    ("te", "line", "message", "hint"),
    [
        (
            HEAD + "allow web_t known_t:file read;\n",
            4,
            "unknown type known_t",
            DECLARED,
        ),
        (
            HEAD + "x_call(web_t)\n",
            4,
            "unknown type known_t",
            "'x_call' uses the type 'known_t' without requiring it. "
            "Add gen_require(`type known_t;') before the call.",
        ),
        (
            HEAD + "x_call(known_t)\n",
            4,
            "unknown type known_t",
            DECLARED,
        ),
        (
            HEAD + "x_call(web_t)\n",
            4,
            "attribute domain is not declared",
            "'x_call' uses the attribute 'domain' without requiring it. "
            "Add gen_require(`attribute domain;') before the call.",
        ),
        (
            HEAD + "x_call(web_t)\n",
            4,
            "unknown type know_t",
            "'x_call' uses the type 'know_t', which neither the module nor the base policy declares. "
            "Did you mean the arguments that give known_t?",
        ),
        (
            HEAD + "x_call(web_t)\n",
            4,
            "unknown type zzz",
            "'x_call' uses the type 'zzz', which neither the module nor the base policy declares.",
        ),
        (HEAD + "allow web_t zzz:file read;\n", 4, "unknown type zzz", ""),
        (HEAD + "allow web_t self:zzz read;\n", 4, "unknown class zzz", ""),
        (
            PLAIN + "x_call(web_t)\n",
            3,
            "unknown class file",
            "Begin the file with `policy_module(web, 1.3)` in place of `module web 1.3;`: "
            "it requires the classes that interfaces use.",
        ),
        (
            HEAD + "x_call(web_t)\n",
            4,
            "This block has no require section",
            "'x_call' requires nothing itself. Add gen_require(`type TYPE;') with the types that it uses "
            "before the call, in the same block.",
        ),
    ],
)
def test_a_name_that_the_compiler_does_not_know_has_a_remedy(
    base: BasePolicy, te: str, line: int, message: str, hint: str
) -> None:
    extend(base, "(type known_t)")
    error = compile_error(web(te), failed(COMPILER % (line, message)), base)
    assert isinstance(error, InputError)
    assert (error.what, error.detail, error.hint) == (
        "The policy 'web' does not compile.",
        f"/p/web.te:{line}: {message} at ';': {te.splitlines()[line - 1]}",
        hint,
    )


def test_an_error_in_another_file_has_its_place_without_a_line_of_this_one(base: BasePolicy) -> None:
    output = "/w/other.if:2: ERROR: syntax error\n"
    error = compile_error(web(HEAD), failed(output), base)
    assert error.detail == "/p/other.if:2: syntax error"


ORPHAN = "libsepol.hierarchy_add_type_callback: web doesn't exist, web.process is an orphan\n"


@pytest.mark.parametrize(
    ("te", "detail"),
    [
        (
            HEAD + "\nallow web_t web.process:process signal;\n",
            "/p/web.te:5: The type 'web.process' is an orphan: its name says that it belongs to "
            "the type 'web', which the module neither declares nor requires.",
        ),
        (HEAD, ORPHAN.strip()),
    ],
    ids=["in the module", "elsewhere"],
)
def test_an_orphan_is_reported_at_its_first_use(base: BasePolicy, te: str, detail: str) -> None:
    assert compile_error(web(te), failed(ORPHAN), base).detail == detail


@pytest.mark.parametrize(
    ("code", "is_guest", "kind", "detail"),
    [
        (1, False, InputError, "it broke"),
        (1, True, SelabError, "The compiler exited with status 1: it broke"),
        (2, False, SelabError, "The compiler exited with status 2: it broke"),
    ],
)
def test_a_compiler_that_failed_is_no_fault_of_the_policy(
    base: BasePolicy, code: int, is_guest: bool, kind: type[SelabError], detail: str
) -> None:
    done = replace(failed("first\nit broke\nmake: *** Error 1\n"), returncode=code)
    error = compile_error(web(HEAD), done, base, is_guest=is_guest)
    assert (type(error), error.detail) == (kind, detail)
    assert error.hint == (IN_THE_LOG if kind is InputError else f"Run `selab doctor`. {IN_THE_LOG}")


def test_a_compiler_that_prints_nothing_is_named(base: BasePolicy) -> None:
    assert compile_error(web(HEAD), failed("make: *** Error 1\n"), base).detail == "`tool` printed no reason."


REQUIRE = HEAD + "gen_require(`\n\ttype etc_t;\n\ttype lost_t;\n')\nallow web_t lost_t:file read;\n"
CIL = """\
(type web_t)
(typeattributeset cil_gen_require lost_t)
(roleattributeset cil_gen_require lost_r)
(allow web_t lost_t (file (read)))
(filecon "/b" any (u object_r web_t ((s0) (s0))))
"""


@pytest.mark.parametrize(
    ("output", "detail"),
    [
        (
            "Failed to resolve typeattributeset statement at /s/candidate.cil:2\n",
            "/p/web.te:6: The base policy has no type or attribute 'lost_t', which the module requires.",
        ),
        (
            "Failed to resolve roleattributeset statement at /s/candidate.cil:3\n",
            "/p/web.te: The base policy has no role 'lost_r', which the module requires.",
        ),
        (
            "Failed to resolve allow statement at /s/candidate.cil:4\nFailed to resolve AST\n",
            "/p/web.te:8: Failed to resolve allow.",
        ),
        (
            "neverallow check failed at /s/base.cil:7\n  (neverallow a_t b_t (file (read)))\n    <root>\n"
            "    allow at /s/candidate.cil:4\n      (allow web_t lost_t (file (read)))\n",
            "/p/web.te:8: The base policy forbids this with (neverallow a_t b_t (file (read))).",
        ),
        ("Problems at /s/candidate.cil:5\n", "/p/web.fc:2: Problems."),
        ("Problems at /s/candidate.cil:6\n", "Problems."),
        ("Problems at /s/base.cil:2\n", "Problems."),
    ],
)
def test_what_secilc_refuses_is_reported_at_the_users_line(
    base: BasePolicy, output: str, detail: str
) -> None:
    source = web(REQUIRE, fc=f"/a {CONTEXT}\n/b {CONTEXT}\n")
    error = link_error(base, [LinkedSource("web", CIL, source)], failed(output), expand=False)
    assert isinstance(error, InputError)
    assert (error.what, error.detail, error.hint) == (
        "The policy 'web' cannot be linked with the guest's base policy.",
        detail,
        IN_THE_LOG,
    )


@pytest.mark.parametrize(
    ("output", "reason"), [("\n first \nlast\n", "first"), ("", "secilc printed no reason.")]
)
def test_a_linker_that_failed_is_no_fault_of_the_policies(base: BasePolicy, output: str, reason: str) -> None:
    modules = [LinkedSource(name, "(x)\n", None) for name in ("web", "db")]
    error = link_error(base, modules, replace(failed(output), returncode=137), expand=False)
    assert type(error) is SelabError
    assert (error.what, error.detail, error.hint) == (
        "Linking the policy 'web' and 'db' with the guest's base policy failed.",
        f"secilc exited with status 137: {reason}",
        f"Run `selab doctor`. {IN_THE_LOG}",
    )
