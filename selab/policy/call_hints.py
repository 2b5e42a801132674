"""Say what is wrong with a call of an interface, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.container_template import FILES, OF_FILES, TEMPLATE, call_with_requirement
from selab.policy.language.headers import Heading, headings
from selab.policy.language.te import Call
from selab.policy.macros import interfaces
from selab.policy.module import PolicyModule
from selab.policy.module_files import MAX_SOURCE


def interface_hint(module: PolicyModule, text: str, calls: Sequence[Call], base: BasePolicy) -> str:
    """Suggest interfaces for an unknown macro, which shows as a syntax error in the line `text`.

    The .if files of the project go before the headers of the base policy.
    """
    called = re.match(r"([a-z_][\w]*)\s*\(", text)
    if called is None:
        return ""
    name, own, known = called[1], own_interfaces(module), interfaces(base)
    if hint := unrequired_hint(module, name):
        return hint
    if name in own or name in known:
        return _arguments_hint(module, text, calls[0], base) if calls else ""
    close = difflib.get_close_matches(name, own, n=3, cutoff=0.6)
    close = close or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    unknown = f"The installed policy has no interface '{name}'."
    if TEMPLATE in close and TEMPLATE not in own:
        argument = calls[0].arguments[:1] if calls else ()
        return f"{unknown} Did you mean {call_with_requirement(module.name, argument)}?"
    return unknown + (f" Did you mean {' or '.join(close)}?" if close else "")


def unrequired_hint(module: PolicyModule, name: str) -> str:
    """Say which of the project's modules defines `name`, if `module` does not require it; otherwise ""."""
    _, file = own_interfaces(module).get(name, (None, None))
    if file is None or file.stem in {each.name for each in module.all}:
        return ""
    return (
        f"{file} defines '{name}'. Add '{file.stem}' to what '{module.name}' requires, under `policies:` in "
        "selab.yaml."
    )


def own_interfaces(module: PolicyModule) -> dict[str, tuple[Heading, Path]]:
    """Return the interfaces of the .if files beside the module, by name; its own and required ones first."""
    texts = {each.path.with_suffix(".if"): each.texts.get("if", b"") for each in reversed(module.all)}
    for path in sorted(module.directory.glob("*.if")):
        if path not in texts and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                texts[path] = file.read(MAX_SOURCE)
    by_name: dict[str, tuple[Heading, Path]] = {}
    for path, text in texts.items():
        for heading in headings(text.decode("utf-8", "replace"), path.name):
            by_name.setdefault(heading.name, (heading, path))
    return by_name


def template_hint(module: PolicyModule, call: Call, type_: str, known: Collection[str]) -> str:
    """Say how to call the container template, which uses the undeclared `type_`; "" for other calls.

    If the arguments name other files of the base policy, whose types are `known`, only the type is missing.
    """
    is_wrong = type_ == FILES or (type_.endswith(OF_FILES) and type_ not in known)
    if not is_wrong or call.name != TEMPLATE or call.name in own_interfaces(module):
        return ""
    return f"Write {call_with_requirement(module.name, call.arguments[:1])}."


def _arguments_hint(module: PolicyModule, text: str, call: Call, base: BasePolicy) -> str:
    """Explain a call whose arguments show as an error in the expansion.

    m4 removes the blanks before an argument, and keeps a line break after it.
    """
    if hint := too_few_arguments(module, call, base):
        return hint
    if call.arguments and ")" not in text:
        return (
            f"The call of '{call.name}' spans several lines. End each argument on the line of its comma or "
            "parenthesis: m4 keeps a line break after an argument."
        )
    return ""


def too_few_arguments(module: PolicyModule, call: Call, base: BasePolicy) -> str:
    """Say how many arguments a call needs, or nothing if it has them; distributions differ in this."""
    own, _ = own_interfaces(module).get(call.name, (None, None))
    heading = own or _heading(call.name, base)
    if heading is None or len(call.arguments) >= heading.required:
        return ""
    whose = f"{heading.file}'s" if own else "The installed policy's"
    takes = f"{whose} '{call.name}' takes {heading.required} arguments ({', '.join(heading.parameters)})."
    if own:
        return takes
    if call.name == TEMPLATE:
        return f"{takes} Write {call_with_requirement(module.name, call.arguments[:1])}."
    return f"{takes} See docs/howto/centos.md."


def _heading(name: str, base: BasePolicy) -> Heading | None:
    return next(
        (
            heading
            for path in sorted(base.headers.rglob("*.if"))
            for heading in headings(path.read_text(errors="replace"), path.name)
            if heading.name == name
        ),
        None,
    )
