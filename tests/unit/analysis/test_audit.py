"""What `selab audit` compares with."""

from __future__ import annotations

import subprocess

import pytest

from selab.analysis.audit import _version
from selab.errors import InputError
from selab.policy.module import PolicyModule, load_module
from selab.project import Project


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
    module.te.write_text("policy_module(web, 1.1)\n")
    assert _version(project, load_module(project, "web"), "HEAD").texts["te"] == b"policy_module(web, 1.0)\n"


@pytest.mark.parametrize("name", ["no-such-revision", "--output=x"])
def test_what_is_neither_is_refused(name: str, project: Project, module: PolicyModule) -> None:
    with pytest.raises(InputError, match="no version"):
        _version(project, module, name)


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
