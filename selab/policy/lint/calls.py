"""Check calls of interfaces: unknown ones, wrong numbers of arguments, and deprecated ones."""

from __future__ import annotations

from collections.abc import Iterator

from selab.policy.call_hints import unrequired_hint
from selab.policy.container_template import TEMPLATE, call_with_requirement
from selab.policy.interfaces import Interface
from selab.policy.language.te import Call
from selab.policy.lint.finding import Finding, Severity
from selab.policy.lint.names import ELSEWHERE, substituted
from selab.policy.lint.subject import ModuleUnderLint, closest

_BUILD_CONDITIONS = {"ifdef", "ifndef", "ifelse"}


def calls(module: ModuleUnderLint) -> Iterator[Finding]:
    """Report wrong calls in the .te, and broken interfaces in the module's own .if."""
    for call in module.calls:
        interface = module.table.get(call.name)
        if interface is not None:
            yield from _call(module, call, interface)
        elif call.name not in module.macros:
            yield _unknown(module, call)
    for interface in module.table:
        if interface.file == f"{module.module.name}.if" and interface.broken:
            message = f"The interface '{interface.name}' does not expand to policy: {interface.broken}."
            yield module.finding(interface.line, Severity.WARNING, "broken-interface", message, ending="if")


def _unknown(module: ModuleUnderLint, call: Call) -> Finding:
    """Report an unknown macro: as a warning inside a build condition, otherwise as an error."""
    severity = Severity.WARNING if _BUILD_CONDITIONS & set(call.inside) else Severity.ERROR
    near = module.table.get(closest(call.name, module.table.names))
    remedy = f"Did you mean {_proposal(module, call, near)}?" if near else ""
    return module.finding(
        call.line,
        severity,
        "unknown-interface",
        f"There is no interface '{call.name}' in the policy headers.",
        unrequired_hint(module.module, call.name) or remedy,
    )


def _proposal(module: ModuleUnderLint, call: Call, interface: Interface) -> str:
    """Return how to call an interface: the container template in the form that works everywhere."""
    if interface.name == TEMPLATE and interface.file != f"{module.module.name}.if":
        return call_with_requirement(module.module.name, call.arguments[:1])
    return signature(interface)


def _call(module: ModuleUnderLint, call: Call, interface: Interface) -> Iterator[Finding]:
    given, most = len(call.arguments), len(interface.parameters)
    elsewhere, _ = ELSEWHERE.get(call.name, (0, ""))
    if not interface.required <= given <= max(most, elsewhere):
        some = f"{interface.required} to {most}" if interface.required < most else str(most)
        message = f"'{call.name}' takes {some} argument{'' if some == '1' else 's'}, but gets {given}."
        # m4 silently drops surplus arguments and substitutes nothing for missing ones.
        severity = Severity.ERROR if given < interface.required else Severity.WARNING
        yield module.finding(
            call.line, severity, "arguments", message, f"Call it as {_proposal(module, call, interface)}."
        )
    if interface.deprecated:
        advice = substituted(interface.deprecated, call.arguments)[0]
        remedy = f"{advice[:1].upper()}{advice[1:]}."
        yield module.finding(
            call.line, Severity.WARNING, "deprecated", f"'{call.name}' is deprecated.", remedy
        )


def signature(interface: Interface) -> str:
    """Format a call of the interface: `files_etc_filetrans(domain, type [, name])`."""
    required = ", ".join(interface.parameters[: interface.required])
    optional = "".join(f" [, {name}]" for name in interface.parameters[interface.required :])
    return f"{interface.name}({required}{optional})"
