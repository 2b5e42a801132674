"""Which calls in a module are those of a container template."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.container_template import template_parts
from selab.policy.module import PolicyModule


def module(name: str, text: str, *requires: PolicyModule) -> PolicyModule:
    return PolicyModule(name, Path(), {"te": text.encode(), "if": b"# x"}, requires)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("container_domain_template(web)", ["container_domain_template(web)"]),
        ("container_domain_template(`web', `container')", ["container_domain_template(web, container)"]),
        ("virt_sandbox_domain_template(web)", ["virt_sandbox_domain_template(web)"]),
        ("container_domain_template(web, passwd)", []),
        ("container_domain_template()", []),
        ("container_domain_template(we.b)", []),
        ("optional_policy(`container_domain_template(web)')", []),
        ("userdom_admin_user_template(web)", []),
        ("# container_domain_template(web)", []),
    ],
)
def test_a_part_calls_container_templates_for_containers_files_only(text: str, calls: list[str]) -> None:
    lines = [
        line for part in template_parts(module("web", text)) for line in part.texts["te"].decode().split("\n")
    ]
    assert [line for line in lines if "template" in line] == calls


def test_a_required_module_has_a_part_of_its_own_without_interfaces() -> None:
    other = module("db", "container_domain_template(db)")
    parts = list(template_parts(module("web", "container_domain_template(web)", other)))
    assert [(part.name, set(part.texts), part.requires) for part in parts] == [
        ("db", {"te"}, ()),
        ("web", {"te"}, ()),
    ]


def test_the_part_of_a_policy_in_cil_has_only_the_blocks_of_other_files_that_it_inherits() -> None:
    text = b"""(block own)
(block web (blockinherit box) (blockinherit own) (allow process etc_t (file (read))) (blockinherit net))
(block plain (type a))
"""
    template = PolicyModule("box", Path(), {"cil": b"(block box)"})
    (part,) = template_parts(PolicyModule("web", Path(), {"cil": text}, (template,)))
    assert (part.texts, part.requires) == (
        {"cil": b"(block web (blockinherit box) (blockinherit net))"},
        (template,),
    )
