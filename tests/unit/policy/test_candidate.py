"""No module is linked twice on its way into force, and several modules are compiled in parallel."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.host.sealed import write_sealed
from selab.policy import candidate
from selab.policy.base import BasePolicy
from selab.policy.candidate import WantedPolicy, _cached, _cached_policy, linked, linked_file
from selab.policy.compile import KernelPolicy
from selab.policy.guest.load import ANY
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import module


@pytest.mark.toolchain
def test_a_policy_is_linked_once(base: BasePolicy, tools: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    first = linked(base, [module("web", "")], tools)
    monkeypatch.setattr(candidate, "link", None)
    assert linked(base, [module("web", "")], tools) == first


@pytest.mark.toolchain
def test_why_it_took_the_whole_store_is_kept_with_it(base: BasePolicy, tools: Toolchain) -> None:
    reasons = [linked(base, [module("dangling", "")], tools).slow_because for _ in range(2)]
    assert reasons[0] == reasons[1] != ""


@pytest.mark.toolchain
def test_old_linked_policies_go(base: BasePolicy, tools: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "KEPT_LINKED", 1)
    old, new = (linked(base, [module(name, "")], tools) for name in ("old", "new"))
    assert [linked_file(tools, policy.digest).exists() for policy in (old, new)] == [False, True]


def test_what_may_be_in_force_is_asked_for_without_linking_it(base: BasePolicy, tools: Toolchain) -> None:
    policy = WantedPolicy(base, [module("web", "")], tools)
    assert (policy.digest in policy.flushed([]).arguments, Path(tools.workdir).exists()) == (True, False)


@pytest.mark.toolchain
def test_what_is_not_in_force_is_loaded(base: BasePolicy, tools: Toolchain) -> None:
    loaded, ask = WantedPolicy(base, [module("web", "")], tools).loaded([], Progress())
    assert (loaded.loaded, "/sys/fs/selinux/load" in ask.script) == (True, True)


def test_of_what_is_installed_whatever_is_in_force_is_flushed(base: BasePolicy, tools: Toolchain) -> None:
    assert WantedPolicy(base, [], tools, installed=True).flushed([]).arguments == (ANY,)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_compiled_module_that_came_with_the_repository_is_not_used(tmp_path: Path) -> None:
    """`git pull` can put it, with its digest, into a `.selab` that this user made."""
    path, digest = tmp_path / "web.json", sha256(b"(type evil_t)")
    entry = {"name": "web", "cil": "(type evil_t)", "types": ["evil_t"], "digest": digest, "seal": digest}
    path.write_text(json.dumps(entry))
    assert _cached(path) is None


def test_a_linked_policy_that_came_with_the_repository_is_not_used(tmp_path: Path) -> None:
    """The record beside it is selab's, and only the policy was replaced."""
    binary, record = tmp_path / "f00", tmp_path / "f00.why"
    binary.write_bytes(b"evil")
    write_sealed(record, {"slow_because": "", "binary": sha256(b"evil")})
    assert _cached_policy(binary, record, "f00") is None


def test_no_policy_is_linked_through_a_planted_link(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git pull` can put the link into a `.selab` that this user made."""
    monkeypatch.setattr(candidate, "link", lambda *_, **__: KernelPolicy(b"policy", "f00"))
    outside = tmp_path / "outside"
    outside.mkdir()
    Path(tools.workdir).mkdir()
    linked_file(tools, "").symlink_to(outside)
    with pytest.raises(SelabError, match="linked is not a directory"):
        linked(base, [], tools)
    assert not any(outside.iterdir())


def test_a_pipe_in_the_place_of_a_linked_policy_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f00")
    assert _cached_policy(tmp_path / "f00", tmp_path / "f00.why", "f00") is None
