"""The policy that selab loads is the one that `semodule -i` makes: rule by rule, and decision by decision for the modules' own types."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, ensure_base, survey
from selab.policy.candidate import compiled_all
from selab.policy.compile import CompiledModule, _options, link, package
from selab.policy.contexts import file_contexts
from selab.policy.guest import module_store
from selab.policy.module import load_module
from selab.policy.query.decide import Access, Decider
from selab.policy.toolchain import choose_toolchain
from selab.progress import Progress
from selab.project import Project, find_project
from selab.vm.ssh import SshGuest

MODULES = Path(__file__).parent / "modules"
NAMES = sorted(path.stem for path in MODULES.glob("*.te"))
_RULE = re.compile(r"\(allow (\w+) (\w+) \((\w+) \(([^()]+)\)\)\)")


@dataclass(frozen=True)
class Both:
    """The same modules in both ways, as the kernel's policy files: `stored` is what the kernel had after `semodule -i`."""

    base: BasePolicy
    modules: list[CompiledModule]
    stored: Path
    fast: Path
    optimised: Path
    store_contexts: str


def dump(policy: Path) -> Counter[str]:
    """The statements of a kernel policy, as checkpolicy writes them, with how often each comes."""
    text = policy.with_suffix(".dump")
    subprocess.run(
        ["checkpolicy", "-M", "-b", "-C", "-o", str(text), str(policy)], check=True, capture_output=True
    )
    return Counter(line.strip() for line in text.read_text().splitlines())


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
        for each in compiled_all(load_module(project, whole), base, tools, work)
    }
    modules = [compiled[name] for name in everything]
    module_store.install(
        session_guest, {name: package(each, whole, base, tools) for name, (each, whole) in everything.items()}
    )
    try:
        stored, fast, optimised = work / "stored", work / "fast", work / "optimised"
        stored.write_bytes(session_guest.get("/sys/fs/selinux/policy"))
        contexts = session_guest.get("/etc/selinux/default/contexts/files/file_contexts").decode()
        fast.write_bytes(link(base, modules, tools).binary)
        candidate = f"{tools.workdir}/candidate.cil"
        argv = [
            "secilc",
            "-O",
            *_options(base, True),
            "-o",
            str(optimised),
            "-f",
            "/dev/null",
            str(base.flat),
            candidate,
        ]
        tools.where.run(argv, timeout=300).expect("secilc")
        yield Both(base, modules, stored, fast, optimised, contexts)
    finally:
        names = [word for name in everything for word in ("-r", name)]
        session_guest.run(
            ["semodule", "-X", str(module_store.PRIORITY), *names], timeout=module_store.REBUILD_TIMEOUT
        ).expect("semodule -r")


def _project(root: Path) -> Project:
    shutil.copytree(MODULES, root / "policies")
    (root / "selab.yaml").write_text("policies: {equal_user: {requires: [equal_library]}}\n")
    return find_project(root)


def test_optimised_as_semodule_does_it_is_the_same_policy_rule_by_rule(both: Both) -> None:
    stored, ours = dump(both.stored), dump(both.optimised)
    assert (list((stored - ours).elements())[:5], list((ours - stored).elements())[:5]) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_that_is_loaded_decides_the_same_for(both: Both, name: str) -> None:
    """Unoptimised, it has redundant rules as well: both are asked about every rule of either that names a type of the module."""
    own = next(module.types for module in both.modules if module.name == name)
    asked = sorted(
        {access for policy in (both.stored, both.fast) for access in _accesses(policy, own)}, key=str
    )
    answers = []
    for policy in (both.stored, both.fast):
        answers.append([decision.cause for decision in Decider(policy).decide(asked)])
    assert asked and answers[0] == answers[1]


def _accesses(policy: Path, own: frozenset[str]) -> Iterator[Access]:
    for line in dump(policy):
        if (found := _RULE.search(line)) and own & {found[1], found[2]}:
            source, target = found[1], found[1] if found[2] == "self" else found[2]
            for permission in found[4].split():
                yield Access(
                    f"system_u:system_r:{source}:s0", f"system_u:object_r:{target}:s0", found[3], permission
                )


def test_the_file_contexts_are_the_same(both: Both) -> None:
    """The order among equally specific lines is nobody's promise; which lines there are, and their order of specificity, is."""
    ours = [line.split() for line in file_contexts(both.base, both.modules).text.splitlines()]
    theirs = [line.split() for line in both.store_contexts.splitlines() if line.strip()]
    assert sorted(ours) == sorted(theirs)
