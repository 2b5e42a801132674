"""The names in a module's text, and those that the base policy has."""

from __future__ import annotations

import itertools

import pytest

from selab.policy.base import BasePolicy
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.statements import Grant
from selab.policy.language.te import Token, items, tokens
from selab.policy.lint.names import MOST, Names, names, substituted, vocabulary

READ = frozenset({"read"})
TEMPLATE = Interface(
    "container_domain_template",
    "template",
    "services/container.if",
    1,
    "",
    ("prefix",),
    1,
    grants=(
        Grant("allow", "$1_t", "etc_t", "file", READ),
        Grant("role_types", "r", "$1_t", "", frozenset()),
    ),
    attributes=(("$1_t", "domain"),),
    declares=(("type", "$1_t"),),
)


def names_of(text: str) -> Names:
    return names(items(tokens(text)), InterfaceTable([TEMPLATE]))


def argument(*words: str) -> tuple[Token, ...]:
    return tuple(Token(word, 1, 0) for word in words)


def test_the_vocabulary_lists_the_base_policys_names_by_kind(base: BasePolicy) -> None:
    base.flat.write_text(base.flat.read_text() + "(roleattribute many_r) (typealias old_t)\n")
    words = vocabulary(base)
    assert {kind: sorted(words[kind]) for kind in words} == {
        "type": ["base_t", "etc_t", "kernel_t", "old_t", "shared_t"],
        "attribute": ["cil_gen_require", "domain"],
        "role": ["r"],
        "attribute_role": ["many_r"],
        "bool": ["shiny"],
        "class": ["file", "process"],
    }


@pytest.mark.parametrize(("aliases", "names_made"), [("{ b_t c_t }", ["b_t", "c_t"]), ("b_t", ["b_t"])])
def test_a_type_statement_declares_the_type_and_its_aliases_and_joins_the_attributes(
    aliases: str, names_made: list[str]
) -> None:
    module = names_of(f"type a_t alias {aliases}, domain, file_type;")
    assert [name.name for name in module.declared] == ["a_t"]
    assert [name.name for name in module.made] == names_made
    assert module.attributes == {("a_t", "domain"), ("a_t", "file_type")}


@pytest.mark.parametrize(
    "text", ["typeattribute { a_t b_t } domain, x;", "typeattribute {a_t b_t} domain, x;"]
)
def test_typeattribute_joins_each_type_of_a_set_to_each_attribute(text: str) -> None:
    assert names_of(text).attributes == set(itertools.product(("a_t", "b_t"), ("domain", "x")))


def test_a_required_name_is_neither_declared_nor_used() -> None:
    module = names_of("gen_require(`\n\ttype a_t, b_t;\n\tclass file { read };\n')")
    assert [(name.kind, name.name, name.line) for name in module.required] == [
        ("type", "a_t", 2),
        ("type", "b_t", 2),
        ("class", "file", 3),
    ]
    assert not module.declared and not module.used & {"a_t", "file"}


def test_a_template_contributes_the_names_that_it_builds() -> None:
    module = names_of("container_domain_template(web)")
    assert module.has("type", "web_t") and not module.has("attribute", "web_t")
    assert module.attributes == {("web_t", "domain")}
    assert module.roles == {"web_t"}


def test_a_type_that_another_distributions_template_builds_counts_as_passed() -> None:
    assert "store_file_t" in names_of("container_domain_template(web, store)").passed


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("$1_t", [argument("web")], ["web_t"]),
        ("$1_$2", [argument("{", "a", "b", "}"), argument("x")], ["a_x", "b_x"]),
        ("$1_$2", [argument("a")], ["a_"]),
        ("$1_$1", [argument("{", "a", "b", "}")], ["a_a", "b_b"]),
        ("etc_t", [argument("a")], ["etc_t"]),
    ],
)
def test_parameters_are_replaced_by_each_member_of_their_argument(
    text: str, arguments: list[tuple[Token, ...]], words: list[str]
) -> None:
    assert substituted(text, arguments) == words


def test_the_number_of_substitutions_is_limited() -> None:
    big = argument(*(f"t{number}" for number in range(40)))
    assert len(substituted("$1$2$3", [big, big, big])) == MOST
