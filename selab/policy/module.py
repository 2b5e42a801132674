"""Load a candidate as the user wrote it, with the templates that it uses."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from selab.errors import InputError
from selab.policy.language.cil_names import PROCESS
from selab.policy.language.cil_source import Statement, SyntaxFault, parse, walk
from selab.policy.module_files import (
    PROFILE,
    main_ending,
    main_file,
    read_texts,
    require_declared_name,
    require_policy,
    with_translation,
    without_mark,
    yaml_kind,
)
from selab.policy.store_archive import UDICA_TEMPLATES
from selab.project import CONFIG, IDENTIFIER, PolicyConfig, Project

OWN_TEMPLATES = Path(__file__).with_name("udica_templates")
"""selab's own templates: blocks that have the names and purposes of udica's."""
GUEST_TEMPLATES = Path("/", UDICA_TEMPLATES)
"""The guest's directory of templates. Their texts come from the base policy."""


@dataclass(frozen=True)
class PolicyModule:
    """A policy module's sources.

    name: name of the module.
    directory: directory of its files.
    texts: bytes of each file by its ending (`te`, `fc`, `if`, or `cil`), read once so that a run uses one
        version. A file in YAML has its translation as `cil`, with each statement in its line.
    requires: modules that selab.yaml says it requires, directly or indirectly, each after those that it
        requires, and the templates whose blocks its CIL inherits.
    is_template: whether it is one of these templates.
    available: for a module in CIL, the templates of the project and of selab.
    """

    name: str
    directory: Path
    texts: dict[str, bytes]
    requires: tuple[PolicyModule, ...] = ()
    is_template: bool = False
    available: tuple[PolicyModule, ...] = field(default=(), compare=False, repr=False)

    @property
    def title(self) -> str:
        """Return what an error about the module begins with."""
        kind = "The guest's template" if self.directory == GUEST_TEMPLATES else "The policy"
        return f"{kind} '{self.name}'"

    @property
    def replaced(self) -> tuple[str, ...]:
        """Return the names of the modules that the base policy must not contain beside this one.

        Other modules of the base policy may inherit from a template, whose abstract blocks add nothing to it.
        """
        return tuple(sorted(each.name for each in self.all if not each.is_template))

    @property
    def all(self) -> tuple[PolicyModule, ...]:
        """Return the required modules and the module itself, which are compiled and linked together."""
        return (*self.requires, self)

    @property
    def templates(self) -> tuple[PolicyModule, ...]:
        """Return the templates that it uses."""
        return tuple(each for each in self.requires if each.is_template)

    @property
    def path(self) -> Path:
        """Return the file that makes the module: its .te, its .cil or its profile."""
        return self.directory / f"{self.name}.{main_ending(self.texts)}"

    @property
    def language(self) -> str:
        """Return the language that is compiled: `te`, or `cil`, which a profile becomes."""
        return "cil" if "cil" in self.texts else "te"

    @property
    def is_yaml(self) -> bool:
        """Return whether the module is a profile of the security-profiles-operator or a UdicaPolicy."""
        return PROFILE in self.texts

    @cached_property
    def yaml_kind(self) -> str:
        """Return the kind that its YAML file names, or "" if it has none. The file is parsed once for it."""
        return yaml_kind(self.texts, self.path)

    def with_main(self, text: bytes) -> PolicyModule:
        """Return the module with another text of its main file. Raises InputError if it is no such file."""
        ending = main_ending(self.texts)
        return replace(self, texts=with_translation(self.texts | {ending: without_mark(text)}, self.path))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Return the statements of a module in CIL; none if it is not CIL, which its compilation reports."""
        try:
            return parse(self.texts.get("cil", b"").decode("utf-8", "backslashreplace"))
        except SyntaxFault:
            return ()

    @property
    def blocks(self) -> frozenset[str]:
        """Return the names of its blocks that are in no other block."""
        return frozenset(each.name for each in self.statements if each.keyword == "block")

    @property
    def inherited(self) -> set[str]:
        """Return the outermost blocks that it inherits from, calls macros of or extends."""
        named = ("blockinherit", "call", "in")
        return {each.name.partition(".")[0] for each in walk(self.statements) if each.keyword in named}

    @property
    def domain(self) -> str:
        """Return the domain of a container with this policy, unless the scenario names another type.

        It is NAME_t, or NAME.process if a block NAME declares or inherits that type.
        """
        blocks = (each for each in self.statements if each.words == ("block", self.name))
        return f"{self.name}.{PROCESS}" if any(map(_has_process, blocks)) else f"{self.name}_t"

    @property
    def digest(self) -> str:
        """Return a digest of every byte of every source."""
        whole = hashlib.sha256()
        for ending, text in sorted(self.texts.items()):
            whole.update(f"{ending} {len(text)}\n".encode() + text)
        return whole.hexdigest()

    @property
    def digest_of_all(self) -> str:
        """Return a digest of every source of the module, of what it requires and of its templates."""
        parts = sorted(f"{each.name} {each.is_template} {each.digest}\n" for each in self.all)
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def line(self, ending: str, number: int) -> str:
        """Return line `number` (from 1) of a source, or an empty string if it does not exist."""
        lines = self.texts.get(ending, b"").decode("utf-8", "backslashreplace").splitlines()
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _has_process(block: Statement) -> bool:
    return any(each.keyword == "blockinherit" or each.words == ("type", PROCESS) for each in block.lists)


def load_module(project: Project, name: str, *, above: tuple[str, ...] = ()) -> PolicyModule:
    """Load the policy module `name` of the project.

    `above` are the modules whose requirements led here. Raises InputError if the module is unknown or if its
    name differs from the file's.
    """
    require_policy(project, name)
    path = main_file(project, name)
    if not IDENTIFIER.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be a policy's name.",
            str(path),
            "Use letters, digits, '_', '.' and '-'; begin with a letter.",
        )
    texts = with_translation(read_texts(path, project.drafts or project.root), path)
    if "te" in texts:
        require_declared_name(name, path, texts["te"].decode("utf-8", "backslashreplace"))
    required = _required(project, name, above)
    available = tuple(all_templates(project)) if "cil" in texts else ()
    return with_templates(PolicyModule(name, project.policies, texts, required, available=available))


def with_templates(module: PolicyModule, of_guest: Sequence[PolicyModule] = ()) -> PolicyModule:
    """Return the module with the templates that declare the blocks which it and what it requires inherit.

    udica writes a policy that inherits the blocks of its templates. A file of the project comes before the
    guest's of the same name, and that one before selab's.
    """
    return _with_templates(module, of_guest, {})


def _with_templates(
    module: PolicyModule, of_guest: Sequence[PolicyModule], done: dict[str, PolicyModule]
) -> PolicyModule:
    """Return the module with its templates; `done` has the modules for which that is done, by their names."""
    if module.name not in done:
        required: dict[str, PolicyModule] = {}
        for other in module.requires:
            if not other.is_template:
                required |= {each.name: each for each in _with_templates(other, of_guest, done).all}
        available = in_order(module.available, of_guest) if module.language == "cil" else []
        templates = _templates(module, required.values(), available)
        done[module.name] = replace(module, requires=(*required.values(), *templates))
    return done[module.name]


def in_order(of_host: Iterable[PolicyModule], of_guest: Iterable[PolicyModule]) -> list[PolicyModule]:
    """Return one template of each name, that of the project or else the guest's or else selab's.

    Those of the project are last, as of two blocks with one name the last one counts.
    """
    own: dict[str, PolicyModule] = {}
    of_project: dict[str, PolicyModule] = {}
    for each in of_host:
        (own if each.directory == OWN_TEMPLATES else of_project)[each.name] = each
    guest = {each.name: each for each in of_guest if each.name not in of_project}
    hidden = guest.keys() | of_project.keys()
    return [
        *(each for name, each in own.items() if name not in hidden),
        *guest.values(),
        *of_project.values(),
    ]


def _templates(
    module: PolicyModule, required: Collection[PolicyModule], available: Collection[PolicyModule]
) -> Iterator[PolicyModule]:
    """Yield the templates that declare the blocks which the module's CIL inherits.

    Raises InputError if a block is in none of them, and a template of the guest is no CIL.
    """
    known = module.blocks.union(*(each.blocks for each in required))
    by_block: dict[str, PolicyModule] = {}
    for each in available:
        by_block |= dict.fromkeys(each.blocks - known, each)
    inheriting, chosen = [module], dict[str, PolicyModule]()
    taken = {each.name for each in required}
    while inheriting:
        for name in sorted(inheriting.pop().inherited):
            template = by_block.get(name)
            if template is None and name not in known:
                for other in available:
                    if other.directory == GUEST_TEMPLATES:
                        parsed(other)
            if template and template.name not in taken:
                taken.add(template.name)
                chosen[template.name] = template
                inheriting.append(template)
    yield from _ordered(chosen, by_block)


def _ordered(
    templates: Mapping[str, PolicyModule], by_block: Mapping[str, PolicyModule]
) -> list[PolicyModule]:
    """Return the templates, each after those that it inherits from: they may be installed one by one."""
    inherited = {
        name: [by_block[block].name for block in templates[name].inherited if block in by_block]
        for name in sorted(templates)
    }
    graph = {name: [each for each in names if each != name] for name, names in inherited.items()}
    try:
        return [templates[name] for name in TopologicalSorter(graph).static_order() if name in templates]
    except CycleError:
        # In a circle, which the compiler reports, or with blocks that do not inherit each other.
        return [*templates.values()]


def all_templates(project: Project) -> Iterator[PolicyModule]:
    """Yield the project's templates, and those of selab that no file of the project replaces.

    Raises InputError if a file of the project cannot be read.
    """
    files = {path.name: path for path in sorted(OWN_TEMPLATES.glob("*.cil"))}
    files |= {path.name: path for path in sorted(project.templates.glob("*.cil"))}
    for path in files.values():
        within = project.root if path.parent == project.templates else OWN_TEMPLATES
        yield PolicyModule(path.stem, path.parent, read_texts(path, within), is_template=True)


def cil_text(module: PolicyModule) -> str:
    """Return the CIL of a module. Raises InputError, with the line, if it is not UTF-8."""
    try:
        return module.texts["cil"].decode("utf-8")
    except UnicodeDecodeError as error:
        line = module.texts["cil"][: error.start].count(b"\n") + 1
        raise InputError(
            f"{module.title} is not UTF-8 text.",
            f"{module.path}:{line}: a byte is not valid.",
            "Save the file as UTF-8.",
        ) from error


def parsed(module: PolicyModule) -> tuple[Statement, ...]:
    """Return the statements of a module in CIL.

    Raises InputError, with the line, if its parentheses do not match or if it is not UTF-8.
    """
    try:
        return parse(cil_text(module))
    except SyntaxFault as fault:
        raise InputError(
            f"{module.title} does not compile.",
            f"{module.path}:{fault.line}: {fault.problem}",
            "Check the parentheses from this line on.",
        ) from fault


def _required(project: Project, name: str, above: tuple[str, ...]) -> tuple[PolicyModule, ...]:
    required: dict[str, PolicyModule] = {}
    for other in project.config.policies.get(name, PolicyConfig()).requires:
        if other in (*above, name):
            chain = " requires ".join((*above, name, other))
            raise InputError(
                "Two policies require each other.",
                chain,
                f"Remove one of the requirements from `policies:` in {project.root / CONFIG}.",
            )
        try:
            module = load_module(project, other, above=(*above, name))
        except InputError as error:
            raise InputError(
                f"The policy '{name}' requires '{other}': {error.what}", error.detail, error.hint
            ) from error
        required |= {each.name: each for each in module.all}
    return tuple(required.values())
