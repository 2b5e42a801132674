"""Compare the CIL that this machine compiles with what the guest's own Makefile and tools build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selab.host.cache import cache_dir
from selab.policy.base import BasePolicy, ensure_base
from selab.policy.compile import compile_module
from selab.policy.module import PolicyModule, load_module
from selab.policy.survey import survey
from selab.policy.toolchain import GUEST_WORKDIR, Toolchain, host_toolchain
from selab.progress import Progress
from selab.project import Project, find_project
from selab.vm.ssh import SshGuest

MODULES = Path(__file__).parent / "modules"
POLICIES = Path(__file__).parents[2] / "policies"
NAMES = sorted(path.stem for directory in (MODULES, POLICIES) for path in directory.glob("*.te"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("compile")
    shutil.copytree(MODULES, root / "policies")
    shutil.copytree(POLICIES, root / "policies", dirs_exist_ok=True)
    (root / "selab.yaml").write_text("policies: {equal_user: {requires: [equal_library]}}\n")
    return find_project(root)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    return host_toolchain(tmp_path_factory.mktemp("work"), "this test")


@pytest.fixture(scope="module")
def guest_base(session_guest: SshGuest, here: Toolchain) -> BasePolicy:
    return ensure_base(session_guest, survey(NAMES).of(session_guest), here, cache_dir(), Progress())


@pytest.mark.parametrize("name", NAMES)
def test_this_machines_cil_is_that_of_the_guests_makefile(
    name: str, sources: Project, guest_base: BasePolicy, here: Toolchain, session_guest: SshGuest
) -> None:
    module: PolicyModule = load_module(sources, name)
    theirs = compile_module(
        module, guest_base, Toolchain(session_guest, GUEST_WORKDIR), list(module.requires)
    )
    assert compile_module(module, guest_base, here, list(module.requires)).cil == theirs.cil
