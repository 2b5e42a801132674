"""What interfaces grant: m4's expansions of a small tree of headers, most of them recorded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable, interface_table, module_interfaces
from selab.policy.language.statements import Grant
from tests import centos_like
from tests.unit.headers import write_headers
from tests.unit.policy.recorded_macros import record_macros


@pytest.fixture
def table(
    base: BasePolicy, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> InterfaceTable:
    """The interfaces of the small headers. Without the mark `toolchain`, they are not expanded by m4."""
    if not request.node.get_closest_marker("toolchain"):
        record_macros(monkeypatch)
    write_headers(base.headers)
    return interface_table(base)


def known(table: InterfaceTable, name: str) -> Interface:
    interface = table.get(name)
    assert interface is not None
    return interface


def test_an_interface_grants_what_its_macros_become(table: InterfaceTable) -> None:
    assert known(table, "files_read_etc_files").grants == (
        Grant("allow", "$1", "etc_t", "file", frozenset({"getattr", "open", "read"})),
    )


def test_an_interface_says_where_it_is_and_what_it_is_for(table: InterfaceTable) -> None:
    interface = known(table, "files_read_etc_files")
    assert (interface.file, interface.line, interface.summary, interface.parameters) == (
        "kernel/files.if",
        12,
        "Read files in /etc.",
        ("domain",),
    )


def test_a_template_declares_and_joins(table: InterfaceTable) -> None:
    interface = known(table, "container_domain_template")
    assert (interface.kind, interface.declares, interface.attributes) == (
        "template",
        (("type", "$1_t"),),
        (("$1_t", "domain"),),
    )


def test_a_tunables_rules_hang_on_it_and_the_class_says_what_is_left(table: InterfaceTable) -> None:
    grants = known(table, "container_domain_template").grants
    assert Grant("allow", "$1_t", "self", "process", frozenset({"transition"}), "shiny") in grants


def test_what_an_optional_block_requires_is_not_required(table: InterfaceTable) -> None:
    assert known(table, "container_domain_template").requires == (("attribute", "domain"),)


def test_a_deprecated_interface_says_what_to_use(table: InterfaceTable) -> None:
    assert known(table, "files_read_config").deprecated == "use files_read_etc_files() instead"


def test_a_callee_in_use_is_not_deprecated_by_its_caller(table: InterfaceTable) -> None:
    assert known(table, "files_read_etc_files").deprecated == ""


def test_an_optional_parameter_need_not_be_given(table: InterfaceTable) -> None:
    interface = known(table, "files_etc_filetrans")
    assert (interface.required, interface.parameters, interface.grants[0].result) == (
        2,
        ("domain", "type", "name"),
        "$2 $3",
    )


def test_an_interface_that_calls_what_is_not_there_is_broken(table: InterfaceTable) -> None:
    interface = known(table, "files_broken")
    assert ("files_no_such_interface" in interface.broken, interface.grants, interface.parameters) == (
        True,
        (),
        ("$1",),
    )


def test_the_table_is_kept_beside_the_base(
    table: InterfaceTable, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert list(interface_table(base)) == list(table)


@pytest.mark.parametrize(
    "damaged", ["", "{", '{"format": 0}', '{"format": 2, "words": [], "grants": [[]], "interfaces": []}']
)
def test_a_damaged_table_is_made_again(table: InterfaceTable, base: BasePolicy, damaged: str) -> None:
    (base.directory / "interfaces.json").write_text(damaged)
    assert interface_table(base).names == table.names


def test_a_machine_without_m4_is_told_so(base: BasePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "m4" else name)
    with pytest.raises(SelabError, match="Missing: m4"):
        interface_table(base)


@pytest.mark.toolchain
def test_an_own_interface_may_call_the_headers(table: InterfaceTable, base: BasePolicy) -> None:
    text = "interface(`web_read',`\n\tfiles_read_etc_files($2)\n')\n"
    own = module_interfaces(base, {"web.if": text})
    assert [(interface.name, interface.file, interface.grants[0].source) for interface in own] == [
        ("web_read", "web.if", "$2")
    ]


def test_an_own_interface_wins(table: InterfaceTable, base: BasePolicy) -> None:
    own = module_interfaces(base, {"web.if": "interface(`files_read_etc_files',`')\n"})
    assert table.with_own(own).get("files_read_etc_files") == own[0]


@pytest.mark.toolchain
def test_a_quote_that_is_left_open_is_wrong_input(table: InterfaceTable, base: BasePolicy) -> None:
    with pytest.raises(InputError, match="end of file"):
        module_interfaces(base, {"web.if": "interface(`web_read',`\n\tallow $1 self:file read;\n"})


@pytest.mark.toolchain
def test_no_interface_of_a_policy_with_centos_names_is_broken(tmp_path: Path) -> None:
    table = interface_table(centos_like.write_base(tmp_path / "centos"))
    assert {"container_domain_template", "init_spec_domtrans_to"} <= {each.name for each in table}
    assert [(each.name, each.broken) for each in table if each.broken] == []
