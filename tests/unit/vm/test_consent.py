"""What a project would run or reach outside of itself, and that the answer is remembered by digest."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from selab.errors import AnswerTooLong, SelabError
from selab.host import trusted
from selab.host.binding import mark
from selab.progress import Progress
from selab.project import BoxSource, HostConfig, Project, ProjectConfig, VmConfig
from selab.vm import consent, vagrantfile
from selab.vm.consent import Foreign, NotAllowed, allow, foreign, require
from selab.vm.existing import ExistingHost
from selab.vm.vagrant import Vagrant
from selab.vm.virtual_machine import VirtualMachine

OWN = 'Vagrant.configure("2") { |config| config.vm.box = "x" }\n'


@pytest.fixture
def consent_of_the_user() -> None:
    """Ask for real, unlike the other tests of this directory."""


@pytest.fixture
def own(project: Project) -> Project:
    """A project with a Vagrantfile that is not selab's."""
    (project.root / "Vagrantfile").write_text(OWN)
    return project


def with_vm(project: Project, **settings: object) -> Project:
    config = ProjectConfig(vm=VmConfig.model_validate(settings))
    return dataclasses.replace(project, config=config)


def test_selabs_own_vagrantfile_needs_no_consent(project: Project) -> None:
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    assert foreign(project) == []


def test_a_vagrantfile_with_one_more_byte_needs_consent(project: Project) -> None:
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped() + b"\n")
    assert len(foreign(project)) == 1


def test_an_answer_is_remembered(own: Project) -> None:
    allow(foreign(own)[0])
    require(own)


def test_a_changed_vagrantfile_needs_consent_again(own: Project) -> None:
    allow(foreign(own)[0])
    (own.root / "Vagrantfile").write_text(OWN + "# changed\n")
    with pytest.raises(NotAllowed, match="Vagrantfile"):
        require(own)


def test_the_same_vagrantfile_elsewhere_needs_no_consent(own: Project, tmp_path: Path) -> None:
    """The VMs of a matrix have copies of it."""
    allow(foreign(own)[0])
    (tmp_path / "slot").mkdir()
    (tmp_path / "slot" / "Vagrantfile").write_text(OWN)
    require(dataclasses.replace(own, vagrant_dir=tmp_path / "slot"))


@pytest.mark.parametrize(
    "source",
    [
        BoxSource(url="https://x.test/a.box"),
        BoxSource(url="https://x.test/a.box", sha256="a" * 64),
        BoxSource(file="a.box"),
    ],
)
def test_a_box_of_the_project_needs_consent(project: Project, source: BoxSource) -> None:
    with pytest.raises(NotAllowed, match=r"a\.box"):
        require(with_vm(project, source=source))


def test_a_box_file_that_is_replaced_needs_consent_again(project: Project) -> None:
    box = project.root / "a.box"
    box.write_text("x")
    changed = with_vm(project, source=BoxSource(file=str(box)))
    allow(foreign(changed)[0])
    box.unlink()
    box.write_text("xy")
    assert len(foreign(changed)) == 1


def test_a_host_of_the_project_needs_consent(project: Project) -> None:
    with pytest.raises(NotAllowed, match=r"root@lab\.test"):
        require(with_vm(project, box="host", host=HostConfig(address="lab.test", user="root")))


@pytest.mark.parametrize("change", [{"address": "prod.test"}, {"port": 23}, {"user": "admin"}, {"key": "/k"}])
def test_a_changed_host_needs_consent_again(project: Project, change: dict[str, object]) -> None:
    host = {"address": "lab.test", "port": 22, "user": "root", "key": ""}
    allow(foreign(with_vm(project, box="host", host=host))[0])
    assert len(foreign(with_vm(project, box="host", host=host | change))) == 1


def test_no_login_is_tried_without_consent(project: Project) -> None:
    host = with_vm(project, box="host", host=HostConfig(address="lab.test"))
    assert host.config.vm.host
    with pytest.raises(NotAllowed):
        ExistingHost(host, host.config.vm.host).connect()


@pytest.mark.parametrize("action", ["up", "resume", "suspend", "halt", "destroy", "state", "ssh_config"])
def test_no_command_of_vagrant_runs_without_consent(
    own: Project, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # Vagrant would be missing, which is another error
    machine: Vagrant = VirtualMachine(own).vagrant
    arguments = () if action in ("state", "ssh_config") else (Progress(),)
    with pytest.raises(NotAllowed):
        getattr(machine, action)(*arguments)


def test_every_command_of_vagrant_is_tried() -> None:
    public = {name for name in vars(Vagrant) if not name.startswith("_")}
    assert public == {"up", "resume", "suspend", "halt", "destroy", "state", "ssh_config"}


def test_the_record_is_private(own: Project) -> None:
    consent.allow(foreign(own)[0])
    assert trusted.record_path().stat().st_mode & 0o777 == 0o600


def vagrants_record(project: Project, text: str = "11111111-2222-3333-4444-555555555555") -> Path:
    """Write a `.vagrant` as a repository may contain one, beside selab's own Vagrantfile."""
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    record = project.root / ".vagrant" / "machines" / "default" / "libvirt" / "id"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    return record


@pytest.mark.parametrize("action", ["up", "resume", "suspend", "halt", "destroy", "state", "ssh_config"])
def test_vagrant_does_not_use_the_record_of_a_repository(
    project: Project, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would act on the VM of another project, and load the plugins that `.vagrant` names."""
    vagrants_record(project)
    monkeypatch.setenv("PATH", "/nowhere")
    machine: Vagrant = VirtualMachine(project).vagrant
    arguments = () if action in ("state", "ssh_config") else (Progress(),)
    with pytest.raises(NotAllowed, match=r"\.vagrant"):
        getattr(machine, action)(*arguments)


def test_a_record_of_vagrant_that_the_user_allowed_stays(project: Project) -> None:
    record = vagrants_record(project)
    allow(foreign(project)[0])
    VirtualMachine(project)._before_vagrant()
    assert record.exists()


def test_another_record_in_the_place_of_an_allowed_one_needs_consent(project: Project) -> None:
    vagrants_record(project)
    allow(foreign(project)[0])
    (project.root / ".vagrant").rename(project.root / "old")
    vagrants_record(project)
    assert len(foreign(project)) == 1


@pytest.mark.parametrize("is_there", [False, True])
def test_what_vagrant_records_for_selab_needs_no_consent(project: Project, is_there: bool) -> None:
    """With an empty `.vagrant`, or none."""
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    if is_there:
        (project.root / ".vagrant").mkdir()
    VirtualMachine(project)._before_vagrant()
    (project.root / ".vagrant" / "machines").mkdir()
    require(project)


def test_a_link_in_the_place_of_vagrants_record_is_refused(project: Project, tmp_path: Path) -> None:
    (project.root / ".vagrant").symlink_to(tmp_path)
    with pytest.raises(SelabError, match="not a directory"):
        require(project)


def test_a_record_that_selab_restored_needs_no_consent(project: Project) -> None:
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    VirtualMachine(project).files.adopt("11111111-2222-3333-4444-555555555555")
    require(project)


@pytest.mark.parametrize("name", ["machines", "machines/default", "machines/default/libvirt/private_key"])
def test_a_link_in_vagrants_record_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    """Vagrant, and selab, would write through it."""
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    VirtualMachine(project)._before_vagrant()
    link = project.root / ".vagrant" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    with pytest.raises(SelabError, match="contains a link"):
        require(project)


@pytest.mark.parametrize("is_allowed", [False, True])
def test_plugins_in_vagrants_record_need_consent(project: Project, is_allowed: bool) -> None:
    """`git pull` can put the list into a `.vagrant` that selab made, and Vagrant loads what it lists."""
    (project.root / "Vagrantfile").write_bytes(vagrantfile.shipped())
    VirtualMachine(project)._before_vagrant()
    (project.root / ".vagrant" / "plugins.json").write_text("{}")
    if is_allowed:
        allow(foreign(project)[0])
    assert [each.name.endswith("plugins.json lists") for each in foreign(project)] == [True] * (
        not is_allowed
    )


def test_another_list_of_plugins_needs_consent_again(project: Project) -> None:
    VirtualMachine(project).files.claim_record()
    (project.root / ".vagrant" / "plugins.json").write_text("{}")
    allow(foreign(project)[0])
    (project.root / ".vagrant" / "plugins.json").write_text('{"installed": {"evil": {}}}')
    assert len(foreign(project)) == 1


# --- what the user is asked ------------------------------------------------------------------------

DIGEST = hashlib.sha256(OWN.encode()).hexdigest()
URL = "https://x.test/a.box"


def digest_of(*parts: str) -> str:
    """The digest under which an answer is recorded: an answer of today must count tomorrow."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def question(project: Project) -> Foreign:
    """Return the one thing that the project's user is asked about first."""
    return foreign(project)[0]


def refusal(project: Project) -> NotAllowed:
    with pytest.raises(NotAllowed) as caught:
        require(project)
    return caught.value


def has(text: str, *words: str) -> bool:
    """Whether all of `words` occur in `text`, which no list or tuple has become."""
    return isinstance(text, str) and all(word in text for word in words)


def test_a_refusal_says_what_selab_would_do_and_how_to_allow_it(own: Project) -> None:
    error, each = refusal(own), question(own)
    assert error.what == f"You have not allowed {each.name}."
    assert error.detail == each.effect
    assert error.hint.startswith(each.advice)
    assert has(error.hint, "`selab trust`", "`selab --trust-vagrantfile COMMAND`")


def test_a_vagrantfile_is_named_with_its_digest_and_read_first(own: Project) -> None:
    each = question(own)
    assert each.name == f"the Vagrantfile {own.vagrant_dir / 'Vagrantfile'} (sha256 {DIGEST[:16]})"
    assert has(each.effect, "not selab's own", "as a program, with your rights")
    assert has(each.advice, "Read it first", "the files that it loads")
    assert each.digest == digest_of("Vagrantfile", DIGEST)


def test_a_project_without_a_vagrantfile_needs_no_consent_for_one(project: Project) -> None:
    assert foreign(project) == []


def test_a_vagrantfile_of_an_older_selab_needs_no_consent(
    own: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vagrantfile, "OLDER", {DIGEST})
    assert foreign(own) == []


@pytest.mark.parametrize(("sha256", "is_pinned"), [("a" * 64, True), ("", False)])
def test_a_box_with_an_address_is_asked_about_with_it(project: Project, sha256: str, is_pinned: bool) -> None:
    each = question(with_vm(project, source=BoxSource(url=URL, sha256=sha256)))
    assert each.name == f"the box {URL}"
    assert has(each.effect, "`vm.source`", "runs the Vagrantfile in it as a program")
    assert each.effect.endswith("as a program.") is is_pinned
    assert has(each.effect, " It has no sha256, so its content may change.") is not is_pinned
    assert "Find out who made it" in each.advice
    assert each.digest == digest_of("box", URL, sha256, "")


@pytest.mark.parametrize("name", ["a.box", "~/a.box"])
def test_a_box_file_is_asked_about_with_its_identity(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("HOME", str(project.root))
    box = project.root / "a.box"
    box.write_text("x")
    status = box.stat()
    identity = (str(box.resolve()), str(status.st_ino), "1", str(status.st_ctime_ns))
    each = question(with_vm(project, source=BoxSource(file=name)))
    assert each.name == f"the box {name}"
    assert each.effect.endswith("as a program.")
    assert each.digest == digest_of("box", "", "", *identity)


def test_a_box_file_that_does_not_exist_is_asked_about_by_its_name(project: Project) -> None:
    each = question(with_vm(project, source=BoxSource(file="/nowhere/a.box")))
    assert each.digest == digest_of("box", "", "", "/nowhere/a.box")


@pytest.mark.parametrize("source", [None, BoxSource()])
def test_a_project_that_names_no_box_is_not_asked_about_one(
    project: Project, source: BoxSource | None
) -> None:
    assert foreign(with_vm(project, source=source)) == []


@pytest.mark.parametrize(("user", "login"), [("root", "root@lab.test"), (None, "lab.test")])
def test_a_host_is_asked_about_with_its_login(project: Project, user: str | None, login: str) -> None:
    host = HostConfig(address="lab.test", port=22, user=user)
    each = question(with_vm(project, box="host", host=host))
    assert each.name == f"the host {login}"
    assert has(each.effect, "`vm.host`", "your SSH keys", "loads policies")
    assert "Use no machine that you depend on" in each.advice
    assert each.digest == digest_of("host", "lab.test", "22", str(user), "", "None")


def test_a_host_needs_consent_for_nothing_that_vagrant_uses(own: Project) -> None:
    host = with_vm(own, box="host", host=HostConfig(address="lab.test"))
    assert [each.name for each in foreign(host)] == ["the host lab.test"]


def test_a_record_of_vagrant_is_asked_about_with_its_path(project: Project) -> None:
    vagrants_record(project)
    each = question(project)
    assert each.name == f"the directory {project.vagrant_dir / '.vagrant'}"
    assert has(each.effect, "selab did not make it", "the VM that it names", "the plugins in it")
    assert has(each.advice, "If it came with a repository, remove it")
    assert each.digest == digest_of("record", mark(project.vagrant_dir / ".vagrant"))


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_a_record_that_is_no_directory_is_refused_with_its_path(
    project: Project, tmp_path: Path, kind: str
) -> None:
    path = project.vagrant_dir / ".vagrant"
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(tmp_path / "nothing" if "nothing" in kind else tmp_path)
    with pytest.raises(SelabError) as caught:
        foreign(project)
    assert caught.value.what == ".vagrant is not a directory."
    assert caught.value.detail == str(path)
    assert has(caught.value.hint, "Remove it", "Vagrant creates a new one")


def test_a_link_in_the_record_is_refused_with_its_path(project: Project, tmp_path: Path) -> None:
    VirtualMachine(project).files.claim_record()
    link = project.vagrant_dir / ".vagrant" / "bundler"
    link.symlink_to(tmp_path)
    with pytest.raises(SelabError) as caught:
        foreign(project)
    assert caught.value.what == ".vagrant contains a link."
    assert caught.value.detail == str(link)
    assert has(caught.value.hint, "Remove it", "would write through it")


@pytest.mark.parametrize(("place", "is_refused"), [("plugins", False), ("machines/plugins", True)])
def test_only_the_code_of_plugins_may_contain_links(
    project: Project, tmp_path: Path, place: str, is_refused: bool
) -> None:
    VirtualMachine(project).files.claim_record()
    directory = project.vagrant_dir / ".vagrant" / place / "gems"
    directory.mkdir(parents=True)
    (directory / "link").symlink_to(tmp_path)
    with pytest.raises(SelabError, match="contains a link") if is_refused else contextlib.nullcontext():
        assert foreign(project) == []


def plugins_of(project: Project, content: bytes) -> Path:
    """Write the list of plugins into a `.vagrant` that selab made."""
    VirtualMachine(project).files.claim_record()
    path = project.vagrant_dir / ".vagrant" / "plugins.json"
    path.write_bytes(content)
    return path


def test_a_list_of_plugins_is_asked_about_with_its_path(project: Project) -> None:
    path = plugins_of(project, b"{}")
    each = question(project)
    assert each.name == f"the plugins that {path} lists"
    assert has(each.effect, "as programs, with your rights")
    assert has(each.advice, "If the file came with a repository, remove it")
    assert each.digest == digest_of("plugins", mark(path.parent), hashlib.sha256(b"{}").hexdigest())


def test_a_list_of_plugins_that_the_answer_could_not_cover_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent, "MAX_LIST", 4)
    path = plugins_of(project, b"1234")
    assert len(foreign(project)) == 1
    path.write_bytes(b"12345")
    with pytest.raises(AnswerTooLong) as caught:
        foreign(project)
    assert str(path) in caught.value.detail


def test_an_answer_is_recorded_with_the_name_of_what_it_allows(own: Project) -> None:
    each = question(own)
    allow(each)
    assert trusted.digests() == {each.digest: each.name}
