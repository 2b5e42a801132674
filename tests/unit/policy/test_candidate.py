"""No module is linked twice on its way into force, and several modules are compiled in parallel."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.host.sealed import write_sealed
from selab.policy import candidate
from selab.policy.base import BasePolicy
from selab.policy.candidate import (
    LoadedPolicy,
    WantedPolicy,
    _cached,
    _cached_policy,
    compiled,
    compiled_all,
    linked,
    linked_file,
    require_type,
)
from selab.policy.compile import CompiledModule, KernelPolicy, policy_digest
from selab.policy.guest.load import ANY
from selab.policy.module import PolicyModule
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.conftest import module
from tests.unit.fakes import FakeGuest, Notes


@pytest.mark.toolchain
def test_a_policy_is_linked_once(base: BasePolicy, tools: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
    first = linked(base, [module("web", "")], tools)
    monkeypatch.setattr(candidate, "link", None)
    assert linked(base, [module("web", "")], tools) == first


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


# --- caches: what counts, and what is believed --------------------------------------------------------------


@dataclass
class Compiler:
    """Replaces the compiler and the linker, and records each call."""

    calls: list[tuple[str, ...]] = field(default_factory=list)
    slow_because: str = ""

    def compile(
        self, source: PolicyModule, base: BasePolicy, tools: Toolchain, beside: Sequence[PolicyModule]
    ) -> CompiledModule:
        self.calls.append((source.name, *(each.name for each in beside)))
        return CompiledModule(source.name, "(type web_t)", frozenset({"web_t"}))

    def link(
        self,
        base: BasePolicy,
        candidates: Sequence[CompiledModule],
        tools: Toolchain,
        *,
        permissive: str,
        dontaudit: bool,
    ) -> KernelPolicy:
        self.calls.append((*(each.name for each in candidates), permissive, str(dontaudit)))
        digest = policy_digest(base, candidates, permissive=permissive, dontaudit=dontaudit)
        return KernelPolicy(b"linked", digest, self.slow_because)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    compiler = Compiler()
    monkeypatch.setattr(candidate, "compile_module", compiler.compile)
    monkeypatch.setattr(candidate, "link", compiler.link)
    return compiler


def source(name: str, text: bytes = b"x") -> PolicyModule:
    return PolicyModule(name, Path("/p"), {"te": b"", "if": text})


def test_a_module_is_compiled_once_with_the_same_sources_and_the_same_base(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, tmp_path: Path
) -> None:
    web, other = source("web"), source("other")
    results = [compiled(web, base, tools, tmp_path, [other]) for _ in range(2)]
    assert compiler.calls == [("web", "other")]
    assert results[0] == results[1] == CompiledModule("web", "(type web_t)", frozenset({"web_t"}))
    assert [result.source for result in results] == [web, web]


@pytest.mark.parametrize(
    "change", ["module", "module beside", "fewer modules", "base", "import", "machine", "format"]
)
def test_a_module_is_compiled_again_after_a_change_of(
    base: BasePolicy,
    tools: Toolchain,
    compiler: Compiler,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    web, beside = source("web"), [source("other")]
    compiled(web, base, tools, tmp_path, beside)
    match change:
        case "module":
            web = source("web", b"y")
        case "module beside":
            beside = [source("other", b"y")]
        case "fewer modules":
            beside = []
        case "base":
            base = replace(base, facts=replace(base.facts, fingerprint="e" * 64))
        case "import":
            base = replace(base, imported="e" * 64)
        case "machine":
            tools = Toolchain(FakeGuest(), tools.workdir)
        case "format":
            monkeypatch.setattr(candidate, "CACHE_FORMAT", 0)
    compiled(web, base, tools, tmp_path, beside)
    assert len(compiler.calls) == 2


def test_each_required_module_is_compiled_beside_the_others(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, tmp_path: Path
) -> None:
    web = replace(source("web"), requires=(source("a"), source("b")))
    assert [each.name for each in compiled_all([web], base, tools, tmp_path)] == ["a", "b", "web"]
    assert compiler.calls == [("a", "b", "web"), ("b", "a", "web"), ("web", "a", "b")]


def test_old_compiled_modules_go(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "KEPT", 1)
    for time, name in enumerate(("old", "new")):
        compiled(source(name), base, tools, tmp_path)
        os.utime(next(tmp_path.glob(f"{name}-*.json")), (time, time))
    assert [path.name.partition("-")[0] for path in tmp_path.glob("*.json")] == ["new"]


def test_a_linked_policy_is_read_from_the_cache_with_why_it_took_long(
    base: BasePolicy, tools: Toolchain, compiler: Compiler
) -> None:
    compiler.slow_because = "it uses CIL's 'call'"
    policies = [linked(base, [module("web", "")], tools) for _ in range(2)]
    assert policies[0] == policies[1] and policies[0].slow_because
    assert compiler.calls == [("web", (), "True")]


@pytest.mark.parametrize("damage", [lambda data: b"linker", lambda data: data[:-1], lambda data: b""])
def test_a_damaged_linked_policy_is_linked_again(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, damage: Callable[[bytes], bytes]
) -> None:
    policy = linked(base, [module("web", "")], tools)
    file = linked_file(tools, policy.digest)
    file.write_bytes(damage(file.read_bytes()))
    assert linked(base, [module("web", "")], tools).binary == b"linked"
    assert (len(compiler.calls), file.read_bytes()) == (2, b"linked")


def test_a_linked_policy_of_another_digest_is_not_taken_for_this_one(
    base: BasePolicy, tools: Toolchain, compiler: Compiler
) -> None:
    """Both files, the policy and its record, are selab's own and belong together."""
    policy = linked(base, [module("web", "")], tools)
    other = policy_digest(base, [module("other", "")])
    for ending in ("", ".why"):
        copy = linked_file(tools, other).with_suffix(ending)
        copy.write_bytes(linked_file(tools, policy.digest).with_suffix(ending).read_bytes())
        copy.chmod(0o600)
    linked(base, [module("other", "")], tools)
    assert compiler.calls[-1] == ("other", (), "True")


@pytest.mark.parametrize("options", [{"permissive": ("web_t",)}, {"dontaudit": False}])
def test_a_policy_is_linked_for_the_mode_of_its_run(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, options: dict[str, Any]
) -> None:
    linked(base, [module("web", "")], tools)
    WantedPolicy(base, [module("web", "")], tools, **options).loaded([], Progress())
    words = {"permissive": (), "dontaudit": True} | options
    assert compiler.calls[-1] == ("web", words["permissive"], str(words["dontaudit"]))


def test_the_linked_policies_that_were_used_last_stay(
    base: BasePolicy, tools: Toolchain, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "KEPT_LINKED", 2)
    first, second = (linked(base, [module(name, "")], tools).digest for name in ("first", "second"))
    for time, digest in enumerate((first, second)):
        os.utime(linked_file(tools, digest).with_suffix(".why"), (time, time))
    linked(base, [module("first", "")], tools)
    third = linked(base, [module("third", "")], tools).digest
    assert {path.name for path in linked_file(tools, "").glob("*") if not path.suffix} == {first, third}
    assert len(list(linked_file(tools, "").glob("*.why"))) == 2


def test_a_policy_that_the_guest_linked_is_not_cached_here(
    base: BasePolicy, compiler: Compiler, tmp_path: Path
) -> None:
    tools = Toolchain(FakeGuest(), str(tmp_path / "none"))
    for _ in range(2):
        linked(base, [module("web", "")], tools)
    assert (len(compiler.calls), (tmp_path / "none").exists()) == (2, False)


def test_the_user_is_told_why_linking_took_long(
    base: BasePolicy, tools: Toolchain, compiler: Compiler
) -> None:
    compiler.slow_because, notes = "it uses CIL's 'call'", Notes()
    policy, query = WantedPolicy(base, [module("web", "")], tools).loaded(["u:r:web_t:s0"], notes)
    assert policy.slow_because in notes.notes[0] and policy.slow_because in policy.notes[0]
    assert (query.arguments, query.input) == ((policy.digest, "u:r:web_t:s0"), b"linked")
    assert (policy.loaded, policy.types) == (True, {"web_t"})


def test_a_policy_that_was_linked_quickly_needs_no_note(
    base: BasePolicy, tools: Toolchain, compiler: Compiler
) -> None:
    notes = Notes()
    policy, _ = WantedPolicy(base, [module("web", "")], tools).loaded([], notes)
    assert (notes.notes, policy.notes) == ([], ())


def test_a_policy_in_force_is_described_by_its_own_digest(base: BasePolicy, tools: Toolchain) -> None:
    policy = WantedPolicy(base, [module("web", "")], tools, permissive=("web_t",), dontaudit=False)
    digest = policy_digest(base, [module("web", "")], permissive=("web_t",), dontaudit=False)
    assert policy.reused() == LoadedPolicy(digest, False, "", frozenset({"web_t"}))


def test_an_installed_policy_is_described_by_the_stores_fingerprint(
    base: BasePolicy, tools: Toolchain
) -> None:
    installed = WantedPolicy(base, [module("web", "")], tools, installed=True).reused()
    assert installed.digest == base.facts.fingerprint


@pytest.mark.parametrize("name", ["web_t", "etc_t"])
def test_a_type_of_the_candidate_or_of_the_base_policy_is_declared(base: BasePolicy, name: str) -> None:
    base.flat.write_text("(type etc_t)\n")
    require_type(name, [module("web", ""), module("other", "")], base)


@pytest.mark.parametrize("candidates", [[module("web", ""), module("ant", "")], []])
def test_a_type_that_nothing_declares_is_wrong_input(
    base: BasePolicy, candidates: list[CompiledModule]
) -> None:
    with pytest.raises(InputError, match="^The type 'lost_t' is not declared") as caught:
        require_type("lost_t", candidates, base)
    assert ("ant_t, web_t" in caught.value.detail) == bool(candidates)
    assert caught.value.detail and caught.value.hint
