"""`selab install`: put a policy into the guest's module store, and prove that it works from there."""

from __future__ import annotations

from selab.errors import InputError
from selab.guest import Guest
from selab.host.cache import cache_dir
from selab.machine import Machine
from selab.policy.base import BasePolicy, ensure_base
from selab.policy.candidate import compiled_all
from selab.policy.compile import package
from selab.policy.contexts import file_contexts
from selab.policy.guest import module_store
from selab.policy.module import PolicyModule, load_module
from selab.policy.on_base import on_base
from selab.policy.survey import survey
from selab.policy.toolchain import GUEST_WORKDIR, Toolchain, choose_toolchain
from selab.progress import Progress
from selab.project import Project
from selab.run.experiment import Run, run_on
from selab.run.request import Request, RunOptions, make_plan
from selab.scenario.load import load_scenario, scenario_names
from selab.vm.lock import vm_lock


def scenario_for(project: Project, policy: str) -> str:
    """Return the scenario whose candidate is `policy`. Raises InputError unless there is exactly one."""
    names = [name for name in scenario_names(project) if load_scenario(project, name).policy == policy]
    if len(names) == 1:
        return names[0]
    detail = f"These use it: {', '.join(names)}." if names else "No scenario of the project uses it."
    hint = f"Name one with --scenario, or write one: `selab new scenario {policy} --policy {policy}`."
    raise InputError(f"It is not clear which scenario proves the policy '{policy}'.", detail, hint)


def install(project: Project, machine: Machine, policy: str, scenario: str, progress: Progress) -> Run:
    """Install `policy` with what it requires, and run `scenario` in enforcing mode under the store's policy.

    The guest's own tools compile the policy, because the guest may be unable to read the package of a newer
    compiler.
    """
    plan = make_plan(project, Request(scenario, policy), RunOptions(installed=True))
    module = load_module(project, policy)  # refuses `none`: the base policy is there already
    with vm_lock(project, f"selab install {policy}", progress):
        with progress.step("Making sure that the VM is up", "vm"):
            guest = machine.ensure(progress)
        with progress.step("Compiling with the guest's own tools", "package"):
            base, module, places = _prepared(guest, project, module, progress)
            packages = {
                f"{each.name}.{'cil' if each.language == 'cil' else 'pp'}": package(
                    each, module, base, Toolchain(guest, GUEST_WORKDIR)
                )
                for each in module.all
            }
        for name in base.facts.replaced:
            progress.note(
                f"'{name}' replaces the guest's own module of that name, until `selab uninstall {name}`."
            )
        with progress.step("Installing: the guest rebuilds its whole policy", "install"):
            module_store.install(guest, packages)
            module_store.relabel(guest, places)
        return run_on(guest, machine, project, plan, progress)


def uninstall(project: Project, machine: Machine, policy: str, progress: Progress) -> None:
    """Remove `policy` from the store, but not what it requires. Raises InputError if it is not installed."""
    module = load_module(project, policy)
    with vm_lock(project, f"selab uninstall {policy}", progress):
        with progress.step("Making sure that the VM is up", "vm"):
            guest = machine.ensure(progress)
        if not module_store.is_installed(guest, policy):
            detail = f"The guest's store has no module of that name at priority {module_store.PRIORITY}."
            hint = "`selab install` installs a policy; `selab run` does not."
            raise InputError(f"The policy '{policy}' is not installed.", detail, hint)
        with progress.step("Finding the files that it labels"):
            _, _, places = _prepared(guest, project, module, progress)
        with progress.step("Uninstalling: the guest rebuilds its whole policy", "uninstall"):
            module_store.uninstall(guest, policy)
            module_store.relabel(guest, places)


def _prepared(
    guest: Guest, project: Project, module: PolicyModule, progress: Progress
) -> tuple[BasePolicy, PolicyModule, tuple[str, ...]]:
    """Return the base policy without the module, and the module with the templates that it uses there.

    Also returns the guest's paths that its file contexts may label.
    """
    workdir = project.own_directory("policy")
    facts = survey(module.replaced).of(guest)
    base = ensure_base(guest, facts, choose_toolchain(guest, workdir), cache_dir(), progress)
    tools = choose_toolchain(guest, workdir, base.demands)
    module = on_base(module, base)
    modules = compiled_all([module], base, tools, project.own_directory("compiled"))
    return base, module, file_contexts(base, modules).places
