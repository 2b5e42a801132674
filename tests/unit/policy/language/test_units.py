"""What can be taken away from a .te, and what the text is without it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.units import narrowed, units, without

TE = """\
policy_module(web, 1.0)

# What this is.
container_domain_template(web)

gen_require(`
\ttype dockerd_t;
\ttype etc_t;
')

# It serves.
allow web_t self:tcp_socket { create bind };
corenet_tcp_bind_generic_node(web_t)

# It reads.
allow web_t etc_t:file read; # why
optional_policy(`
\tdbus_system_bus_client(web_t)
')

# selab suggest: begin (what stands here is kept, and added to)
# web_t dockerd_t:fd use (web)
allow web_t dockerd_t:fd use;
# selab suggest: end
"""


def texts(te: str = TE) -> list[str]:
    return [unit.text.split("(")[0].split("{")[0].strip() for unit in units(te)]


def less(*beginnings: str) -> str:
    return without(TE, [unit for unit in units(TE) if unit.text.startswith(beginnings)])


def test_rules_calls_and_blocks_may_go_declarations_and_templates_not() -> None:
    assert texts() == [
        "allow web_t self:tcp_socket",
        "corenet_tcp_bind_generic_node",
        "allow web_t etc_t:file read;",
        "optional_policy",
        "allow web_t dockerd_t:fd use;",
    ]


def test_a_unit_stands_where_it_says() -> None:
    assert all(unit.text in TE[unit.start : unit.end] for unit in units(TE))


def test_without_nothing_the_text_is_as_it_was() -> None:
    assert less() == TE


def test_a_rule_goes_with_its_line() -> None:
    assert less("corenet") == TE.replace("corenet_tcp_bind_generic_node(web_t)\n", "")


def test_a_paragraph_that_is_empty_then_goes_with_its_comment() -> None:
    assert "# It serves." not in less("corenet", "allow web_t self")


def test_a_paragraph_that_is_not_keeps_its_comment() -> None:
    assert "# It serves." in less("corenet")


def test_what_suggest_has_written_above_a_rule_goes_with_it() -> None:
    assert less("allow web_t dockerd_t").endswith(
        "begin (what stands here is kept, and added to)\n# selab suggest: end\n"
    )


def test_a_name_that_nothing_needs_any_more_is_not_required() -> None:
    assert ("type etc_t;" in less("allow web_t etc_t"), "type dockerd_t;" in less("allow web_t etc_t")) == (
        False,
        True,
    )


def test_a_type_of_the_modules_own_stays_for_its_file_contexts() -> None:
    te = "type data_t;\nfiles_type(data_t)\ngen_require(`\n\ttype b_t;\n')\nallow data_t b_t:fd use;\n"
    assert without(te, units(te)) == "type data_t;\n"


def test_a_name_that_only_a_template_makes_of_its_argument_stays_required() -> None:
    te = (
        "gen_require(`\n\ttype container_file_t;\n')\ncontainer_domain_template(web, container)\n"
        "allow web_t self:fd use;\n"
    )
    assert without(te, units(te)) == te.replace("allow web_t self:fd use;\n", "")


def test_a_gen_require_of_nothing_goes() -> None:
    assert "gen_require" not in less("allow web_t etc_t", "allow web_t dockerd_t")


def test_a_rule_behind_another_on_its_line_goes_alone() -> None:
    te = "allow a_t b_t:file read; allow a_t b_t:dir search;\n"
    assert without(te, units(te)[1:]) == "allow a_t b_t:file read; \n"


@given(st.text())
def test_any_text_without_nothing_is_itself(te: str) -> None:
    assert without(te, ()) == te


@given(st.sets(st.sampled_from(units(TE))))
def test_what_is_left_are_the_other_units(gone: set[object]) -> None:
    left = units(without(TE, gone))  # type: ignore[arg-type]
    assert [unit.text for unit in left] == [unit.text for unit in units(TE) if unit not in gone]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("allow a_t b_t:file { open read write };", "allow a_t b_t:file { open read };"),
        ("allow a_t b_t:file { read write };", "allow a_t b_t:file read;"),
        ("allow { a_t b_t } c_t:file { read write };", "allow { a_t b_t } c_t:file read;"),
        ("allow a_t b_t:file { rw_file_perms write };", "allow a_t b_t:file rw_file_perms;"),
        ("allow a_t b_t:dir { search write };", "allow a_t b_t:dir { search write };"),
        ("dontaudit a_t b_t:file { read write };", "dontaudit a_t b_t:file { read write };"),
    ],
)
def test_a_rule_keeps_the_permissions_that_are_needed(rule: str, left: str) -> None:
    assert narrowed(rule, {"file": {"open", "read"}}) == left


def test_an_allowxperm_rule_is_no_unit() -> None:
    """Without it, every ioctl command would be allowed."""
    te = "allow a_t self:udp_socket ioctl;\nallowxperm a_t self:udp_socket ioctl { 0x1 0x2 };\n"
    assert [unit.text for unit in units(te)] == ["allow a_t self:udp_socket ioctl;"]


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        ("{ 0x8927 0x8933 }", "0x8927"),
        ("{0x8910-0x8930 7}", "0x8927"),
        ("{ 0x8920 - 0x8927 0x8928 0x8933 }", "{ 0x8927-0x8928 }"),
        ("{ 0x8927 0x8928 }", "{ 0x8927 0x8928 }"),
        ("{ 0x1 0x2 }", "{ 0x1 0x2 }"),
        ("~{ 0x1 }", "~{ 0x1 }"),
        ("{ unpriv_sock_ioctls 0x1 }", "{ unpriv_sock_ioctls 0x1 }"),
    ],
)
def test_an_allowxperm_rule_keeps_the_needed_commands(listed: str, left: str) -> None:
    needed = 1 << 0x8927 | (1 << 0x8928 if "0x8928" in listed else 0)
    te = "allowxperm {{ a_t b_t }} self:tcp_socket ioctl {};\n"
    assert narrowed(te.format(listed), {}, {"tcp_socket": needed}) == te.format(left)


def test_an_allowxperm_rule_of_another_class_is_not_changed() -> None:
    te = "allowxperm a_t self:udp_socket ioctl { 0x1 0x2 };\n"
    assert narrowed(te, {}, {"tcp_socket": 2}) == te


@pytest.mark.parametrize(
    "rule",
    [
        "dontauditxperm a_t self:file ioctl 0x1;",
        "auditallowxperm a_t self:file ioctl 0x1;",
        "if (x) { allowxperm a_t self:file ioctl 0x1; }",
    ],
)
def test_whatever_limits_ioctl_commands_is_no_unit(rule: str) -> None:
    assert units(f"{rule}\n") == ()


@pytest.mark.parametrize(
    ("call", "count"),
    [
        ("init_daemon_domain(web_t, web_exec_t)", 0),
        ("init_ranged_daemon_domain(web_t, web_exec_t, mcs_systemhigh)", 0),
        ("init_domain(web_t, web_exec_t)", 0),
        ("init_nnp_daemon_domain(web_t)", 1),
        ("init_read_state(web_t)", 1),
    ],
)
def test_the_call_by_which_systemd_enters_the_domain_stays(call: str, count: int) -> None:
    assert len(units(f"policy_module(web, 1.0)\ntype web_t;\n{call}\n")) == count
