"""Which records and which base policy a question without a VM is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.analysis import offline
from selab.analysis.offline import (
    Candidate,
    candidate_of,
    find_base,
    last_base,
    on_its_guest,
    records_of,
    replay_offline,
)
from selab.auditlog.classification import Classification, Ruling
from selab.auditlog.denials import DenialKey
from selab.errors import InputError, SelabError
from selab.history import History
from selab.host.files import read_json, write_json
from selab.policy.base import BASES, FACTS, IMPORTED, METADATA, BasePolicy, base_in, directory_name
from selab.policy.query.decide import Access
from selab.policy.survey import StoreFacts, keep_facts
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from selab.run.replay import Recorded
from tests.unit.conftest import module, seal
from tests.unit.documents import document
from tests.unit.fakes import Notes
from tests.unit.headers import CENTOS, DEBIAN, write_headers
from tests.unit.matrix.fakes import record
from tests.unit.test_history import LINE, finished


@pytest.fixture(autouse=True)
def policies(project: Project) -> None:
    for name in ("web", "app"):
        (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(LINE + b"\n")
    return path


def test_a_run_is_asked_about_its_own_candidate_and_domain(project: Project) -> None:
    History.of(project).add(finished(1))
    recorded, policies = records_of(project, "last", None)
    assert (policies, recorded.domain, list(recorded.lines)) == (("web",), "web_t", [LINE])


def test_a_run_can_be_asked_about_another_candidate(project: Project) -> None:
    History.of(project).add(finished(1))
    recorded, policies = records_of(project, "last", "app")
    assert (policies, recorded.domain) == (("app",), "web_t")


def test_a_run_without_a_candidate_needs_the_name_of_one(project: Project) -> None:
    History.of(project).keep(record(policy="none"))
    with pytest.raises(InputError, match="The run had no candidate") as caught:
        records_of(project, "last", None)
    assert caught.value.detail == record().document.run and "--policy" in caught.value.hint
    assert records_of(project, "last", "web")[1] == ("web",)


def test_a_log_is_about_the_domain_of_the_named_candidate(project: Project, log: Path) -> None:
    recorded, policies = records_of(project, str(log), "web")
    assert (policies, recorded.domain, list(recorded.lines)) == (("web",), "web_t", [LINE])


def test_a_log_needs_the_name_of_a_candidate(project: Project, log: Path) -> None:
    with pytest.raises(InputError, match="A log does not name a candidate") as caught:
        records_of(project, str(log), None)
    assert caught.value.detail == str(log) and "--policy" in caught.value.hint


@pytest.mark.parametrize("names", [False, True])
def test_the_candidate_is_asked_about_its_own_domain_instead_of_the_runs(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch, names: bool
) -> None:
    candidate, calls, progress = Candidate(base, [], Path("/linked/x")), [], Progress()

    def candidate_of(*words: object) -> Candidate:
        assert words[:3] == (project, ["app"], progress)
        return candidate

    monkeypatch.setattr(offline, "candidate_of", candidate_of)
    monkeypatch.setattr(offline, "replay", lambda *arguments, **options: calls.append((arguments, options)))
    tolerated = Ruling(Classification.TOLERATED, "* -> etc_t:* { * }", "harmless")
    rulings = {DenialKey("web_t", "etc_t", "file", "read"): tolerated}
    options = {"names": True} if names else {}
    replay_offline(project, Recorded([LINE], "web_t", rulings), ["app"], progress, **options)
    its_own = {DenialKey("app_t", "etc_t", "file", "read"): tolerated}
    access = Access("u:r:app_t:s0:c1,c2", "u:r:etc_t:s0", "file", "read")
    assert calls == [((Path("/linked/x"), [access], its_own), {"booleans": True, "names": names})]


def test_what_a_log_has_of_other_processes_is_left_out_and_counted(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_data, of_machine = LINE.replace(b"etc_t", b"web_data_t"), LINE.replace(b"web_t", b"cron_t")
    candidate = Candidate(
        base, [replace(module("web", ""), types=frozenset({"web_t", "web_data_t"}))], Path("/linked/x")
    )
    accesses: list[Access] = []
    monkeypatch.setattr(offline, "candidate_of", lambda *_: candidate)
    monkeypatch.setattr(offline, "replay", lambda _, requested, *__, **___: accesses.extend(requested))
    notes = Notes()
    of_data = of_data.replace(b"web_t", b"cron_t")
    replay_offline(project, Recorded([LINE, of_data, of_machine], "web_t"), ["web"], notes)
    assert [access.target for access in accesses] == ["u:r:etc_t:s0", "u:r:web_data_t:s0"]
    assert notes.notes == ["Not counted: 1 denial of other processes in the log."]


@pytest.mark.parametrize(("policies", "compiled"), [([], []), (["web"], ["compiled web"])])
def test_the_base_policy_alone_has_no_module(
    project: Project,
    base: BasePolicy,
    monkeypatch: pytest.MonkeyPatch,
    policies: list[str],
    compiled: list[str],
) -> None:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    tools, progress, calls = SimpleNamespace(workdir="/work"), Progress(), dict[str, tuple[object, ...]]()

    def recorded(name: str, answer: Callable[..., object]) -> None:
        def call(*words: object) -> object:
            calls[name] = words
            return answer(*words)

        monkeypatch.setattr(offline, name, call)

    recorded("last_base", lambda *_: base)
    recorded("host_toolchain", lambda *_: tools)
    recorded("compiled_all", lambda modules, *_: [f"compiled {each.name}" for each in modules])
    recorded("linked", lambda _, modules, tools: SimpleNamespace(digest=f"d{len(modules)}"))
    candidate = candidate_of(project, policies, progress, "Replay")
    assert candidate.base is base and list[object](candidate.modules) == compiled
    assert candidate.linked == Path(f"/work/linked/d{len(compiled)}")
    assert calls["last_base"] == (project, progress, {*policies})
    assert calls["host_toolchain"] == (project.state / "policy", "Replay", base.demands)
    assert calls["linked"] == (base, compiled, tools)
    if compiled:
        assert calls["compiled_all"][1:] == (base, tools, project.state / "compiled")


@pytest.mark.parametrize("scenario", ["", "web"])
def test_without_a_base_policy_the_command_that_reads_it_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenario: str
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    if scenario:
        (project.scenarios / f"{scenario}.yaml").write_text("image: x:y\n")
    with pytest.raises(SelabError, match="No base policy is known") as caught:
        last_base(project, Progress())
    assert f"`selab run {scenario or 'SCENARIO'}`" in caught.value.hint


def test_the_base_policy_is_that_of_the_projects_own_last_run(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(offline, "base_of_last_run", lambda _: base)
    monkeypatch.setattr(offline, "newest_base", lambda _: None)
    assert find_base(project, notes) is base
    assert notes.notes == []


def test_the_base_policy_of_another_project_is_used_with_a_note(
    project: Project, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(offline, "newest_base", lambda _: base)
    assert last_base(project, notes) is base
    assert ["another project" in text for text in notes.notes] == [True]


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        (
            "Debian GNU/Linux 13 (trixie)",
            DEBIAN,
            "Debian GNU/Linux 13 (trixie), policy 'test' (ffffffffffff).",
        ),
        ("", CENTOS, "redhat, of unknown version, policy 'test'"),
        ("", "", "an unknown distribution, of unknown version, policy 'test'"),
    ],
)
def test_the_base_policy_of_another_project_is_named_with_its_distribution(
    project: Project,
    base: BasePolicy,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    settings: str,
    words: str,
) -> None:
    notes = Notes()
    write_headers(base.headers, settings)
    other = replace(base, facts=replace(base.facts, system=system))
    monkeypatch.setattr(offline, "newest_base", lambda _: other)
    find_base(project, notes)
    assert words in notes.notes[0]


Cached = Callable[..., BasePolicy]


@pytest.fixture
def cached(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cached:
    """Put a base policy into the cache: cached("imported", "b" * 64)."""
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))

    def put(kind: str, fingerprint: str, system: str = "CentOS Stream 9") -> BasePolicy:
        directory = tmp_path / "cache" / kind / directory_name(fingerprint)
        (directory / "cil").mkdir(parents=True)
        (directory / "flat.cil").write_text("(type a_t)\n")
        seal(directory)
        metadata = {**read_json(directory / METADATA), "imported": "digest" if kind == IMPORTED else ""}
        write_json(directory / METADATA, metadata)
        keep_facts(StoreFacts("test", 33, True, False, fingerprint, system=system), directory / FACTS)
        base = base_in(directory)
        assert base is not None
        return base

    return put


Whole = tuple[BasePolicy, BasePolicy]


@pytest.fixture
def around_replacement(project: Project, cached: Cached) -> Whole:
    """Return the guest's whole base policy, and the one without `bind`, which the last run replaced.

    The project's guest reported both.
    """
    whole, lacking = cached(BASES, "a" * 64), cached(BASES, "b" * 64)
    (whole.directory / "cil" / "bind.cil").touch()
    for base in (whole, lacking):
        (base.directory / "cil" / "kernel.cil").touch()
        seal(base.directory)
    keep_facts(whole.facts, project.store)
    without = replace(lacking.facts, without=("bind",), replaced=("bind",))
    for path in (project.store, lacking.directory / FACTS):
        keep_facts(without, path)
    ended = record()
    History.of(project).keep(
        replace(ended, document=ended.document.model_copy(update={"base": without.fingerprint}))
    )
    return whole, replace(lacking, facts=without)


@pytest.mark.parametrize(
    ("names", "is_whole"), [((), True), (("web",), True), (("bind",), False), (("bind", "web"), False)]
)
def test_only_the_candidate_that_replaces_a_module_is_asked_without_it(
    project: Project, around_replacement: Whole, names: tuple[str, ...], is_whole: bool
) -> None:
    notes = Notes()
    base = find_base(project, notes, names)
    assert base is not None and base.directory == around_replacement[not is_whole].directory
    assert notes.notes == []


def test_a_candidate_that_replaces_a_module_is_asked_without_it_after_a_run_of_another(
    project: Project, around_replacement: Whole
) -> None:
    whole, lacking = around_replacement
    ended = record(1)
    of_whole = ended.document.model_copy(update={"base": whole.facts.fingerprint})
    History.of(project).keep(replace(ended, document=of_whole))
    base = find_base(project, Progress(), ("bind",))
    assert base is not None and base.directory == lacking.directory


def test_a_base_policy_with_other_modules_than_the_last_runs_does_not_answer(
    project: Project, around_replacement: Whole
) -> None:
    whole, lacking = around_replacement
    (whole.directory / "cil" / "older.cil").touch()
    seal(whole.directory)
    notes = Notes()
    assert last_base(project, notes, ("web",)).directory == lacking.directory
    assert notes.notes == ["The base policy lacks the guest's own module 'bind', which a run replaced."]


def test_a_base_policy_with_a_module_that_the_candidate_replaces_is_used_with_a_note(
    project: Project, around_replacement: Whole
) -> None:
    whole, lacking = around_replacement
    write_json(project.store, {"facts": []})
    ended = record(1)
    of_whole = ended.document.model_copy(update={"base": whole.facts.fingerprint})
    History.of(project).keep(replace(ended, document=of_whole))
    notes = Notes()
    assert last_base(project, notes, ("bind",)).directory == whole.directory
    assert notes.notes == ["The base policy has a module 'bind' too, which a run of this policy replaces."]


def with_base(project: Project, name: str) -> Project:
    return replace(project, config=ProjectConfig(vm=VmConfig(base=name)))


@pytest.mark.parametrize("kind", [BASES, IMPORTED])
def test_the_base_policy_that_the_project_names_answers_instead_of_the_last_runs(
    project: Project, cached: Cached, monkeypatch: pytest.MonkeyPatch, base: BasePolicy, kind: str
) -> None:
    chosen, notes = cached(kind, "c" * 64), Notes()
    cached(BASES, "d" * 64, "Debian 13")
    monkeypatch.setattr(offline, "base_of_last_run", lambda _: base)
    assert last_base(with_base(project, "centos9"), notes) == chosen
    assert ["CentOS Stream 9" in text for text in notes.notes] == [True]
    assert ["imported" in text for text in notes.notes] == [kind == IMPORTED]


@pytest.mark.parametrize("count", [0, 2])
def test_a_name_without_exactly_one_base_policy_is_an_error_about_the_project(
    project: Project, cached: Cached, count: int
) -> None:
    for number in range(count):
        cached(IMPORTED, str(number) * 64)
    with pytest.raises(InputError, match="vm.base in selab.yaml") as caught:
        find_base(with_base(project, "centos9"), Progress())
    assert caught.value.detail and caught.value.hint


def test_the_guest_of_a_run_answers_although_the_project_names_a_base_policy(
    project: Project, cached: Cached, monkeypatch: pytest.MonkeyPatch, base: BasePolicy
) -> None:
    cached(IMPORTED, "c" * 64)
    monkeypatch.setattr(offline, "base_of_last_run", lambda _: base)
    assert find_base(on_its_guest(with_base(project, "centos9")), Progress()) is base


def test_an_imported_base_policy_answers_for_a_run_that_another_machine_made_with_it(
    project: Project, cached: Cached
) -> None:
    fingerprint, notes = "b" * 64, Notes()
    imported = cached(IMPORTED, fingerprint)
    cached(BASES, "d" * 64, "Debian 13")
    ended = record()
    History.of(project).keep(replace(ended, document=ended.document.model_copy(update={"base": fingerprint})))
    assert find_base(project, notes) == imported
    assert ["imported" in text for text in notes.notes] == [True]


def test_an_imported_base_policy_is_used_with_a_note(project: Project, cached: Cached) -> None:
    imported, notes = cached(IMPORTED, "c" * 64), Notes()
    assert find_base(project, notes) == imported
    assert ["an imported one" in text and "CentOS Stream 9" in text for text in notes.notes] == [True]


def test_a_run_whose_base_policy_is_gone_leaves_that_of_another_project(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    History.of(project).keep(record())
    assert document().base == "b" and find_base(project, Progress()) is None
