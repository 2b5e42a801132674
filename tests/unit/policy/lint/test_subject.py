"""A module under lint: what its sources contain, and what they may refer to."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.lint.finding import Severity
from selab.policy.lint.names import vocabulary
from selab.policy.lint.subject import ModuleUnderLint, closest, module_under_lint, text_of
from selab.policy.module import PolicyModule
from tests.unit.headers import write_headers

COMMON = PolicyModule("common", Path("/p"), {"te": b"type common_t;\nattribute common;\n"})


def interface(name: str, file: str) -> Interface:
    return Interface(name, "interface", file, 1, "", (), 0)


def under_lint(base: BasePolicy, *own: Interface, **texts: str) -> ModuleUnderLint:
    write_headers(base.headers)
    sources = {ending: text.encode() for ending, text in texts.items()}
    module = PolicyModule("web", Path("/p"), sources, (COMMON,))
    headers = InterfaceTable([interface("files_read", "kernel/files.if")])
    return module_under_lint(module, base, vocabulary(base), headers, own)


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("type", "etc_t", True),
        ("type", "common_t", True),
        ("attribute", "common", True),
        ("attribute", "etc_t", False),
        ("type", "web_t", False),
    ],
)
def test_it_knows_the_names_of_the_base_policy_and_of_required_modules(
    base: BasePolicy, kind: str, name: str, known: bool
) -> None:
    assert under_lint(base, te="type web_t;").knows(kind, name) is known


def test_required_names_are_no_statements_of_the_module(base: BasePolicy) -> None:
    module = under_lint(
        base, te="gen_require(`type a_t;')\nrequire { type b_t; }\nallow a_t b_t:file read;\n"
    )
    assert [statement.kind for statement in module.statements] == ["allow"]


def test_calls_in_optional_blocks_are_included(base: BasePolicy) -> None:
    module = under_lint(base, te="files_read(a_t)\noptional_policy(`\n\tfiles_write(a_t)\n')\n")
    assert [(call.name, call.line) for call in module.calls] == [("files_read", 1), ("files_write", 3)]


def test_the_words_of_the_other_sources_do_not_include_those_of_the_te(base: BasePolicy) -> None:
    sources = {"te": "type a_t;", "fc": "/x gen_context(u:object_r:b_t,s0)", "if": "allow $1 c_t:file read;"}
    words = under_lint(base, **sources).words_elsewhere
    assert {"b_t", "c_t"} <= words and "a_t" not in words


def test_an_own_interface_replaces_one_of_the_headers(base: BasePolicy) -> None:
    mine = under_lint(base, interface("files_read", "web.if"), te="").table.get("files_read")
    assert mine is not None and mine.file == "web.if"


@pytest.mark.parametrize("macro", ["read_file_perms", "errprint", "mine"])
def test_the_macros_are_those_of_the_headers_of_m4_and_of_the_module(base: BasePolicy, macro: str) -> None:
    assert macro in under_lint(base, te="define(`mine',`x')").macros


def test_a_finding_is_in_the_source_with_the_given_ending(base: BasePolicy) -> None:
    module = under_lint(base, te="")
    files = [
        module.finding(1, Severity.NOTE, "x", "m").file,
        module.finding(1, Severity.NOTE, "x", "m", ending="fc").file,
    ]
    assert files == [Path("/p/web.te"), Path("/p/web.fc")]


def test_bytes_that_are_no_text_stay_visible() -> None:
    module = PolicyModule("web", Path("/p"), {"te": b"type \xff;"})
    assert (text_of(module, "te"), text_of(module, "fc")) == ("type \\xff;", "")


@pytest.mark.parametrize(("name", "similar"), [("shred_t", "shared_t"), ("zzzz", ""), ("", "")])
def test_only_a_similar_name_is_suggested(name: str, similar: str) -> None:
    assert closest(name, ["etc_t", "shared_t"]) == similar
