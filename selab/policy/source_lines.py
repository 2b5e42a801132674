"""Find the line of a module's source that a statement of compiled CIL comes from."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.fc_source import expanded_lines
from selab.policy.language import cil_source
from selab.policy.language.te import Block, Call, Item, Statement, items, tokens, walk
from selab.policy.macros import header_macros
from selab.policy.module import PolicyModule

_WORD = re.compile(r"[A-Za-z_][\w.]*")
_CIL_WORD = re.compile(r'"[^"]*"|[^\s()"]+')
_CIL_WORDS = frozenset({"cil_gen_require", "object_r", "optional", "booleanif", "true", "false"})


def statement_line(module: PolicyModule, statement: str, base: BasePolicy, *, expand: bool) -> int:
    """Return the line of the source with the most words of a line of CIL, or 0 if no line has any.

    With `expand`, the words of a call in a .te are those that m4 makes of it.
    """
    if module.language == "cil":
        return cil_line(module, statement)
    keyword, *words = _WORD.findall(statement) or [""]
    names = {word for word in words if word not in _CIL_WORDS}
    text = module.texts.get("te", b"").decode("utf-8", "backslashreplace")
    parsed = items(tokens(text))
    by_line = _expanded_words(module, base) if expand else {}
    if not by_line:
        by_line = {item.line: _words(item) for item in walk(parsed)}
    best = max(by_line, key=lambda line: (len(names & by_line[line]), -line), default=0)
    if not names & by_line.get(best, set()):
        return 0
    for item in walk(parsed):
        if isinstance(item, Block) and item.line == best:
            return _within(item, names) or best
    return best


def cil_line(module: PolicyModule, statement: str) -> int:
    """Return the line of the module's CIL with a statement like this one, or 0 if no statement is like it.

    It has the same keyword and most of the words; in the source, a name may lack the blocks that it is in.
    """
    keyword, *words = (word.rpartition(".")[2] for word in _CIL_WORD.findall(statement))
    alike = [
        (len(set(words) & _cil_words(each)), -each.line)
        for each in cil_source.walk(module.statements)
        if each.keyword == keyword
    ]
    count, line = max(alike, default=(0, 0))
    return -line if count else 0


def declaring_line(module: PolicyModule, type_name: str) -> int:
    """Return the line of the module's CIL that declares a type, or begins its block; 0 if none does."""
    block, _, name = type_name.rpartition(".")
    top = module.statements
    blocks = [each for each in top if each.words == ("block", block)]
    types = [each for each in cil_source.walk(blocks or top) if each.words == ("type", name)]
    return next((each.line for each in (*types, *blocks)), 0)


def _cil_words(statement: cil_source.Statement) -> set[str]:
    inner = (word for each in cil_source.walk((statement,)) for word in each.words)
    return {word.rpartition(".")[2] for word in inner}


def _within(block: Block, names: set[str]) -> int:
    """Return the line in `block` with the most of `names`: m4 reports one line for the whole block."""
    nested = [item for body in block.bodies for item in walk(body) if not isinstance(item, Block)]
    best = max(nested, key=lambda item: (len(names & _words(item)), -item.line), default=None)
    return best.line if best is not None and names & _words(best) else 0


def _words(item: Item) -> set[str]:
    match item:
        case Statement(words=words):
            return {word.text for word in words}
        case Call(arguments=arguments):
            return {word.text for argument in arguments for word in argument}
        case Block(head=head):
            return {word.text for word in head}


def _expanded_words(module: PolicyModule, base: BasePolicy) -> dict[int, set[str]]:
    """Return the words that m4 makes of each line of the .te; empty if m4 fails."""
    with tempfile.TemporaryDirectory(prefix="selab-lines-") as name:
        workdir = Path(name)
        for each in module.all:
            (workdir / f"{each.name}.if").write_bytes(each.texts.get("if", b""))
        (workdir / f"{module.name}.te").write_bytes(module.texts.get("te", b""))
        own = sorted(f"{each.name}.if" for each in module.all if each.texts.get("if"))
        done = header_macros(base).expand(workdir, [f"{module.name}.te"], own, lines=True)
    words: defaultdict[int, set[str]] = defaultdict(set)
    for entry in expanded_lines(done.text, f"{module.name}.te") if done.ok else ():
        words[entry.line].update(_WORD.findall(entry.text))
    return dict(words)
