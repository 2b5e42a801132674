"""Compare the policy that selab loads with the one that `semodule -i` builds.

They have the same rules, and make the same decisions about the modules' own types.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, ensure_base
from selab.policy.candidate import compiled_all
from selab.policy.compile import CompiledModule, _options, _output, _secilc, link, package
from selab.policy.contexts import file_contexts
from selab.policy.guest import module_store
from selab.policy.module import PolicyModule, load_module
from selab.policy.module_files import LANGUAGES
from selab.policy.query.decide import Access, Decider
from selab.policy.survey import survey
from selab.policy.toolchain import Toolchain, choose_toolchain
from selab.progress import Progress
from selab.project import Project, find_project
from selab.vm.ssh import SshGuest

MODULES = Path(__file__).parent / "modules"
NAMES = sorted(path.stem for ending in LANGUAGES for path in MODULES.glob(f"*.{ending}"))
_OF_DENY = re.compile(r"\(typeattribute(?:set)? (?:selab_deny|deny_rule_attr)_\d+[ )]")
_RULE = re.compile(r"\(allow ([\w.]+) ([\w.]+) \((\w+) \(([^()]+)\)\)\)")


@dataclass(frozen=True)
class Both:
    """Kernel policies with the modules, built in both ways.

    base: base policy of the guest.
    modules: the compiled modules.
    stored: the kernel's policy after `semodule -i`.
    fast: the policy that selab links.
    optimised: the policy that selab links, with the optimisation of semodule.
    store_contexts: text of the file contexts after `semodule -i`.
    """

    base: BasePolicy
    modules: list[CompiledModule]
    stored: Path
    fast: Path
    optimised: Path
    store_contexts: str


def dump(policy: Path) -> frozenset[str]:
    """Return the statements of a kernel policy, as checkpolicy writes them.

    A policy may have a statement twice, which changes nothing: how often the store has it depends on how its
    modules were linked. Left out are the attributes that the resolution of deny rules makes, but no rules.
    """
    text = policy.with_suffix(".dump")
    subprocess.run(
        ["checkpolicy", "-M", "-b", "-C", "-o", str(text), str(policy)], check=True, capture_output=True
    )
    return frozenset(
        line.strip() for line in text.read_text().splitlines() if not _OF_DENY.match(line.strip())
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, session_guest: SshGuest) -> Iterator[Both]:
    project, work = _project(tmp_path_factory.mktemp("equal")), tmp_path_factory.mktemp("work")
    tools = choose_toolchain(session_guest, work)
    base = ensure_base(session_guest, survey(NAMES).of(session_guest), tools, cache_dir(), Progress())
    everything = {
        each.name: (each, whole)
        for whole in (load_module(project, name) for name in NAMES)
        for each in whole.all
    }
    compiled = {
        each.name: each
        for whole in NAMES
        for each in compiled_all([load_module(project, whole)], base, tools, work)
    }
    modules = [compiled[name] for name in everything]
    module_store.install(
        session_guest,
        dict(_installed(each, whole, base, tools) for each, whole in everything.values()),
    )
    try:
        stored, fast, optimised = work / "stored", work / "fast", work / "optimised"
        stored.write_bytes(session_guest.get("/sys/fs/selinux/policy"))
        contexts = session_guest.get(
            f"/etc/selinux/{base.facts.selinux_type}/contexts/files/file_contexts"
        ).decode()
        fast.write_bytes(link(base, modules, tools).binary)
        done = _secilc(base, "", ["-O", *_options(base, True)], tools, modules, whole=False).expect("secilc")
        optimised.write_bytes(done.stdout if tools.on_host else tools.where.get(_output(tools)))
        yield Both(base, modules, stored, fast, optimised, contexts)
    finally:
        names = [word for name in everything for word in ("-r", name)]
        session_guest.run(
            ["semodule", "-X", str(module_store.PRIORITY), *names], timeout=module_store.REBUILD_TIMEOUT
        ).expect("semodule -r")


def _installed(
    module: PolicyModule, whole: PolicyModule, base: BasePolicy, tools: Toolchain
) -> tuple[str, bytes]:
    """Return the file of a module that `semodule -i` gets, with its name."""
    if module.language == "cil":
        return f"{module.name}.cil", module.texts["cil"]
    return f"{module.name}.pp", package(module, whole, base, tools)


def _project(root: Path) -> Project:
    shutil.copytree(MODULES, root / "policies")
    (root / "selab.yaml").write_text("policies: {equal_user: {requires: [equal_library]}}\n")
    return find_project(root)


def test_optimised_as_semodule_does_it_is_the_same_policy_rule_by_rule(both: Both) -> None:
    stored, ours = dump(both.stored), dump(both.optimised)
    assert (sorted(stored - ours)[:5], sorted(ours - stored)[:5]) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_that_is_loaded_decides_the_same_for(both: Both, name: str) -> None:
    """Compare decisions, because the fast policy has redundant rules.

    Both policies decide about every rule of either one that names a type of the module.
    """
    own = next(module.types for module in both.modules if module.name == name)
    accesses = sorted(
        {access for policy in (both.stored, both.fast) for access in _accesses(policy, own)}, key=str
    )
    answers = []
    for policy in (both.stored, both.fast):
        answers.append([decision.cause for decision in Decider(policy).decide(accesses)])
    assert accesses and answers[0] == answers[1]


def _accesses(policy: Path, own: frozenset[str]) -> Iterator[Access]:
    for line in dump(policy):
        if (rule := _RULE.search(line)) and own & {rule[1], rule[2]}:
            source, target = rule[1], rule[1] if rule[2] == "self" else rule[2]
            for permission in rule[4].split():
                yield Access(
                    f"system_u:system_r:{source}:s0", f"system_u:object_r:{target}:s0", rule[3], permission
                )


def test_the_file_contexts_are_the_same(both: Both) -> None:
    """Compare the lines without their order: semodule does not define the order of equally specific lines."""
    ours = _lines(file_contexts(both.base, both.modules).text)
    theirs = _lines(both.store_contexts)
    assert (sorted(theirs - ours)[:5], sorted(ours - theirs)[:5]) == ([], [])


def _lines(contexts: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(line.split()) for line in contexts.splitlines() if line.strip())
