"""Know the templates that declare a container's domain, and what a module owes to their calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from selab.policy.language.te import Call, Token, items, tokens
from selab.policy.module import PolicyModule

TEMPLATE = "container_domain_template"
FILES = "container_file_t"
"""Both policies give this type to containers' files."""
OF_FILES = "_file_t"
"""What the template appends to its second argument."""
PREFIX = FILES.removesuffix(OF_FILES)
"""The template's second argument, which Debian's template ignores."""
TEMPLATES = (TEMPLATE, "virt_sandbox_domain_template")
_PREFIX_OF_DOMAIN = re.compile(r"[A-Za-z]\w*", re.ASCII)


def template_parts(module: PolicyModule) -> Iterator[PolicyModule]:
    """Yield, for the module and each module that it requires, a module that only calls the templates.

    A module without such a call has none. The parts have no interfaces, so a call means what the headers of
    the base policy define. A call whose second argument names other files than containers' is left out,
    because its author chose what it grants. A template of CIL is a block that a block of the module inherits.
    """
    for each in module.all:
        if each.language == "cil":
            inherited = list(_inherited_blocks(each))
            if inherited:
                yield replace(each, texts={"cil": "\n".join(inherited).encode()})
            continue
        calls = list(_calls(each))
        if calls:
            lines = (f"policy_module({each.name}, 1.0)", f"gen_require(`type {FILES};')", *calls, "")
            yield replace(each, texts={"te": "\n".join(lines).encode()}, requires=())


def call_with_requirement(module: str, first: Sequence[Sequence[Token]]) -> str:
    """Return the call of the template that works on every distribution, with the type that it uses.

    `first` has the call's first argument, if it has one. Otherwise the domain gets the name of the `module`.
    """
    name = next((" ".join(token.text for token in argument) for argument in first), "")
    name = name if _PREFIX_OF_DOMAIN.fullmatch(name) else module
    return f"`{TEMPLATE}({name}, {PREFIX})`, and before it `gen_require(`type {FILES};')`"


def _inherited_blocks(module: PolicyModule) -> Iterator[str]:
    """Yield the module's blocks, with nothing but what they inherit from other files."""
    top = module.statements
    own = {each.name for each in top if each.keyword == "block"}
    for block in top:
        names = [each.name for each in block.lists if each.keyword == "blockinherit" and each.name not in own]
        if block.keyword == "block" and names:
            yield f"(block {block.name} {' '.join(f'(blockinherit {name})' for name in names)})"


def _calls(module: PolicyModule) -> Iterator[str]:
    for item in items(tokens(module.texts["te"].decode("utf-8", "backslashreplace"))):
        if isinstance(item, Call) and item.name in TEMPLATES:
            arguments = [" ".join(token.text for token in argument) for argument in item.arguments]
            if arguments[1:] in ([], [PREFIX]) and _PREFIX_OF_DOMAIN.fullmatch("".join(arguments[:1])):
                yield f"{item.name}({', '.join(arguments)})"
