"""Offer the macros and blocks that a candidate in CIL may use like interfaces.

A macro is an interface with the macro's parameters: `(call NAME (TYPES))`. A block is an interface whose only
parameter is the domain of the candidate's own block, which would inherit it: `(blockinherit NAME)`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from selab.advice.cil_grants import NotRead, Reader
from selab.advice.remedy import Kind
from selab.policy.interfaces import Interface, InterfaceTable
from selab.policy.language.cil_names import PROCESS, Placed, is_abstract, outwards, parameters, placed
from selab.policy.module import PolicyModule
from selab.policy.query.index import PolicyIndex

MAX_PARAMETERS = 9
"""An interface has the parameters `$1` to `$9`."""
MAX_INHERITED = 50
"""A block that inherits more blocks is not offered."""


def offers(module: PolicyModule, templates: Iterable[PolicyModule], index: PolicyIndex) -> InterfaceTable:
    """Return the macros and blocks that a candidate in CIL may use; none if it is a file in YAML.

    They are those of the candidate, of what it requires, and of `templates`, which its project could use. A
    block must be abstract, and the candidate's block must not inherit it yet. Of a template that the
    candidate does not use yet, macros outside of all blocks are left out: selab finds a template by the
    name of a block.
    """
    if module.is_yaml:
        return InterfaceTable([])
    own = [each for each in module.all if each.language == "cil"]
    others = [each for each in templates if each.name not in {used.name for used in own if used.is_template}]
    sources = [*((each, False) for each in others), *((each, True) for each in own)]
    return InterfaceTable(_Offers(module, sources, index))


class _Offers:
    """Iterates over what the CIL of some modules offers to a candidate.

    sources: the modules, each with whether the candidate is linked with it. Of two blocks or macros with one
        name, the last one counts.
    """

    def __init__(
        self, module: PolicyModule, sources: Sequence[tuple[PolicyModule, bool]], index: PolicyIndex
    ) -> None:
        self._blocks: dict[str, Placed] = {}
        self._macros: dict[str, Placed] = {}
        self._files: dict[str, str] = {}
        self._heir = module.name if module.domain == f"{module.name}.{PROCESS}" else ""
        self._reader = Reader(index, self._heir, self._macros)
        for source, linked in sources:
            for each in placed(source.statements):
                self._add(each, source.path.name, linked)

    def _add(self, each: Placed, file: str, linked: bool) -> None:
        keyword, name = each.statement.keyword, ".".join((*each.scope, each.statement.name))
        if any(outer.keyword != "block" for outer in each.inside):
            return
        if keyword == "block":
            self._blocks[name] = each
        elif keyword == "macro" and (linked or each.scope):
            self._macros[name] = each
            self._files[name] = file

    def __iter__(self) -> Iterator[Interface]:
        for name, macro in self._macros.items():
            count = len(parameters(macro.statement))
            hidden = not macro.scope and f"{self._heir}.{name}" in self._macros
            if not hidden and 0 < count <= MAX_PARAMETERS:
                with contextlib.suppress(NotRead):
                    yield self._macro(name, macro, count)
        known = self._known()
        for name, block in self._blocks.items() if known else ():
            if name not in known and is_abstract(block.statement):
                with contextlib.suppress(NotRead):
                    yield self._block(name, block, known)

    def _known(self) -> frozenset[str]:
        """Return the candidate's block and all that it inherits; nothing if they are not read."""
        with contextlib.suppress(NotRead):
            return frozenset(self._inherited(self._heir))
        return frozenset()

    def _macro(self, name: str, macro: Placed, count: int) -> Interface:
        named = tuple(f"${number}" for number in range(1, count + 1))
        summary = f"a macro of {self._files[name]}"
        return Interface(
            f"call {name}",
            Kind.MACRO,
            self._files[name],
            macro.statement.line,
            summary,
            named,
            count,
            grants=tuple(self._reader.macro(name)),
        )

    def _block(self, name: str, block: Placed, known: Collection[str]) -> Interface:
        """Return a block with what it inherits, without what the blocks `known` grant already."""
        inherited = self._inherited(name)
        if self._heir in inherited:
            raise NotRead("the candidate's own block")
        grants = self._reader.block([each for path, each in inherited.items() if path not in known])
        domain = f"{self._heir}.{PROCESS}"
        return Interface(
            f"blockinherit {name}",
            Kind.BLOCK,
            "",
            block.statement.line,
            "",
            (domain,),
            1,
            grants=tuple(grants),
        )

    def _inherited(self, name: str) -> dict[str, Placed]:
        """Return a block and all that it inherits, by their names. Raises NotRead if one is unknown."""
        waiting, reached = [name], dict[str, Placed]()
        while waiting:
            path = waiting.pop()
            if path in reached:
                continue
            if path not in self._blocks or len(reached) > MAX_INHERITED:
                raise NotRead(path)
            reached[path] = self._blocks[path]
            self._reader.spend(1 + len(reached[path].statement.lists))
            for each in reached[path].statement.lists:
                if each.keyword == "blockinherit":
                    inherited = (f"{prefix}{each.name}" for prefix in outwards(reached[path].scope))
                    waiting += [next((block for block in inherited if block in self._blocks), each.name)]
        return reached
