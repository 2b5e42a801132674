"""Say in the user's own file and line what m4, checkmodule, the translator and secilc refuse."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError, SelabError
from selab.guest import Completed
from selab.policy.base import BasePolicy
from selab.policy.call_hints import interface_hint, template_hint, too_few_arguments
from selab.policy.fc_source import FORM, Entry, WrittenEntries, conflicts, entries, macro_words
from selab.policy.filecon import FileSpec, filecons
from selab.policy.language.te import Call, items, tokens, walk
from selab.policy.module import PolicyModule
from selab.policy.refusal import refused
from selab.policy.source_lines import cil_line, statement_line

COMPILE_REFUSALS = (1, 255)
"""Exit codes with which m4, checkmodule and semodule_package (1) and pp (255) refuse their input."""
LINK_REFUSALS = (1, 239, 253, 254, 255)
"""Exit codes with which secilc refuses its input: libsepol's errors, without the one for lack of memory."""

_ERROR = re.compile(
    r"^(?P<file>[^\s:]+\.(?:te|if)):(?P<line>\d+):\s*ERROR\s'?(?P<message>.{0,500}?)'? "
    r"at token '(?P<token>[^']*)'",
    re.MULTILINE,
)
_OTHER_ERROR = re.compile(
    r"^(?:.*?/)?(?P<file>[\w.-]+\.(?:te|if|fc)):(?P<line>\d+): *(?!Warning)(?:ERROR:? *)?(?P<message>.+)$",
    re.MULTILINE,
)
_ORPHAN = re.compile(
    r"hierarchy_add_(?P<kind>[a-z]{1,20})_callback: "
    r"(?P<parent>\S{1,256}) doesn't exist, (?P<child>\S{1,256}) is an orphan"
)
_CONTEXT = re.compile(r"^Invalid (?P<part>[\w ]+) in file context line: *(?P<path>\S+)", re.MULTILINE)
_UNDECLARED = re.compile(
    r"unknown (?P<kind>type|class|role|attribute|boolean) (?P<name>[\w.]+)"
    r"|(?P<declared>attribute) (?P<attribute>[\w.]+) is not declared"
)
_KINDS = {
    "type": ("type", ("type", "typealias")),
    "attribute": ("attribute", ("typeattribute",)),
    "role": ("role", ("role", "roleattribute")),
    "boolean": ("bool", ("boolean",)),
}
"""checkmodule's word for a kind of name, with those of a `require` block and of CIL."""
_NO_REQUIREMENT = "This block has no require section"
_PLAIN_MODULE = re.compile(r"^[^\S\n]*module\s+(\S+)\s+([^\s;]+)\s*;", re.MULTILINE)
_CARRIAGE_RETURN = re.compile(r"^[^#\n\r]*\r$", re.MULTILINE)
_CANDIDATE = re.compile(r"candidate\.cil:(\d{1,9})")
_REQUIRED = re.compile(r"\((?P<kind>\w+)attributeset cil_gen_require (?P<name>[^\s()]+)\)")
_EXTENDED = {"allowxperm", "auditallowxperm", "dontauditxperm", "neverallowxperm"}
_NETLINK_CIL = re.compile(r"^[^\S\n]*\(\w+x \S+ \S+ \(nlmsg ", re.MULTILINE)
_FILECON = re.compile(r'\(filecon "(?P<path>[^"]*)"')
_PLACE = re.compile(r" statement at \S+| at \S+:\d+$")


@dataclass(frozen=True)
class LinkedSource:
    """A module that is linked with the base policy.

    name: name of the module.
    cil: its CIL.
    source: the user's files, or None if they are unknown.
    """

    name: str
    cil: str
    source: PolicyModule | None


def compile_error(
    module: PolicyModule, done: Completed, base: BasePolicy, *, is_guest: bool = False
) -> SelabError:
    """Return InputError if the compiler refused the user's source, and SelabError if the compiler failed.

    A guest may answer anything, so only a message with the place of the error is a refusal of the guest.
    Standard error is read before standard output, which may be a half-written result.
    """
    what = f"The policy '{module.name}' does not compile."
    is_refused = refused(done, COMPILE_REFUSALS)
    for output in (done.error_text, done.text) if is_refused else ():
        if (orphan := _ORPHAN.search(output)) and (error := _orphan_error(module, orphan, what)):
            return error
        if (context := _CONTEXT.search(output)) and (error := _context_error(module, context, what)):
            return error
        if match := _ERROR.search(output) or _OTHER_ERROR.search(output):
            return _error_with_line(module, match, what, base)
    detail = _last_line(done) or f"`{done.argv[0]}` printed no reason."
    if is_refused and not is_guest:
        return InputError(what, detail, done.logged())
    return SelabError(
        f"The policy '{module.name}' could not be compiled.",
        f"The compiler exited with status {done.returncode}: {detail}",
        f"Run `selab doctor`. {done.logged()}",
    )


def _last_line(done: Completed) -> str:
    """Return the last line of standard error, or else of standard output, that is not make's."""
    for output in (done.error_text, done.text):
        lines = [line for line in output.splitlines() if line.strip() and not line.startswith("make")]
        if lines:
            return lines[-1].strip()[:200]
    return ""


def _error_with_line(module: PolicyModule, match: re.Match[str], what: str, base: BasePolicy) -> InputError:
    parts = match.groupdict()
    name, ending = parts["file"].rsplit("/", 1)[-1].rsplit(".", 1)
    text = module.line(ending, int(parts["line"])) if name == module.name else ""
    token = f" at '{parts['token']}'" if parts.get("token") else ""
    place = f"{module.directory / f'{name}.{ending}'}:{parts['line']}"
    detail = f"{place}: {parts['message']}{token}: {text}".rstrip(": ")
    calls = _calls(module, ending, int(parts["line"])) if name == module.name else []
    undeclared = _UNDECLARED.search(parts["message"])
    hint = _undeclared_hint(module, undeclared, calls, base) if undeclared else ""
    if calls and parts["message"].startswith(_NO_REQUIREMENT):
        hint = (
            f"'{calls[0].name}' requires nothing itself. Add gen_require(`type TYPE;') with the types that "
            "it uses before the call, in the same block."
        )
    return InputError(what, detail, hint or interface_hint(module, text, calls, base))


def _calls(module: PolicyModule, ending: str, line: int) -> list[Call]:
    """Return the calls at a line of the .te or the .if; for the line of a block, those in the block."""
    parsed = items(tokens(module.texts.get(ending, b"").decode("utf-8", "backslashreplace")))
    at_line = [item for item in walk(parsed) if item.line == line]
    return [item for item in walk(at_line[:1]) if isinstance(item, Call)]


def _orphan_error(module: PolicyModule, orphan: re.Match[str], what: str) -> InputError | None:
    """Return the error at the first use of the orphan; None if the module's .te does not contain it."""
    kind, parent, child = orphan.group("kind", "parent", "child")
    words = tokens(module.texts.get("te", b"").decode("utf-8", "backslashreplace"))
    line = next((word.line for word in words if word.text == child), 0)
    problem = f"{module.path}:{line}: {orphan_problem(kind, parent, child)}"
    return InputError(what, problem, orphan_remedy(parent, child)) if line else None


def orphan_problem(kind: str, parent: str, child: str) -> str:
    """Say what is wrong with a name with a dot whose first part is unknown."""
    return (
        f"The {kind} '{child}' is an orphan: its name says that it belongs to the {kind} '{parent}', "
        "which the module neither declares nor requires."
    )


def orphan_remedy(parent: str, child: str) -> str:
    """Say what to write in place of an orphan."""
    return (
        f"Declare or require '{parent}', or write a name without a dot. If a CIL block declares '{child}', "
        "as in udica's policies, only CIL can refer to it."
    )


def _context_error(module: PolicyModule, context: re.Match[str], what: str) -> InputError | None:
    """Return the error at the line of the .fc; None if the .fc does not contain the path."""
    line = WrittenEntries(module).line(FileSpec(context["path"], "", ""))
    written = " ".join(module.line("fc", line).split())
    problem = f"{module.path.with_suffix('.fc')}:{line}: invalid {context['part']}: {written}"
    return InputError(what, problem, FORM) if line else None


def _undeclared_hint(
    module: PolicyModule, undeclared: re.Match[str], calls: Iterable[Call], base: BasePolicy
) -> str:
    """Explain a name that the module uses and neither declares nor requires."""
    kind = undeclared["kind"] or undeclared["declared"]
    name = undeclared["name"] or undeclared["attribute"]
    plain = _PLAIN_MODULE.search(module.texts.get("te", b"").decode("utf-8", "backslashreplace"))
    if kind == "class" and plain:
        return (
            f"Begin the file with `policy_module({plain[1]}, {plain[2]})` in place of `module {plain[1]} "
            f"{plain[2]};`: it requires the classes that interfaces use."
        )
    if kind not in _KINDS:
        return ""
    word, keywords = _KINDS[kind]
    known = base.declared(*keywords)
    call = next((call for call in calls if name not in _arguments(call)), None)
    template = template_hint(module, call, name, known) if call and kind == "type" else ""
    if name in known:
        requirement = f"gen_require(`{word} {name};')"
        if call:
            return (
                f"'{call.name}' uses the {kind} '{name}' without requiring it. "
                f"{template or f'Add {requirement} before the call.'}"
            )
        return (
            f"The base policy declares the {kind} '{name}'. Add {requirement}, or call an interface for it."
        )
    if call is None:
        return ""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    meant = f" Did you mean the arguments that give {close[0]}?" if close else ""
    return too_few_arguments(module, call, base) or (
        f"'{call.name}' uses the {kind} '{name}', which neither the module nor the base policy declares."
        f"{f' {template}' if template else meant}"
    )


def _arguments(call: Call) -> set[str]:
    return {token.text for argument in call.arguments for token in argument}


def refuse_carriage_returns(module: PolicyModule) -> None:
    """Raise InputError if a line outside of comments ends with a carriage return.

    checkmodule refuses it, for an .if at the line that calls the interface, and in a .fc it becomes a part of
    the context.
    """
    for ending in ("te", "if", "fc"):
        text = module.texts.get(ending, b"").decode("utf-8", "backslashreplace")
        if match := _CARRIAGE_RETURN.search(text):
            file = module.path.with_suffix(f".{ending}")
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(
                f"The policy '{module.name}' does not compile.",
                f"{file}:{line}: The line ends with a carriage return, as on Windows.",
                f"Convert the file: sed -i 's/\\r$//' {file.name}",
            )


def refuse_netlink_messages(module: PolicyModule, cil: str = "") -> None:
    """Raise InputError if the module, or its `cil`, has an extended rule about netlink messages.

    Only libsepol 3.8 and Linux 6.13 know these rules. selab cannot tell what they deny.
    """
    place = str(module.path) if _NETLINK_CIL.search(cil) else ""
    for ending in ("if", "te"):
        text = module.texts.get(ending, b"").decode("utf-8", "backslashreplace")
        if line := _netlink_line(text):
            place = f"{module.path.with_suffix(f'.{ending}')}:{line}"
    if place:
        raise InputError(
            f"The policy '{module.name}' has rules that selab cannot judge.",
            f"{place}: selab does not evaluate extended rules about netlink messages (nlmsg).",
            "Allow `nlmsg` as a whole, with an `allow` rule, or test this policy without selab.",
        )


def _netlink_line(text: str) -> int | None:
    """Return the line of the first `nlmsg` in an extended rule."""
    is_extended = False
    for token in tokens(text) if "nlmsg" in text else ():
        if token.text == "nlmsg" and is_extended:
            return token.line
        is_extended = token.text != ";" and (is_extended or token.text in _EXTENDED)
    return None


def refuse_macro_words(module: PolicyModule, base: BasePolicy) -> None:
    """Raise InputError if m4 replaces a word of a path in the module's .fc."""
    text = module.texts.get("fc", b"").decode("utf-8", "backslashreplace")
    if word := next(macro_words(text, base), None):
        raise InputError(
            f"The policy '{module.name}' does not compile.",
            f"{module.path.with_suffix('.fc')}:{word.line}: {word.problem}",
            word.remedy,
        )


def refuse_invalid_contexts(module: PolicyModule, expanded: str, base: BasePolicy) -> None:
    """Raise InputError if a line of the .fc that m4 has `expanded` is no entry.

    The translator writes half a statement for some of these lines, and secilc then names its own file.
    """
    lines = (line.strip() for line in expanded.splitlines())
    if all(Entry(0, line).spec for line in lines if line and not line.startswith("#")):
        return
    for entry in entries(module, base):
        if entry.spec is None:
            raise InputError(
                f"The policy '{module.name}' does not compile.",
                f"{module.path.with_suffix('.fc')}:{entry.line}: This line is not a valid file context: "
                + " ".join(entry.text.split()),
                FORM,
            )


def refuse_conflicts(base: BasePolicy, modules: Iterable[LinkedSource]) -> None:
    """Raise InputError if the modules give a path another context than the base policy or each other."""
    others: list[tuple[str, FileSpec]] = []
    for module in modules:
        if source := module.source:
            fc, line_of = _file_contexts(source)
            own = [(line_of(spec), spec) for spec in filecons(module.cil)]
            for conflict in conflicts(own, others, base) if own else ():
                raise InputError(
                    "Two file contexts conflict.",
                    f"{f'{fc}:{conflict.line}' if conflict.line else fc}: {conflict.problem}",
                    conflict.remedy,
                )
            others += [(f"{fc}:{line}", spec) for line, spec in own]


def _file_contexts(source: PolicyModule) -> tuple[Path, Callable[[FileSpec], int]]:
    """Return the file with a module's file contexts, and what finds the line of one, or 0."""
    if source.language == "cil":
        return source.path, lambda spec: cil_line(source, f'(filecon "{spec.pattern}"')
    return source.path.with_suffix(".fc"), WrittenEntries(source).line


def link_error(
    base: BasePolicy, modules: Sequence[LinkedSource], done: Completed, *, expand: bool
) -> SelabError:
    """Return InputError if secilc refused the modules, and SelabError if secilc failed.

    The error is about candidate.cil, which is the CIL of `modules` in this order. `expand`: m4 runs on this
    machine, so a statement that an interface adds is found at the call.
    """
    names = " and ".join(f"'{module.name}'" for module in modules)
    lines = [line.strip() for line in done.error_text.splitlines() if line.strip()]
    if not refused(done, LINK_REFUSALS):
        reason = lines[0][:200] if lines else "secilc printed no reason."
        return SelabError(
            f"Linking the policy {names} with the guest's base policy failed.",
            f"secilc exited with status {done.returncode}: {reason}",
            f"Run `selab doctor`. {done.logged()}",
        )
    what = f"The policy {names} cannot be linked with the guest's base policy."
    reason = _PLACE.sub("", lines[0] if lines else "secilc printed no reason").rstrip(".:") + "."
    if rule := next((line for line in lines if line.startswith("(neverallow ")), ""):
        reason = f"The base policy forbids this with {rule}."
    elif never := next((line for line in lines if line.lower().startswith("neverallow")), ""):
        reason = _PLACE.sub("", never) + "."
    lines.sort(key=lambda line: not line.startswith("allow at "))
    place = next((match for line in lines if (match := _CANDIDATE.search(line))), None)
    module, statement = _statement(modules, int(place[1])) if place else (None, "")
    if module is None or module.source is None:
        return InputError(what, reason, done.logged())
    if required := _REQUIRED.search(statement):
        kind = {"type": "type or attribute"}.get(required["kind"], required["kind"])
        reason = f"The base policy has no {kind} '{required['name']}', which the module requires."
    return InputError(what, f"{_place(module, statement, base, expand)}: {reason}", done.logged())


def _statement(modules: Iterable[LinkedSource], line: int) -> tuple[LinkedSource | None, str]:
    """Return the module whose CIL has that line of candidate.cil, and the line."""
    for module in modules:
        lines = module.cil.split("\n")
        if line < len(lines) or (line == len(lines) and lines[-1]):
            return module, lines[line - 1].strip()
        line -= len(lines) - 1
    return None, ""


def _place(module: LinkedSource, statement: str, base: BasePolicy, expand: bool) -> str:
    """Return the user's file and line that a CIL statement comes from, as `FILE:LINE`."""
    source = module.source
    if source is None:
        return module.name
    if path := _FILECON.search(statement):
        spec = next(iter(filecons(statement)), FileSpec(path["path"], "", ""))
        file, line_of = _file_contexts(source)
        line = line_of(spec)
    else:
        file, line = source.path, statement_line(source, statement, base, expand=expand)
    return f"{file}:{line}" if line else str(file)
