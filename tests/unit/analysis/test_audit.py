"""What `selab audit` compares with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from selab.analysis import audit as auditing
from selab.analysis.audit import PolicyAudit, _version, audit
from selab.analysis.offline import Candidate
from selab.errors import InputError
from selab.guest import Completed
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.candidate import compiled_all
from selab.policy.compile import CompiledModule
from selab.policy.module import PolicyModule, load_module
from selab.policy.query.reach import Access, Addition
from selab.policy.query.risk import Level, Risk
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from selab.project import Project
from tests import centos_like
from tests.unit.conftest import module as compiled_module


@pytest.fixture
def module(project: Project) -> PolicyModule:
    (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    return load_module(project, "web")


def test_a_file_is_another_version(project: Project, module: PolicyModule) -> None:
    other = project.root / "old.te"
    other.write_text("policy_module(web, 0.9)\n")
    assert _version(project, module, str(other)).texts["te"] == b"policy_module(web, 0.9)\n"


def test_a_revision_is_another_version(project: Project, module: PolicyModule) -> None:
    git = ["git", "-C", str(project.root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "policies"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    module.path.write_text("policy_module(web, 1.1)\n")
    assert _version(project, load_module(project, "web"), "HEAD").texts["te"] == b"policy_module(web, 1.0)\n"


def test_that_a_revision_is_unknown_is_said_with_gits_last_line(
    project: Project, module: PolicyModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = SimpleNamespace(run=lambda argv: Completed((), 128, b"", b"hint: read this\nfatal: bad revision\n"))
    monkeypatch.setattr(auditing, "LocalHost", lambda: git)
    with pytest.raises(InputError) as caught:
        _version(project, module, "main")
    assert caught.value.detail == "fatal: bad revision"


@pytest.mark.parametrize("name", ["no-such-revision", "--output=x"])
def test_what_is_neither_is_refused(name: str, project: Project, module: PolicyModule) -> None:
    with pytest.raises(InputError, match="no version") as caught:
        _version(project, module, name)
    assert "revision" in caught.value.hint


def test_a_repository_runs_no_program_of_its_configuration(project: Project, module: PolicyModule) -> None:
    """A partial clone fetches a missing object by the transport that its configuration names."""
    git, ran = project.root / ".git", project.root / "ran"
    (git / "objects").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    (git / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n"
        f'[remote "origin"]\n\turl = ext::touch {ran}\n\tpromisor = true\n'
        '[protocol "ext"]\n\tallow = always\n'
    )
    with pytest.raises(InputError, match="no version"):
        _version(project, module, "HEAD")
    assert not ran.exists()


READS = "(allow web_t etc_t (file (read)))"
WRITES = "(allow web_t etc_t (file (write)))"


@pytest.fixture
def audited(
    project: Project, module: PolicyModule, base: BasePolicy, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., PolicyAudit]:
    """Audit a policy `web` that grants `now`, against a file of it that grants `before`."""

    def audited(now: str, before: str = "") -> PolicyAudit:
        other = project.root / "old.te"
        other.write_text("policy_module(web, 0.9)\n")

        def candidate_of(
            requested: Project, policies: Sequence[str], progress: Progress, doing: str
        ) -> Candidate:
            assert (requested, policies) == (project, ["web"])
            return Candidate(base, [compiled_module("web", now)], Path("/linked"))

        def compiled_all(
            versions: Sequence[PolicyModule], of: BasePolicy, tools: Toolchain, cache: Path
        ) -> list[CompiledModule]:
            (version,) = versions
            assert (version.texts["te"], of) == (other.read_bytes(), base)
            assert tools.on_host and Path(tools.workdir) == project.state / "policy" / "against"
            assert cache == project.state / "compiled"
            return [compiled_module("web", before)]

        monkeypatch.setattr(auditing, "candidate_of", candidate_of)
        monkeypatch.setattr(auditing, "compiled_all", compiled_all)
        return audit(project, "web", Progress(), str(other) if before else "")

    return audited


Summary = tuple[str, tuple[str, ...]]


def summary(accesses: Iterable[Access]) -> list[Summary]:
    return [(access.target, access.permissions) for access in accesses if access.source == "web_t"]


@pytest.mark.parametrize(
    ("now", "before", "added", "removed"),
    [
        (READS, "", [("etc_t", ("read",))], []),
        (READS + WRITES, READS, [("etc_t", ("write",))], []),
        (READS, READS + WRITES, [], [("etc_t", ("write",))]),
        (WRITES, READS, [("etc_t", ("write",))], [("etc_t", ("read",))]),
    ],
    ids=["alone", "more", "less", "other"],
)
def test_an_audit_reports_what_only_one_version_grants(
    audited: Callable[..., PolicyAudit], now: str, before: str, added: list[Summary], removed: list[Summary]
) -> None:
    result = audited(now, before)
    additions = summary(addition.access for addition in result.additions)
    assert (result.policy, result.types) == ("web", ("web_t",))
    assert (additions, summary(result.removed)) == (added, removed)
    assert [reach.domain for reach in result.reaches] == ["web_t"]


@pytest.mark.parametrize(
    ("levels", "worst"), [([], Level.LOW), ([Level.LOW, Level.HIGH, Level.MEDIUM], Level.HIGH)]
)
def test_the_worst_addition_decides_how_dangerous_a_policy_is(levels: list[Level], worst: Level) -> None:
    access = Access("web_t", "etc_t", "file", ("read",))
    additions = tuple(Addition(access, Risk(level)) for level in levels)
    assert PolicyAudit("web", (), additions, ()).worst is worst


def test_what_a_template_grants_does_not_make_a_policy_dangerous() -> None:
    access = Access("web_t", "etc_t", "file", ("read",))
    additions = (Addition(access, Risk(Level.HIGH), by_template=True), Addition(access, Risk(Level.MEDIUM)))
    assert PolicyAudit("web", (), additions, ()).worst is Level.MEDIUM


CALL = "container_domain_template(web, container)"
REQUIRED = "gen_require(`type container_file_t, etc_t, container_ro_file_t;')"
OWN_TEMPLATE = "template(`container_domain_template',`type $1_t; allow $1_t $2_file_t:file { read write };')"


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("sources", "author", "template"),
    [
        ({"te": CALL}, set(), {"read", "entrypoint"}),
        ({"te": f"{CALL}\nallow web_t etc_t:file write;"}, {"write"}, {"read", "entrypoint"}),
        ({"te": f"{CALL}\nallow web_t container_file_t:file write;"}, {"write"}, {"read", "entrypoint"}),
        ({"te": "container_domain_template(web, container_ro)"}, {"read", "entrypoint"}, set()),
        ({"te": "type web_t;\nallow web_t container_file_t:file read;"}, {"read"}, set()),
        ({"te": CALL, "if": OWN_TEMPLATE}, {"write"}, {"read"}),
    ],
    ids=["template", "and a rule", "and a rule for its files", "other files", "no template", "redefined"],
)
def test_only_what_the_bases_template_grants_for_containers_files_is_the_templates(
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: dict[str, str],
    author: set[str],
    template: set[str],
) -> None:
    sources["te"] = f"policy_module(web, 1.0)\n{REQUIRED}\n{sources['te']}\n"
    for ending, text in sources.items():
        (project.policies / f"web.{ending}").write_text(text)
    centos = centos_like.write_base(tmp_path / "centos", denies=False)
    tools = Toolchain(LocalHost(), str(tmp_path / "work"))
    modules = compiled_all([load_module(project, "web")], centos, tools, project.own_directory("compiled"))
    monkeypatch.setattr(auditing, "candidate_of", lambda *_: Candidate(centos, modules, Path("/linked")))
    result = audit(project, "web", Progress())
    of_author, of_template = (
        {name for addition in part for name in addition.access.permissions} & {"read", "write", "entrypoint"}
        for part in (result.of_author, result.of_template)
    )
    assert (of_author, of_template) == (author, template)
