"""The modules by which tests/vm compare selab's linking with semodule's, on a policy with CentOS's names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selab.policy.candidate import compiled_all
from selab.policy.compile import link
from selab.policy.module import load_module
from selab.policy.toolchain import Toolchain, missing_on_host
from selab.project import find_project
from tests import centos_like

MODULES = Path(__file__).parents[2] / "vm" / "modules"


@pytest.mark.toolchain
def test_the_modules_compile_and_link_on_a_policy_like_centos(tmp_path: Path, tools: Toolchain) -> None:
    if missing_on_host():
        pytest.skip("no policy tools here")
    root, cache = tmp_path / "project", tmp_path / "compiled"
    shutil.copytree(MODULES, root / "policies")
    (root / "selab.yaml").write_text("policies: {equal_user: {requires: [equal_library]}}\n")
    cache.mkdir()
    project, base = find_project(root), centos_like.write_base(tmp_path / "centos")
    modules = {
        each.name: each
        for path in MODULES.glob("*.te")
        for each in compiled_all([load_module(project, path.stem)], base, tools, cache)
    }
    assert link(base, list(modules.values()), tools).binary
