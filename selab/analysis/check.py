"""The review of a project's policies without a VM: compiled, linked with the last run's base policy, and linted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selab.analysis.offline import last_base
from selab.errors import InputError
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all, linked
from selab.policy.interfaces import InterfaceTable, interface_table, module_interfaces
from selab.policy.lint import Finding, Severity, lint, module_under_lint
from selab.policy.lint.finding import of_error
from selab.policy.lint.names import Vocabulary, vocabulary
from selab.policy.lint.selint import installed, selint
from selab.policy.lint.subject import text_of
from selab.policy.module import PolicyModule, load_module, policy_names, require_policy
from selab.policy.toolchain import Toolchain, host_toolchain
from selab.progress import Progress
from selab.project import Project


@dataclass(frozen=True)
class CheckResult:
    """What was found in `policies`, each with its findings; `remarks` say what could not be looked at."""

    policies: dict[str, tuple[Finding, ...]]
    remarks: tuple[str, ...]

    @property
    def findings(self) -> list[Finding]:
        return [finding for found in self.policies.values() for finding in found]

    @property
    def failed(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def check(project: Project, names: Sequence[str], progress: Progress) -> CheckResult:
    """Review the policies `names`, or all of the project.

    Raises InputError for a policy that there is none of, and SelabError where no base policy is known or the policy tools are missing.
    """
    for name in names:
        require_policy(project, name)
    base = last_base(project, progress)
    tools = host_toolchain(project.state / "policy", "A check", base.demands)
    with progress.step("Reading what the interfaces of the base policy grant"):
        table, of_base = interface_table(base), vocabulary(base)
    found = {}
    for name in dict.fromkeys(names or policy_names(project)):
        with progress.step(f"Checking {name}"):
            found[name] = tuple(_policy(project, name, base, tools, table, of_base))
    remarks = (
        ()
        if installed()
        else ("SELint is not installed, so its findings are not among these (Debian's package is `selint`).",)
    )
    return CheckResult(found, remarks)


def _policy(
    project: Project,
    name: str,
    base: BasePolicy,
    tools: Toolchain,
    table: InterfaceTable,
    of_base: Vocabulary,
) -> Iterator[Finding]:
    """What the compiler says comes first, unless the lint says the same line's mistake better."""
    file = project.policies / f"{name}.te"
    try:
        module = load_module(project, name)
        own = module_interfaces(
            base, {f"{each.name}.if": text_of(each, "if") for each in module.all if "if" in each.texts}
        )
    except InputError as error:
        yield of_error(error, "source", file)
        return
    linted = lint(module_under_lint(module, base, of_base, table, own))
    wrong = {(one.file, one.line) for one in linted if one.severity is Severity.ERROR}
    stopped = list(_built(project, module, base, tools))
    yield from (one for one in stopped if (one.file, one.line) not in wrong)
    yield from linted
    if installed() and not stopped:
        yield from selint(module, base)


def _built(project: Project, module: PolicyModule, base: BasePolicy, tools: Toolchain) -> Iterator[Finding]:
    """The mistake that stops the module from being compiled or linked, if there is one."""
    stage = "compile"
    try:
        candidates = compiled_all(module, base, tools, project.state / "compiled")
        stage = "link"
        linked(base, candidates, tools)
    except InputError as error:
        yield of_error(error, stage, module.te)
