"""`selab check`: compile, link and lint a project's policies without a VM."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selab.analysis.entry import unenterable
from selab.analysis.offline import base_for, last_base
from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all, linked, linked_file
from selab.policy.compile import CompiledModule
from selab.policy.guest_templates import sources_of_templates
from selab.policy.interfaces import InterfaceTable, interface_table, module_interfaces
from selab.policy.known_bases import modules_of
from selab.policy.language import cil_names
from selab.policy.lint import Finding, ModuleUnderLint, Severity, lint, module_under_lint
from selab.policy.lint.cil import CilUnderLint, lint_cil, names_of_base
from selab.policy.lint.finding import of_error
from selab.policy.lint.names import Names, Vocabulary, vocabulary
from selab.policy.lint.selint import installed, selint
from selab.policy.lint.subject import text_of
from selab.policy.module import PolicyModule, load_module
from selab.policy.module_files import PROFILE, main_file, policy_names, require_policy
from selab.policy.on_base import on_base
from selab.policy.selinux_profile import refused_at
from selab.policy.source_lines import declaring_line
from selab.policy.toolchain import Toolchain, host_toolchain
from selab.policy.udica_policy import KIND
from selab.progress import Progress
from selab.project import Project

NO_SELINT = "SELint is not installed, so its findings are missing. Debian's package is `selint`."


@dataclass(frozen=True)
class CheckResult:
    """The findings of a check.

    policies: the findings by policy.
    remarks: what could not be checked.
    """

    policies: dict[str, tuple[Finding, ...]]
    remarks: tuple[str, ...]

    @property
    def findings(self) -> list[Finding]:
        """The findings of all policies."""
        return [finding for findings in self.policies.values() for finding in findings]

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def check(project: Project, names: Sequence[str], progress: Progress) -> CheckResult:
    """Check the policies `names`, or all policies of the project.

    Raises InputError for an unknown policy, and SelabError if no base policy is known or the policy tools are
    missing.
    """
    for name in names:
        require_policy(project, name)
    base = last_base(project, progress)
    with progress.step("Reading what the interfaces of the base policy grant"):
        against = _against(project, base)
    findings = {}
    for name in dict.fromkeys(names or policy_names(project)):
        with progress.step(f"Checking {name}"):
            findings[name] = tuple(_policy(project, name, against, progress))
    # SELint reads no CIL.
    in_te = any((project.policies / f"{name}.te").exists() for name in findings)
    remarks = () if installed() or not in_te else (NO_SELINT,)
    return CheckResult(findings, remarks)


@dataclass(frozen=True)
class _Against:
    """What policies are checked against.

    base: the base policy.
    tools: the tools that compile and link with it.
    table: its interfaces.
    names: the names that it declares, for a .te.
    """

    base: BasePolicy
    tools: Toolchain
    table: InterfaceTable
    names: Vocabulary

    @functools.cached_property
    def names_in_cil(self) -> cil_names.Vocabulary:
        """Return the names that it declares, for a .cil."""
        return names_of_base(self.base)


def _against(project: Project, base: BasePolicy) -> _Against:
    tools = host_toolchain(project.own_directory("policy"), "A check", base.demands)
    return _Against(base, tools, interface_table(base), vocabulary(base))


def _policy(project: Project, name: str, against: _Against, progress: Progress) -> Iterator[Finding]:
    """Find what is wrong with a policy. A lint error replaces the compiler's error about the same line.

    `progress` notes from which places its templates come.
    """
    file, base = project.policies, against.base
    try:
        file = main_file(project, name)
        module = load_module(project, name)
        if {*module.replaced} & {*modules_of(base)} and (other := base_for(project, base, module.replaced)):
            against, base = _against(project, other), other
        module = on_base(module, base)
        own = module_interfaces(
            base, {f"{each.name}.if": text_of(each, "if") for each in module.all if "if" in each.texts}
        )
    except InputError as error:
        yield of_error(error, "source", file)
        return
    for sentence in sources_of_templates(module):
        progress.note(sentence)
    subject = module_under_lint(module, base, against.names, against.table, own)
    repeated = {*module.replaced} & set(modules_of(base))
    built = _build(project, module, base, against.tools, links=not repeated)
    linted = _linted(project, module, subject, against, built)
    linted_lines = {(finding.file, finding.line) for finding in linted if finding.severity is Severity.ERROR}
    for each in module.all:
        if each.name in repeated | set(base.facts.replaced):
            yield _replacement(each, not_linked=each.name in repeated)
    if isinstance(built, Finding):
        yield from [] if (built.file, built.line) in linted_lines else [built]
        yield from linted
        return
    yield from linted
    candidates, policy = built
    line_of = subject.line_of if module.language == "te" else functools.partial(declaring_line, module)
    if policy:
        yield from unenterable(project, module, base, candidates, policy, line_of)
    if installed() and module.language == "te":
        yield from selint(module, base)


def _linted(
    project: Project,
    module: PolicyModule,
    subject: ModuleUnderLint,
    against: _Against,
    built: tuple[list[CompiledModule], Path | None] | Finding,
) -> list[Finding]:
    """Check the text of a policy by the rules for its language."""
    if module.is_yaml:
        return [] if module.yaml_kind == KIND else [*refused_by_operator(module)]
    if module.language == "te":
        return lint(subject)
    return _lint_cil(project, module, subject.beside, against, built)


def refused_by_operator(module: PolicyModule) -> Iterator[Finding]:
    """Find what the security-profiles-operator refuses in a profile, unless its configuration allows it."""
    for line, words in refused_at(module.texts[PROFILE].decode(), module.path):
        message = f"The security-profiles-operator refuses the {words} by default."
        remedy = "Allow it in the operator's configuration, or use a RawSelinuxProfile."
        yield Finding(module.path, line, Severity.WARNING, "operator-refuses", message, remedy)


def _lint_cil(
    project: Project,
    module: PolicyModule,
    beside: tuple[Names, ...],
    against: _Against,
    built: tuple[list[CompiledModule], Path | None] | Finding,
) -> list[Finding]:
    """Check the text of a policy in CIL, with what it compiles to if it does."""
    plain = None if isinstance(built, Finding) else built[0][-1].cil
    requirers = (config.requires for config in project.config.policies.values())
    is_required = any(module.name in requires for requires in requirers)
    names = against.names_in_cil
    return lint_cil(CilUnderLint(module, against.base, names, beside, plain, is_required))


def _replacement(module: PolicyModule, *, not_linked: bool) -> Finding:
    """Say that the module has the name of a module of the base policy."""
    message = (
        f"The base policy has a module '{module.name}' too. A run and `selab install` replace it by this one."
    )
    remedy = f"If you do not want that, rename this module, for example to my_{module.name}."
    if not_linked:
        remedy += " It was not linked with the base policy, which contains the other one; a run does that."
    return Finding(module.path, 0, Severity.WARNING, "replaces-module", message, remedy)


def _build(
    project: Project, module: PolicyModule, base: BasePolicy, tools: Toolchain, *, links: bool
) -> tuple[list[CompiledModule], Path | None] | Finding:
    """Compile the module and, if it `links`, link it.

    Returns the modules and the linked policy's file, or the error that stops that.
    """
    stage = "compile"
    try:
        candidates = compiled_all([module], base, tools, project.own_directory("compiled"))
        stage = "link"
        file = linked_file(tools, linked(base, candidates, tools).digest) if links else None
        return candidates, file
    except InputError as error:
        return of_error(error, stage, module.path)
