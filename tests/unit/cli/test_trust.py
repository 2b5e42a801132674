"""`selab trust`, and the question of other commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.__main__ import run as selab
from selab.cli import trust
from selab.errors import SelabError
from selab.host import trusted
from selab.project import Project
from selab.vm import consent, kvm, libvirt


@pytest.fixture
def own(project: Project) -> Project:
    """A project with a Vagrantfile that is not selab's."""
    (project.root / "Vagrantfile").write_text("own")
    return project


@pytest.fixture(autouse=True)
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out Vagrant, virsh and base policies, so that a command that is allowed goes no further."""

    def missing() -> None:
        raise SelabError("There is no libvirt here.")

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(libvirt, "ensure", missing)
    monkeypatch.setattr(kvm, "probe", lambda kernel=None: kvm.Kvm(False, "the test says so"))


def run(project: Project, *words: str) -> int:
    return selab(["-C", str(project.root), *words])


def test_without_a_terminal_nothing_is_allowed(own: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert (run(own, "trust"), trusted.digests()) == (3, {})
    assert "selab trust -y" in capfd.readouterr().err


def test_yes_allows_the_vagrantfile(own: Project) -> None:
    assert run(own, "trust", "-y") == 0
    assert consent.foreign(own) == []


@pytest.mark.parametrize(("answer", "count"), [(True, 1), (False, 0)])
def test_the_user_is_asked_once_on_a_terminal(
    own: Project, monkeypatch: pytest.MonkeyPatch, answer: bool, count: int
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(trust, "_is_interactive", lambda: True)
    monkeypatch.setattr(trust.click, "confirm", lambda text, **_: (questions.append(text), answer)[1])
    for _ in range(2):
        run(own, "vm", "up")
    assert (len(trusted.digests()), len(questions)) == (count, 2 - count)


def test_a_command_without_a_terminal_names_the_option(
    own: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(own, "vm", "up") == 3
    assert "--trust-vagrantfile" in capfd.readouterr().err


def test_the_option_allows_the_vagrantfile(own: Project) -> None:
    selab(["-C", str(own.root), "--trust-vagrantfile", "vm", "up"])
    assert consent.foreign(own) == []


def test_the_option_does_not_allow_a_host(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    (project.root / "selab.yaml").write_text("vm: {box: host, host: {address: lab.test}}\n")
    assert selab(["-C", str(project.root), "--trust-vagrantfile", "vm", "up"]) == 3
    assert (trusted.digests(), "lab.test" in capfd.readouterr().err) == ({}, True)


@pytest.mark.parametrize("words", [("vm", "status"), ("vm", "list"), ("doctor",)])
def test_these_commands_never_ask(
    own: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(trust, "_is_interactive", lambda: True)
    monkeypatch.setattr(trust.click, "confirm", lambda text, **_: pytest.fail("it asked"))
    run(own, *words)


def test_the_list_shows_what_was_allowed(own: Project, capfd: pytest.CaptureFixture[str]) -> None:
    run(own, "trust", "-y")
    assert run(own, "trust", "--list") == 0
    assert "the Vagrantfile" in capfd.readouterr().out


def test_what_was_allowed_can_be_removed(own: Project) -> None:
    run(own, "trust", "-y")
    (digest,) = trusted.digests()
    assert (run(own, "trust", "--remove", digest), trusted.digests()) == (0, {})


def test_removing_something_unknown_is_wrong_input(own: Project) -> None:
    for name in ("x", ""):
        assert run(own, "trust", "--remove", name) == 2
