"""Compile candidates that are written in CIL: resolve their blocks, macros and calls with the base policy.

The result is plain CIL with qualified names such as `my_web.process`. It links with the flat base, like a
compiled .te, so a candidate with blocks of its own needs no slower way.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from selab.errors import InputError, SelabError
from selab.guest import Completed
from selab.policy.base import BasePolicy
from selab.policy.compile import COMPILE_TIMEOUT, CompiledModule, types_in
from selab.policy.deny import MARK, disguised, revealed
from selab.policy.known_bases import modules_of
from selab.policy.language.cil_inherit import with_single_declarations
from selab.policy.language.cil_names import CONTENT, placed
from selab.policy.language.cil_permissions import Permissions
from selab.policy.language.cil_source import Statement, excerpt, parse, walk
from selab.policy.language.cil_tree import names_in, plain_statements, section
from selab.policy.module import PolicyModule, cil_text, parsed
from selab.policy.refusal import refused
from selab.policy.toolchain import Toolchain, knows_deny

REFUSALS = (239, 253, 254, 255)
"""Exit codes with which secil2tree refuses its input: libsepol's errors, but for lack of memory."""
DECLARING = (
    "boolean", "category", "categoryalias", "categoryaliasactual", "categoryorder", "categoryset", "class",
    "classcommon", "classmap", "classmapping", "classorder", "classpermission", "classpermissionset",
    "common", "context", "handleunknown", "ipaddr", "level", "levelrange", "mls", "policycap", "role",
    "roleattribute", "roletype", "sensitivity", "sensitivityalias", "sensitivityaliasactual",
    "sensitivitycategory", "sensitivityorder", "sid", "sidcontext", "sidorder", "type", "typealias",
    "typealiasactual", "typeattribute", "user", "userattribute", "userlevel", "userrange", "userrole",
)  # fmt: skip
"""Statements of the base policy that a name can refer to, with those that libsepol requires beside them."""
NAMING = (
    "block", "boolean", "category", "class", "classmap", "common", "macro", "role", "roleattribute",
    "sensitivity", "sid", "tunable", "type", "typealias", "typeattribute", "user",
)  # fmt: skip
"""Statements of which the second word is a new name."""
KEYWORDS = (
    *DECLARING, *NAMING,
    "allow", "allowx", "auditallow", "auditallowx", "blockabstract", "blockinherit", "booleanif",
    "call", "constrain", "defaultrange", "deny", "dontaudit", "dontauditx", "filecon", "fsuse",
    "genfscon", "in", "mlsconstrain", "neverallow", "neverallowx", "optional", "permissionx", "portcon",
    "rangetransition", "roleallow", "roleattributeset", "roletransition", "tunableif",
    "typeattributeset", "typebounds", "typechange", "typemember", "typepermissive", "typetransition",
)  # fmt: skip
"""Statements of CIL that a misspelt one may mean."""
LOOKED_IN = (
    "selab looks for blocks and macros in the policy, in what it requires, in policies/templates, in the "
    "guest's templates for udica and in its own."
)
OF_WHOLE_POLICIES = ("category", "class", "common", "sensitivity", "sid", "user")
"""What a module seldom declares. One that repeats the base policy's is probably a whole policy."""
WHOLE_POLICY = "A file with a whole policy cannot be a candidate: selab links it with the guest's policy."
NEWER = "It needs a newer secilc on this machine, or in the guest if this machine has none."
UNORDERED = "For a class of your own, write `(classorder (unordered CLASS))`."
NEW_TARGETS = ("notself", "other")
"""Words of newer versions of CIL for the target of a rule."""
REFERRING = ("blockinherit", "call", "in")
"""Statements that refer to a block or a macro."""
CUTOFF = 0.7
"""How alike a name must be to be suggested (difflib)."""
BASE = "base-declarations.cil"
"""The file with what the base policy declares."""

_DECLARING = re.compile(rf"^\((?:{'|'.join(DECLARING)}) [^\n]*$", re.MULTILINE)
_QUALIFIED = re.compile(rf"\(({'|'.join(NAMING)}) ([^\s()]+)\.([^\s().]+)(.*)$")
_NAMING = re.compile(rf"^\((?:{'|'.join(NAMING)}) ([^\s()]+)", re.MULTILINE)
_BLOCK = re.compile(r"\(block ([^\s()]+)")
_PERMISSIONS = re.compile(r"^\((?:class|common) \S+ \(([^()]*)\)", re.MULTILINE)
_AT = re.compile(r" at (?:\S*/)?([\w.-]+)\.cil:(\d{1,9})")
_UNKNOWN_KEYWORD = re.compile(r"Unknown keyword (\S{1,256})")
_DECLARED_TWICE = re.compile(r"Re-declaration of (\w+) (\S{1,256})")
_PREVIOUS = "Previous declaration"
_OTHER_ORDER = "Unable to merge ordered list"
_WORD = re.compile(r"[A-Za-z_][\w.-]*")


def compile_cil(
    module: PolicyModule,
    base: BasePolicy,
    tools: Toolchain,
    beside: Sequence[PolicyModule] = (),
    compiled: Sequence[CompiledModule] = (),
) -> CompiledModule:
    """Resolve `module`, which may use what the CIL modules `beside` and the `compiled` modules declare.

    Raises InputError with the file, the line and the name that is wrong.
    """
    installed = {*modules_of(base)}
    own = [each for each in (*beside, module) if each.name in installed and not each.is_template]
    texts = {each.name: cil_text(each) for each in (*beside, module)}
    trees = {each.name: parsed(each) for each in (*beside, module)}
    written, statements = texts, trees
    if tools.on_host and not knows_deny():
        written = {name: disguised(texts[name], tree) for name, tree in trees.items()}
        statements = {name: parse(text) for name, text in written.items()}
    workdir = f"{tools.workdir}/resolve"
    files = {
        f"{workdir}/{BASE}": f"{declarations(base.flat.read_text(), _declared(own))}(type {MARK})\n",
        **{f"{workdir}/compiled-{each.name}.cil": each.cil for each in compiled},
        **{
            f"{workdir}/{name}.cil": text
            for name, text in with_single_declarations(written, statements).items()
        },
    }
    for path, text in files.items():
        tools.where.put(text.encode(), path)
    done = tools.where.run(["secil2tree", "-A", "resolve", *files], timeout=COMPILE_TIMEOUT)
    if not done.ok:
        # secil2tree's last line for any error, which is no failure to write to a disk.
        done = replace(done, stderr=done.stderr.replace(b"Failed to write AST", b""))
        of_base = frozenset(_NAMING.findall(files[f"{workdir}/{BASE}"]))
        known = _names(files[f"{workdir}/{BASE}"], trees.values(), compiled)
        raise _resolve_error(module, (*beside, module), trees, done, known, of_base)
    tree_lines = done.text.splitlines()
    names = names_in(tree_lines)
    sections = {name: section(tree_lines, f"{workdir}/{name}.cil") for name in trees}
    plain = {name: [*revealed(plain_statements(lines, names))] for name, lines in sections.items()}
    permissions = Permissions([files[f"{workdir}/{BASE}"], *("\n".join(each) for each in plain.values())])
    cil = "".join(f"{permissions.explicit(statement)}\n" for statement in plain[module.name])
    return CompiledModule(module.name, cil, types_in(cil), module)


def _declared(modules: Iterable[PolicyModule]) -> frozenset[str]:
    """Return the names that the modules declare outside of blocks, with those of the blocks."""
    return frozenset(each.name for module in modules for each in module.statements if each.keyword in NAMING)


def declarations(flat: str, without: Collection[str] = ()) -> str:
    """Return what a candidate's names may refer to in the text of a flat base.

    A qualified name, which only a block can declare, is declared in one. Left out is what names one of
    `without`: what an installed candidate declares is in the base policy already.
    """
    lines, blocks = [], _Block()
    names = re.compile(rf"[\s(](?:{'|'.join(map(re.escape, without))})[.\s)]") if without else None
    for line in _DECLARING.findall(flat):
        if names and names.search(line):
            continue
        if declared := _QUALIFIED.match(line):
            keyword, path, name, rest = declared.groups()
            blocks.at(path.split(".")).lines.append(f"({keyword} {name}{rest}")
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in (*lines, *blocks.statements()))


@dataclass
class _Block:
    """Declarations in a block, and the blocks in it by their names."""

    lines: list[str] = field(default_factory=list)
    blocks: dict[str, _Block] = field(default_factory=dict)

    def at(self, path: Sequence[str]) -> _Block:
        block = self
        for name in path:
            block = block.blocks.setdefault(name, _Block())
        return block

    def statements(self) -> Iterator[str]:
        yield from self.lines
        for name, block in self.blocks.items():
            yield f"(block {name} {' '.join(block.statements())})"


def _names(base: str, trees: Iterable[Sequence[Statement]], compiled: Sequence[CompiledModule]) -> set[str]:
    """Return the words that statements may name: declared names, permissions and CIL's own words."""
    names = set(_NAMING.findall(base)) | set(_BLOCK.findall(base))
    for each in compiled:
        names |= set(_NAMING.findall(each.cil))
    for permissions in _PERMISSIONS.findall(base):
        names |= set(permissions.split())
    for tree in trees:
        names |= {statement.name for statement in walk(tree) if statement.keyword in NAMING}
    return names


def _resolve_error(
    module: PolicyModule,
    modules: Sequence[PolicyModule],
    trees: dict[str, tuple[Statement, ...]],
    done: Completed,
    known: set[str],
    of_base: frozenset[str],
) -> SelabError:
    """Return InputError if secil2tree refused a module's text, and SelabError if it failed."""
    lines = [line.strip() for line in done.error_text.splitlines() if line.strip()]
    if not refused(done, REFUSALS):
        return SelabError(
            f"The policy '{module.name}' could not be compiled.",
            f"secil2tree exited with status {done.returncode}: {lines[0][:200] if lines else 'no reason'}",
            f"Run `selab doctor`. {done.logged()}",
        )
    faulty, statement = _place(modules, trees, lines)
    position = f"{faulty.path}:{statement.line}" if statement else str(faulty.path)
    problem, hint = _problem(lines, statement, trees, known, of_base)
    shown = f": {excerpt(cil_text(faulty), statement)}" if statement else ""
    return InputError(
        f"{faulty.title} does not compile.",
        f"{position}: {problem}{shown}",
        hint or done.logged(),
    )


def _place(
    modules: Sequence[PolicyModule], trees: dict[str, tuple[Statement, ...]], lines: Sequence[str]
) -> tuple[PolicyModule, Statement | None]:
    """Return the module and the statement that the messages are about; libsepol names no column."""
    named = {each.name: each for each in modules}
    for line in sorted(lines, key=lambda each: each.startswith(_PREVIOUS)):
        if (place := _AT.search(line)) and place[1] in named:
            at_line = [each for each in walk(trees[place[1]]) if each.line == int(place[2]) and each.words]
            at_line.sort(key=lambda each: (f" {each.keyword} " not in line, not each.name))
            return named[place[1]], next(iter(at_line), None)
        if keyword := _UNKNOWN_KEYWORD.search(line):
            for name, tree in trees.items():
                for statement in walk(tree):
                    if statement.keyword == keyword[1]:
                        return named[name], statement
    return modules[-1], None


def _problem(
    lines: Sequence[str],
    statement: Statement | None,
    trees: dict[str, tuple[Statement, ...]],
    known: set[str],
    of_base: frozenset[str],
) -> tuple[str, str]:
    """Return what the messages say, in plain words, and a hint or an empty string."""
    first = lines[0] if lines else "secil2tree printed no reason"
    if keyword := _UNKNOWN_KEYWORD.search(first):
        if keyword[1] in KEYWORDS:
            return f"this secil2tree does not know '{keyword[1]}'", NEWER
        return f"CIL has no statement '{keyword[1]}'", _nearest(keyword[1], KEYWORDS)
    if repeated := _DECLARED_TWICE.search(first):
        return _redeclared(repeated[1], repeated[2], trees, of_base)
    if first.startswith(_OTHER_ORDER):
        return "this order contradicts that of the base policy", f"{UNORDERED} {WHOLE_POLICY}"
    return _unresolved(first, statement, known) if statement else (_AT.sub("", first), "")


def _redeclared(
    kind: str, name: str, trees: dict[str, tuple[Statement, ...]], of_base: frozenset[str]
) -> tuple[str, str]:
    what, hint = f"the {kind} '{name}' is declared already", "Rename one of the two, or remove it."
    if name not in of_base or _declares(trees, name) > 1:
        return what, hint
    return f"{what}, by the base policy", WHOLE_POLICY if kind in OF_WHOLE_POLICIES else hint


def _unresolved(message: str, statement: Statement, known: set[str]) -> tuple[str, str]:
    if unknown := _unknown(statement, known):
        if unknown in NEW_TARGETS:
            return f"'{unknown}' needs a secilc of version 3.6 or later", NEWER
        near = _nearest(unknown, known)
        return f"'{unknown}' is not declared", near or (LOOKED_IN if statement.keyword in REFERRING else "")
    if statement.keyword in REFERRING and message.startswith("Failed to resolve"):
        return f"'{statement.words[-1]}' is not declared in a block around this statement", LOOKED_IN
    if statement.keyword == "deny":
        message = message.replace("typepermissive", "deny").replace("neverallow", "deny")
    return _AT.sub("", message), ""


def _declares(trees: dict[str, tuple[Statement, ...]], name: str) -> int:
    """Return the largest number of the candidates' statements that declare the name in one block."""
    short = name.rpartition(".")[2]
    every = (each for tree in trees.values() for each in placed(tree))
    scopes = Counter(
        (each.scope, each.statement.keyword)
        for each in every
        if each.statement.keyword in NAMING and each.statement.name == short
    )
    return max(scopes.values(), default=0)


def _unknown(statement: Statement, known: set[str]) -> str:
    """Return the first word of a statement that nothing declares; what it contains is not looked at."""
    parts = (statement,) if statement.keyword in CONTENT else walk((statement,))
    words = (
        word
        for each in parts
        for word in (each.words[1:] if each is statement else each.words)
        if _WORD.fullmatch(word)
    )
    return next((word for word in words if not known.issuperset(word.split("."))), "")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), 1, CUTOFF)
    return f"Did you mean '{near[0]}'?" if near else ""
