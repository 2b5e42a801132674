"""Calls of interfaces: unknown ones, wrong numbers of arguments, and those that nobody should call any more."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.interfaces import Interface
from selab.policy.language.te import Call
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import ELSEWHERE, substituted
from selab.policy.lint.subject import ModuleUnderLint, closest

_BUILD_CONDITIONS = {"ifdef", "ifndef", "ifelse"}


def calls(view: ModuleUnderLint) -> Iterator[Finding]:
    """What is wrong with the calls in the .te, and with the interfaces of the module's own .if."""
    for call in view.calls:
        interface = view.table.get(call.name)
        if interface is not None:
            yield from _call(view, call, interface)
        elif call.name not in view.macros:
            yield _unknown(view, call)
    for interface in view.table:
        if interface.file == f"{view.module.name}.if" and interface.broken:
            message = f"The interface '{interface.name}' does not become policy: {interface.broken}."
            yield view.finding(interface.line, Severity.WARNING, "broken-interface", message, ending="if")


def _unknown(view: ModuleUnderLint, call: Call) -> Finding:
    """An unknown macro does not compile, unless it stands where another distribution's build would read it."""
    severity = Severity.WARNING if _BUILD_CONDITIONS & set(call.inside) else Severity.ERROR
    near = view.table.get(closest(call.name, view.table.names))
    remedy = f"Did you mean {signature(near)}?" if near else ""
    return view.finding(
        call.line,
        severity,
        "unknown-interface",
        f"There is no interface '{call.name}' in the policy headers.",
        remedy,
    )


def _call(view: ModuleUnderLint, call: Call, interface: Interface) -> Iterator[Finding]:
    given, wanted = len(call.arguments), len(interface.parameters)
    elsewhere, _ = ELSEWHERE.get(call.name, (0, ""))
    if not interface.required <= given <= max(wanted, elsewhere):
        some = f"{interface.required} to {wanted}" if interface.required < wanted else str(wanted)
        message = f"'{call.name}' takes {some} argument{'' if some == '1' else 's'}, and is given {given}."
        # m4 drops what is too much without a word, and puts nothing where something is missing.
        severity = Severity.ERROR if given < interface.required else Severity.WARNING
        yield view.finding(call.line, severity, "arguments", message, f"Call it as {signature(interface)}.")
    if interface.deprecated:
        advice = substituted(interface.deprecated, call.arguments)[0]
        remedy = f"{advice[:1].upper()}{advice[1:]}."
        yield view.finding(call.line, Severity.WARNING, "deprecated", f"'{call.name}' is deprecated.", remedy)


def signature(interface: Interface) -> str:
    """How it is called: `files_etc_filetrans(domain, type [, name])`."""
    required = ", ".join(interface.parameters[: interface.required])
    optional = "".join(f" [, {name}]" for name in interface.parameters[interface.required :])
    return f"{interface.name}({required}{optional})"
