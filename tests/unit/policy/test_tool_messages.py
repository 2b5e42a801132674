"""Faults that the policy tools find, reported in the user's own file and line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.guest import IN_THE_LOG, Completed, script
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, compile_module, link
from selab.policy.module import PolicyModule
from selab.policy.tool_messages import LinkedSource, compile_error, link_error
from selab.policy.toolchain import PP, Toolchain
from tests.unit.conftest import seal
from tests.unit.fakes import FakeGuest
from tests.unit.headers import write_headers

HEAD = "policy_module(web, 1.0)\ntype web_t;\nrole r types web_t;\n"
CONTEXT = "gen_context(u:object_r:web_t,s0)"


def web(te: str, **others: str) -> PolicyModule:
    texts = {"te": te, **others}
    return PolicyModule("web", Path("/p"), {ending: text.encode() for ending, text in texts.items()})


def compile_failure(module: PolicyModule, base: BasePolicy, tools: Toolchain) -> InputError:
    write_headers(base.headers)
    with pytest.raises(InputError) as caught:
        compile_module(module, base, tools)
    return caught.value


def extend(base: BasePolicy, statement: str) -> None:
    """Add a statement to the base policy."""
    for file in (base.flat, base.directory / "cil" / "base.cil"):
        file.write_text(f"{file.read_text()}\n{statement}\n")
    seal(base.directory)


def link_failure(
    base: BasePolicy, tools: Toolchain, te: str, cil: str = "", *, others: Mapping[str, str] = {}
) -> InputError:
    """Return the error of linking a module that is compiled from `te`, with the statements `cil` as well."""
    write_headers(base.headers)
    extend(base, "(role object_r) (roleattribute cil_gen_require)")
    compiled = compile_module(web(te, **others), base, tools)
    with pytest.raises(InputError) as caught:
        link(base, [replace(compiled, cil=compiled.cil + cil)], tools)
    return caught.value


def failed(stderr: str, stdout: str = "") -> Completed:
    return Completed(("tool",), 1, stdout.encode(), stderr.encode())


@pytest.mark.toolchain
def test_a_dotted_type_is_named_with_the_type_that_it_lacks(base: BasePolicy, tools: Toolchain) -> None:
    te = (
        "module web 1.0;\n\nrequire {\n\ttype my_container.process;\n\ttype etc_t;\n\tclass file read;\n}\n"
        "allow my_container.process etc_t:file read;\n"
    )
    error = compile_failure(web(te), base, tools)
    assert error.detail.startswith("/p/web.te:4: The type 'my_container.process' is an orphan")
    assert "the type 'my_container'" in error.detail and "'my_container'" in error.hint


@pytest.mark.toolchain
def test_a_plain_module_that_calls_an_interface_is_told_to_use_policy_module(
    base: BasePolicy, tools: Toolchain
) -> None:
    te = "module web 1.3;\nrequire {\n\ttype base_t;\n}\nfiles_read_etc_files(base_t)\n"
    error = compile_failure(web(te), base, tools)
    assert error.detail.startswith("/p/web.te:5: unknown class file")
    assert "`policy_module(web, 1.3)` in place of `module web 1.3;`" in error.hint


TEMPLATES = """\
## <summary>A domain for an application.</summary>
## <param name="prefix"><summary>Of the domain.</summary></param>
## <param name="files"><summary>Of its files.</summary></param>
template(`type_template',`
	type $1_t;
	allow $1_t $2_t:file read;
')
template(`attribute_template',`
	type $1_t;
	typeattribute $1_t $2_files;
')
template(`boolean_template',`
	type $1_t;
	if ($2_on) { allow $1_t self:file read; }
')
"""


def call_failure(base: BasePolicy, tools: Toolchain, call: str, own: str = "") -> InputError:
    """Return the error of compiling a module whose second line is a call of one of TEMPLATES."""
    write_headers(base.headers)
    extend(base, "(type etc_t)\n(typeattribute etc_files)\n(boolean etc_on false)")
    (base.headers / "include" / "services" / "templates.if").write_text(TEMPLATES)
    return compile_failure(web(f"policy_module(web, 1.0)\n{call}\n", **{"if": own}), base, tools)


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("template", "kind", "requirement"),
    [
        ("type", "type", "type etc_t;"),
        ("attribute", "attribute", "attribute etc_files;"),
        ("boolean", "boolean", "bool etc_on;"),
    ],
)
def test_a_template_that_does_not_require_a_name_of_its_arguments_needs_gen_require(
    base: BasePolicy, tools: Toolchain, template: str, kind: str, requirement: str
) -> None:
    error = call_failure(base, tools, f"{template}_template(web, etc)")
    assert error.detail.startswith("/p/web.te:2: ")
    assert error.hint.startswith(f"'{template}_template' uses the {kind} 'etc_")
    assert f"gen_require(`{requirement}')" in error.hint


@pytest.mark.toolchain
def test_a_template_that_gets_a_wrong_argument_names_what_it_uses_and_a_similar_name(
    base: BasePolicy, tools: Toolchain
) -> None:
    hint = call_failure(base, tools, "attribute_template(web, etx)").hint
    assert "'attribute_template' uses the attribute 'etx_files'" in hint and "etc_files" in hint


@pytest.mark.toolchain
def test_the_template_that_the_modules_own_template_calls_needs_gen_require(
    base: BasePolicy, tools: Toolchain
) -> None:
    own = "template(`web_template',`\n\ttype_template($1, $2)\n')\n"
    error = call_failure(base, tools, "web_template(web, etc)", own)
    assert "gen_require(`type etc_t;')" in error.hint


@pytest.mark.toolchain
def test_a_template_in_an_optional_block_needs_gen_require_in_the_block(
    base: BasePolicy, tools: Toolchain
) -> None:
    error = call_failure(base, tools, "optional_policy(`\n\ttype_template(web, etc)\n')")
    assert "'type_template' requires nothing itself" in error.hint and "same block" in error.hint


@pytest.mark.toolchain
def test_a_call_with_a_line_break_after_an_argument_is_not_reported_as_too_short(
    base: BasePolicy, tools: Toolchain
) -> None:
    hint = call_failure(base, tools, "type_template(\n\tweb,\n\tetc\n)").hint
    assert "'type_template' spans several lines" in hint and "takes 2" not in hint


@pytest.mark.toolchain
def test_a_type_of_the_base_policy_that_a_rule_uses_needs_gen_require(
    base: BasePolicy, tools: Toolchain
) -> None:
    extend(base, "(type etc_t)")
    error = compile_failure(web(HEAD + "allow web_t etc_t:file read;\n"), base, tools)
    assert (error.detail[:12], "gen_require(`type etc_t;')" in error.hint) == ("/p/web.te:4:", True)


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"/srv/interface\t\t{CONTEXT}", "m4 replaces the word 'interface'"),
        (f"/srv/b -x {CONTEXT}", "not a valid file context"),
        ("/srv/e u:object_r", "not a valid file context"),
        (f"/srv/c {CONTEXT} x", "not a valid file context"),
        ("/srv/it`s <<none>>", "end of file in string"),
    ],
)
def test_a_fault_in_file_contexts_is_reported_at_its_line(
    base: BasePolicy, tools: Toolchain, line: str, problem: str
) -> None:
    error = compile_failure(web(HEAD, fc=f"/srv/a {CONTEXT}\n{line}\n"), base, tools)
    assert error.detail.startswith("/p/web.fc:2: ") and problem in error.detail


@pytest.mark.toolchain
def test_a_fault_in_the_own_interfaces_is_reported_at_its_line(base: BasePolicy, tools: Toolchain) -> None:
    error = compile_failure(
        web(HEAD, **{"if": "\ninterface(`web_read',`\n\tallow $1 web_t:file read;\n"}), base, tools
    )
    assert error.detail.startswith("/p/web.if:2: ")


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        ({"te": f"{HEAD}allow web_t self:file read;\r\n"}, "/p/web.te:4: "),
        ({"te": HEAD, "if": "\ninterface(`web_x',`')\r\n"}, "/p/web.if:2: "),
        ({"te": HEAD, "fc": f"# comment\r\n/a {CONTEXT}\r\n"}, "/p/web.fc:2: "),
    ],
)
def test_a_line_end_of_windows_is_named_with_its_line(
    base: BasePolicy, tools: Toolchain, texts: dict[str, str], place: str
) -> None:
    error = compile_failure(web(**texts), base, tools)
    assert error.detail == f"{place}The line ends with a carriage return, as on Windows."


def test_the_translators_message_comes_before_its_half_written_output(base: BasePolicy) -> None:
    message = "Invalid mode in file context line: /srv/ \t \tdefine(`',` dnl"
    error = compile_error(web(HEAD, fc="/a <<none>>\n/srv/ x\n"), failed(message, "(type web_t)\n"), base)
    assert error.detail == "/p/web.fc:2: invalid mode: /srv/ x"


def test_an_unknown_message_on_standard_error_comes_before_standard_output(base: BasePolicy) -> None:
    error = compile_error(web(HEAD), failed("out of luck\n", "(type web_t)\n"), base)
    assert (error.detail, error.hint) == ("out of luck", IN_THE_LOG)


def test_a_warning_is_not_taken_for_the_error(base: BasePolicy) -> None:
    output = (
        "/w/web.te:2: Warning: old() has been deprecated.\n/w/web.te:3:ERROR 'bad' at token ';' on line 9:\n"
    )
    assert compile_error(web(HEAD), failed(output), base).detail.startswith("/p/web.te:3: bad")


@pytest.mark.toolchain
def test_an_unresolved_name_is_reported_at_the_line_that_requires_it(
    base: BasePolicy, tools: Toolchain
) -> None:
    te = HEAD + "gen_require(`\n\ttype etc_t;\n\ttype lost_t;\n')\nallow web_t lost_t:file read;\n"
    error = link_failure(base, tools, te)
    assert error.detail == (
        "/p/web.te:6: The base policy has no type or attribute 'lost_t', which the module requires."
    )


@pytest.mark.toolchain
def test_an_unresolved_name_of_an_interface_is_reported_at_the_call(
    base: BasePolicy, tools: Toolchain
) -> None:
    own = "interface(`web_x',`\n\tgen_require(`\n\t\ttype lost_t;\n\t')\n\tallow lost_t $1:file read;\n')\n"
    error = link_failure(base, tools, HEAD + "\n\nweb_x(web_t)\n", others={"if": own})
    assert error.detail.startswith("/p/web.te:6: The base policy has no type or attribute 'lost_t'")


@pytest.mark.toolchain
def test_a_violated_neverallow_rule_is_reported_at_the_users_rule(base: BasePolicy, tools: Toolchain) -> None:
    extend(base, "(neverallow domain shared_t (file (write)))")
    te = HEAD + "gen_require(`\n\ttype shared_t;\n\tattribute domain;\n')\ntypeattribute web_t domain;\n"
    checked = replace(base, facts=replace(base.facts, expand_check=True))
    error = link_failure(
        checked, tools, te + "allow web_t self:file read;\nallow web_t shared_t:file write;\n"
    )
    assert error.detail.startswith(
        "/p/web.te:10: The base policy forbids this with (neverallow domain shared_t"
    )


@pytest.mark.parametrize("kind", ["allow", "auditallow", "dontaudit", "neverallow"])
@pytest.mark.parametrize("ending", ["te", "if"])
def test_an_extended_rule_about_netlink_messages_is_refused_at_its_line(
    base: BasePolicy, kind: str, ending: str
) -> None:
    """checkmodule before 3.8 says only that the class has no such permission, and later ones accept it."""
    texts = {"te": HEAD, "if": ""}
    texts[ending] += f"\n# allowxperm a_t self:x nlmsg 1;\n{kind}xperm a_t\n\tself:x nlmsg {{ 0x10 0x12 }};\n"
    with pytest.raises(InputError) as caught:
        compile_module(web(**texts), base, Toolchain(FakeGuest(), "/w"))
    line = texts[ending].count("\n")
    assert caught.value.detail.startswith(f"/p/web.{ending}:{line}: ") and "nlmsg" in caught.value.detail


def test_an_extended_rule_about_netlink_messages_that_a_macro_makes_is_refused(base: BasePolicy) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/compile"), out="(allowx a_t self (nlmsg netlink_route_socket (0x10)))\n")
    guest.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
    guest.answer(script("policy/clear-sources"))
    with pytest.raises(InputError) as caught:
        compile_module(web(HEAD), base, Toolchain(guest, "/w"))
    assert caught.value.detail.startswith("/p/web.te: ") and "nlmsg" in caught.value.detail


@pytest.mark.toolchain
def test_no_link_error_names_selabs_own_file(base: BasePolicy, tools: Toolchain) -> None:
    error = link_failure(base, tools, HEAD, "(typetransition web_t lost_t process web_t)\n")
    assert error.detail.startswith("/p/web.te:") and "candidate.cil" not in str(error)


@pytest.mark.toolchain
def test_a_conflict_of_file_contexts_stops_the_link_with_both_lines(
    base: BasePolicy, tools: Toolchain
) -> None:
    te = HEAD + "gen_require(`type etc_t;')\n"
    fc = f"/a -- {CONTEXT}\n/b {CONTEXT}\n/a -- gen_context(u:object_r:etc_t,s0)\n"
    error = link_failure(base, tools, te, others={"fc": fc})
    assert error.detail.startswith("/p/web.fc:3: ") and "in line 1" in error.detail


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/usr/libexec/x", "file_contexts"),
        ("HOME_DIR/x", "homedir_template"),
        ("/run/%{USERID}/x", "homedir_template"),
    ],
)
def test_a_context_that_contradicts_the_base_policys_stops_the_link(
    base: BasePolicy, tools: Toolchain, path: str, file: str
) -> None:
    files = base.directory / "contexts" / "files"
    files.mkdir(parents=True)
    (files / file).write_text(f"{path}\t--\tu:object_r:etc_t:s0\n")
    error = link_failure(base, tools, HEAD, others={"fc": f"\n{path} -- {CONTEXT}\n"})
    assert error.detail.startswith("/p/web.fc:2: ") and "etc_t:s0 in the base policy" in error.detail


def test_an_error_is_reported_for_the_module_that_it_is_in(base: BasePolicy) -> None:
    other = PolicyModule(
        "db", Path("/p"), {"te": b"policy_module(db, 1.0)\ntype db_t;\n\nallow db_t x_t:file read;\n"}
    )
    modules = [
        LinkedSource("web", "(type web_t)\n", web(HEAD)),
        LinkedSource("db", "(type db_t)\n(allow db_t x_t (file (read)))\n", other),
    ]
    done = failed("Failed to resolve allow statement at /s/candidate.cil:3\nFailed to resolve AST\n")
    assert link_error(base, modules, done, expand=False).detail == "/p/db.te:4: Failed to resolve allow."


def test_a_module_without_sources_has_the_reason_only(base: BasePolicy) -> None:
    done = failed("Failed to resolve allow statement at /s/candidate.cil:1\n")
    assert link_error(base, [LinkedSource("web", "(x)\n", None)], done, expand=False).detail == (
        "Failed to resolve allow."
    )


def test_what_a_failed_link_printed_is_in_the_log(base: BasePolicy, caplog: pytest.LogCaptureFixture) -> None:
    guest = FakeGuest()
    guest.answer("test", "-s")
    guest.answer("secilc", code=1, err="first\nsecond\n", out="third\n")
    with caplog.at_level(logging.DEBUG, "selab"), pytest.raises(InputError) as caught:
        link(base, [CompiledModule("web", "(type web_t)\n", frozenset())], Toolchain(guest, "/w"))
    assert caught.value.hint == IN_THE_LOG
    assert "first\nsecond" in caplog.text and "third" in caplog.text


def test_what_a_failed_compilation_printed_is_in_the_log(
    base: BasePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/compile"), code=1, err="first\nsecond\n", out="third\n")
    guest.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
    guest.answer(script("policy/clear-sources"))
    with caplog.at_level(logging.DEBUG, "selab"), pytest.raises(SelabError) as caught:
        compile_module(web(HEAD), base, Toolchain(guest, "/w"))
    assert IN_THE_LOG in caught.value.hint
    assert "first\nsecond" in caplog.text and "third" in caplog.text
