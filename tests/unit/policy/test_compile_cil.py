"""Candidates in CIL: resolved with the base policy, linked with it, and refused at the author's line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.guest import Completed
from selab.host.files import write_json
from selab.host.local import LocalHost
from selab.policy import compile_cil as compiling
from selab.policy.base import METADATA, BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.compile import link
from selab.policy.compile_cil import compile_cil, declarations
from selab.policy.integrity import digests
from selab.policy.module import PolicyModule
from selab.policy.query.decide import Access, Cause
from selab.policy.query.decide_subprocess import ask
from selab.policy.toolchain import Toolchain
from tests import centos_like
from tests.unit.fakes import FakeGuest

WEB = """\
(block box
    (blockabstract box)
    (type process)
    (type data)
    (roletype system_r process)
    (typeattributeset container_domain (process))
    (allow process data (file (read write)))
    (optional absent (allow process missing_t (file (read))))
    (optional present (allow process etc_t (file (read)))))
(macro reads ((type d) (type t)) (allow d t (dir (search read))))
(block web
    (blockinherit box)
    (call reads (process container_file_t))
    (allow process self (fifo_file (read write)))
    (filecon "/srv/web(/.*)?" any (system_u object_r data ((s0) (s0)))))
(in web (allow process http_port_t (tcp_socket (name_bind))))
"""
Compile = Callable[..., str]


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos", denies=False)


def source(text: str, name: str = "web") -> PolicyModule:
    return PolicyModule(name, Path("policies"), {"cil": text.encode()})


@pytest.fixture
def here(tmp_path: Path) -> Toolchain:
    return Toolchain(LocalHost(), str(tmp_path / "work"))


@pytest.mark.toolchain
def test_blocks_macros_and_optionals_become_plain_statements(centos: BasePolicy, here: Toolchain) -> None:
    assert compile_cil(source(WEB), centos, here).cil.splitlines() == [
        "(type web.process)",
        "(type web.data)",
        "(roletype system_r web.process)",
        "(typeattributeset container_domain (web.process))",
        "(allow web.process web.data (file (read write)))",
        "(allow web.process etc_t (file (read)))",
        "(allow web.process container_file_t (dir (search read)))",
        "(allow web.process self (fifo_file (read write)))",
        '(filecon "/srv/web(/.*)?" any (system_u object_r web.data ((s0) (s0))))',
        "(allow web.process http_port_t (tcp_socket (name_bind)))",
    ]


@pytest.mark.toolchain
def test_the_types_are_those_of_the_policy_and_not_of_abstract_blocks(
    centos: BasePolicy, here: Toolchain
) -> None:
    assert compile_cil(source(WEB), centos, here).types == {"web.process", "web.data"}


OWN_NAMES = """\
(block lib
    (typeattribute logs)
    (macro joins ((type member) (type group)) (typeattributeset group (member)))
    (block box
        (blockabstract box)
        (type process)
        (typeattribute secrets)
        (typeattributeset secrets (and (file_type) (not (etc_t))))
        (typeattributeset logs (process))
        (typealias old)
        (typealiasactual old process)))
(block web
    (blockinherit lib.box)
    (typeattribute own)
    (typeattributeset own (etc_t))
    (call lib.joins (process own))
    (block inner (type data) (typeattributeset own (data)) (typebounds process data))
    (optional there (typeattributeset own (container_file_t)))
    (allow process own (file (read)))
    (allow old secrets (file (write)))
    (allow lib.logs self (dir (search))))
"""
SHADOWING = """\
(typeattribute files)
(block web
    (type process)
    (typeattribute files)
    (typeattributeset files (etc_t))
    (allow process files (file (read))))
"""
TWO_WAYS = """\
(block container
    (blockabstract container)
    (type process) (typeattribute own)
    (typeattributeset own (process)))
(block logs (blockinherit container) (allow process own (dir (search))))
(block homes (blockabstract homes) (blockinherit logs) (allow process etc_t (file (read))))
(block web
    (blockinherit container)
    (blockinherit logs)
    (blockinherit homes)
    (allow own self (fifo_file (read)))) ; the last (line
"""


@pytest.mark.toolchain
@pytest.mark.parametrize(
    "text", [WEB, OWN_NAMES, SHADOWING, TWO_WAYS], ids=["all kinds", "own names", "shadowing", "two ways"]
)
def test_it_links_with_the_flat_base_to_the_policy_that_secilc_makes_of_the_source(
    centos: BasePolicy, here: Toolchain, tmp_path: Path, text: str
) -> None:
    policy = link(centos, [compile_cil(source(text), centos, here)], here)
    (tmp_path / "web.cil").write_text(text)
    argv = [
        "secilc",
        "-m",
        "-M",
        "1",
        "-c",
        "33",
        "-N",
        "-o",
        "policy",
        "-f",
        "/dev/null",
        centos.flat,
        "web.cil",
    ]
    subprocess.run(argv, cwd=tmp_path, check=True)
    assert (policy.slow_because, policy.binary) == ("", (tmp_path / "policy").read_bytes())


DENYING = """\
(macro nowrite ((type d)) (deny d etc_t (file (write))))
(classpermission most)
(classpermissionset most (file (not (read))))
(block box (blockabstract box) (type process) (deny process self most))
(block web
    (blockinherit box)
    (roletype system_r process)
    (typeattributeset domain (process))
    (allow process etc_t (file (read write)))
    (allow process self (file (read write)))
    (call nowrite (process))
    (neverallow process shadow_t (file (write)))
    (optional o (deny process etc_t (file (append))))
    (optional absent (deny process absent_t (file (read)))))
"""


@pytest.mark.toolchain
def test_deny_rules_are_resolved_with_any_secilc(centos: BasePolicy, here: Toolchain) -> None:
    statements = compile_cil(source(DENYING), centos, here).cil.splitlines()
    assert [each for each in statements if "deny" in each or "neverallow" in each] == [
        next(each for each in statements if each.startswith("(deny web.process self (file (")),
        "(deny web.process etc_t (file (write)))",
        "(neverallow web.process shadow_t (file (write)))",
        "(deny web.process etc_t (file (append)))",
    ]


@pytest.mark.toolchain
def test_a_policy_with_deny_rules_links_without_what_they_deny(
    centos: BasePolicy, here: Toolchain, tmp_path: Path
) -> None:
    linked = link(centos, [compile_cil(source(DENYING), centos, here)], here)
    (tmp_path / "policy").write_bytes(linked.binary)
    web, etc = "system_u:system_r:web.process:s0", "system_u:object_r:etc_t:s0"
    accesses = [Access(web, target, "file", name) for target in (etc, web) for name in ("read", "write")]
    causes = [each.cause for each in ask(tmp_path / "policy", accesses)]
    assert (linked.slow_because, causes) == ("", [Cause.NONE, Cause.RULE, Cause.NONE, Cause.RULE])


@pytest.mark.toolchain
def test_a_deny_rule_in_a_conditional_is_refused_at_its_line(centos: BasePolicy, here: Toolchain) -> None:
    text = "(boolean b true)\n(booleanif b (true\n(deny etc_t etc_t (file (read)))))"
    with pytest.raises(InputError) as caught:
        compile_cil(source(text), centos, here)
    assert "web.cil:3: deny is not allowed in booleanif" in caught.value.detail


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("(block web (type p) (typeattribute a) (typeattributeset a (p)))", "typeattributeset web.a (web.p)"),
        (
            "(block web (type p) (typeattribute a) (block in (type q) (typeattributeset a (q))))",
            "typeattributeset web.a (web.in.q)",
        ),
        (
            "(macro m ((type a) (type t)) (typeattributeset a (t)))"
            "(block web (type p) (typeattribute b) (call m (b p)))",
            "typeattributeset web.b (web.p)",
        ),
        (
            "(block lib (typeattribute a) (macro m ((type t)) (typeattributeset a (t))))"
            "(block web (type p) (call lib.m (p)))",
            "typeattributeset lib.a (web.p)",
        ),
        (
            "(block lib (blockabstract lib) (typeattribute a) (macro m ((type t)) (typeattributeset a (t))))"
            "(block web (type p) (blockinherit lib) (call m (p)))",
            "typeattributeset web.a (web.p)",
        ),
        (
            "(macro n ((type q) (type r)) (typeattributeset q (r)))"
            "(macro m ((type a) (type t)) (call n (a t)))"
            "(block web (type p) (typeattribute b) (call m (b p)))",
            "typeattributeset web.b (web.p)",
        ),
        ("(block web (type p) (typealias q) (typealiasactual q p))", "typealiasactual web.q web.p"),
        ("(block web (type p) (type q) (typebounds p q))", "typebounds web.p web.q"),
        ("(block web (type p) (typeattributeset domain (p)))", "typeattributeset domain (web.p)"),
    ],
)
def test_names_that_secil2tree_prints_as_written_are_qualified(
    centos: BasePolicy, here: Toolchain, text: str, statement: str
) -> None:
    assert f"({statement})" in compile_cil(source(text), centos, here).cil.splitlines()


@pytest.mark.toolchain
def test_a_module_may_use_what_another_cil_module_declares(centos: BasePolicy, here: Toolchain) -> None:
    common = source(
        "(block common (type log) (macro logs ((type d)) (allow d log (file (append)))))", "common"
    )
    web = source("(block web (type process) (call common.logs (process)))")
    assert "(allow web.process common.log (file (append)))" in compile_cil(web, centos, here, [common]).cil


@pytest.mark.toolchain
def test_cil_may_use_what_a_te_module_declares(centos: BasePolicy, here: Toolchain, tmp_path: Path) -> None:
    te = PolicyModule("lib", Path("policies"), {"te": b"policy_module(lib, 1.0)\ntype lib_log_t;\n"})
    text = b"(block web (type process) (allow process lib_log_t (file (append))))"
    web = PolicyModule("web", Path("policies"), {"cil": text}, (te,))
    (tmp_path / "cache").mkdir()
    first, second = compiled_all([web], centos, here, tmp_path / "cache")
    assert (first.name, second.cil) == (
        "lib",
        "(type web.process)\n(allow web.process lib_log_t (file (append)))\n",
    )


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("text", "detail", "hint"),
    [
        ("(block web\n(type p)\n(allow p etcc_t (file (read))))", "3: 'etcc_t' is not declared", "'etc_t'"),
        ("(block web (type p)\n(allow p p (fil (read))))", "2: 'fil' is not declared: (allow p p", "'file'"),
        ("(block web (type p)\n(allow p p (file (reed))))", "2: 'reed' is not declared", "'read'"),
        ("(block web (type p)\n(blockinherit box))", "2: 'box' is not declared: (blockinherit box)", ""),
        ("(macro m_a ((type d)))\n(type p)\n(call m_aa (p))", "3: 'm_aa' is not declared", "'m_a'"),
        ("(block web (type p)\n\n(allov p p (file (read))))", "3: CIL has no statement 'allov'", "'allow'"),
        ("(block web (type p)\n(type p))", "2: the type 'p' is declared already", "Rename"),
        ("\n(type etc_t)", "2: the type 'etc_t' is declared already, by the base policy", "Rename"),
        ("(block web (type etc_t))\n(type etc_t)", "2: the type 'etc_t' is declared already, by", ""),
        ("\n(class file (read))", "2: the class 'file' is declared already, by the base", "whole policy"),
        ("(sid x)\n(sidorder (x))", "2: this order contradicts that of the base policy", "unordered CLASS"),
        ("(block web (type p)\n(blockinherit absent.web))", "2: 'absent.web' is not declared", ""),
        ("(block a (block b (type p)))\n(in b (type q))", "2: 'b' is not declared in a block", "selab looks"),
        ("(block a (type t)) (block b (type t)\n(blockinherit a))", "2: the type 't' is declared", ""),
        ("(block web (type p)\n(allow p))", "2: Invalid syntax: (allow p)", ""),
        ("(block web\n(type p)", "1: the statement that begins here is not closed", "parentheses"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(
    centos: BasePolicy, here: Toolchain, text: str, detail: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        compile_cil(source(text), centos, here)
    assert f"policies/web.cil:{detail}" in caught.value.detail
    assert hint in caught.value.hint


@pytest.mark.toolchain
def test_a_fault_in_a_required_module_is_reported_in_its_file(centos: BasePolicy, here: Toolchain) -> None:
    with pytest.raises(InputError) as caught:
        compile_cil(source("(type web_t)"), centos, here, [source("\n(type etc_t)", "common")])
    assert caught.value.what == "The policy 'common' does not compile."
    assert caught.value.detail.startswith("policies/common.cil:2: ")


def test_a_source_that_is_no_text_is_refused_with_its_line(centos: BasePolicy, here: Toolchain) -> None:
    with pytest.raises(InputError, match="UTF-8") as caught:
        compile_cil(PolicyModule("web", Path("policies"), {"cil": b"(type a)\n; \xff"}), centos, here)
    assert caught.value.detail.startswith("policies/web.cil:2: ")


class Failing(FakeGuest):
    """A machine whose secil2tree fails with an exit code and a message."""

    def __init__(self, code: int, message: bytes) -> None:
        super().__init__()
        self.done = Completed(("secil2tree",), code, b"", message)

    def run(self, *_: object, **__: object) -> Completed:
        return self.done


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (254, b"Could not open file\nFailed to write AST"),
        (137, b"Killed"),
        (254, b"Failed to write AST\n"),
        (1, b"x"),
    ],
)
def test_a_tool_that_failed_is_not_the_users_input(centos: BasePolicy, code: int, message: bytes) -> None:
    with pytest.raises(SelabError, match="could not be compiled") as caught:
        compile_cil(source("(type web_t)"), centos, Toolchain(Failing(code, message), "/work"))
    assert not isinstance(caught.value, InputError)


def test_a_guest_whose_compiler_is_too_old_for_a_statement_is_named(centos: BasePolicy) -> None:
    guest = Toolchain(Failing(254, b"Error: Unknown keyword deny\n"), "/work")
    with pytest.raises(InputError) as caught:
        compile_cil(source("(type web_t)\n(deny web_t self (file (read)))"), centos, guest)
    assert "web.cil:2: this secil2tree does not know 'deny'" in caught.value.detail
    assert "newer secilc" in caught.value.hint


def test_a_target_that_older_compilers_do_not_know_needs_a_newer_one(centos: BasePolicy) -> None:
    guest = Toolchain(Failing(254, b"Failed to resolve allow rule at web.cil:1\n"), "/work")
    with pytest.raises(InputError) as caught:
        compile_cil(source("(allow etc_t notself (file (read)))"), centos, guest)
    assert "web.cil:1: 'notself' needs a secilc of version 3.6" in caught.value.detail


def test_the_declarations_of_a_base_policy_are_without_its_rules() -> None:
    rules = "(allow a_t a_t (file (read)))\n(typeattributeset x (a_t))\n"
    names = "(type a_t)\n(typeattribute x)\n(class c (p))\n"
    assert declarations(rules + names) == names


def test_qualified_names_of_a_base_policy_are_declared_in_their_blocks() -> None:
    flat = "(type web.data)\n(roletype r web.data)\n(type web.in.a)\n(type web.b)\n"
    assert declarations(flat) == (
        "(roletype r web.data)\n(block web (type data) (type b) (block in (type a)))\n"
    )


@pytest.mark.toolchain
def test_a_candidate_may_name_what_a_block_in_the_base_policy_declares(
    centos: BasePolicy, here: Toolchain
) -> None:
    with centos.flat.open("a") as flat:
        flat.write("(type other.data)\n(roletype object_r other.data)\n")
    web = compile_cil(source("(block web (type p) (allow p other.data (file (read))))"), centos, here)
    assert "(allow web.p other.data (file (read)))" in web.cil
    assert link(centos, [web], here).slow_because == ""


@pytest.mark.toolchain
@pytest.mark.parametrize("module", ["(block web (type process) (roletype system_r process))", "(type web_t)"])
def test_a_candidate_that_is_installed_is_compiled_with_the_base_policy_that_contains_it(
    centos: BasePolicy, here: Toolchain, module: str
) -> None:
    plain = compile_cil(source(module), centos, here).cil
    with centos.flat.open("a") as flat:
        flat.write(plain)
    (centos.directory / "cil" / "web.cil").write_text(module)
    assert compile_cil(source(module), centos, here).cil == plain


@pytest.mark.toolchain
def test_with_the_whole_store_a_candidate_is_linked_as_it_was_written(
    centos: BasePolicy, here: Toolchain
) -> None:
    """Names with dots cannot stand beside blocks, which a module of the store may have."""
    with (centos.directory / "cil" / "blocks.cil").open("w") as module:
        module.write("(block other (type data))\n")
    write_json(centos.directory / METADATA, {"digests": digests(centos.directory)})
    web = compile_cil(source(WEB), centos, here)
    policy = link(replace(centos, dangling=frozenset({"web.data"})), [web], here)
    assert policy.slow_because == "'web.data' enables optional blocks of the base policy"


def test_every_statement_that_names_something_is_among_the_declarations() -> None:
    assert set(compiling.NAMING) - {"block", "macro", "tunable"} <= set(compiling.DECLARING)
