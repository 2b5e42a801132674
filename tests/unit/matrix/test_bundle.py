"""What the user wrote arrives on a worker as it is, and nothing arrives anywhere else."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zlib
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.matrix import bundle
from selab.matrix.bundle import Bundle, pack, place
from selab.project import Project, ProjectConfig, VmConfig, find_project
from selab.run.request import Request, make_plan
from selab.vm.box import recipe


def packed(lab: Project, scenario: str = "web") -> Bundle:
    return pack(lab, [make_plan(lab, Request(scenario))])


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "selab.yaml" and ".selab" not in path.parts
    }


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def made(*members: tuple[tarfile.TarInfo, bytes]) -> Bundle:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    data = zlib.compress(out.getvalue())
    return Bundle(data, hashlib.sha256(data).hexdigest())


def named(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, 0o644
    return member, b"x" if kind == tarfile.REGTYPE else b""


def test_the_files_arrive_with_their_modes(lab: Project, there: Path) -> None:
    lab.templates.mkdir()
    (lab.templates / "base.cil").write_text("(block box)")
    place(packed(lab), lab.config, there)
    assert files(there) == files(lab.root)


def test_the_plan_of_a_copy_is_the_plan_of_the_project(lab: Project, there: Path) -> None:
    place(packed(lab), lab.config, there)
    here, copy = (make_plan(project, Request("web")) for project in (lab, find_project(there)))
    assert (here.containers[0].image.reference, here.modules[0].digest) == (
        copy.containers[0].image.reference,
        copy.modules[0].digest,
    )


def test_the_box_of_a_copy_is_the_box_of_the_project(lab: Project, there: Path) -> None:
    place(packed(lab, "cache"), lab.config, there)
    assert recipe.plan("debian13", there / "images").digest == recipe.plan("debian13", lab.images).digest


def test_of_volumes_only_what_a_scenario_uses_is_sent(lab: Project, there: Path) -> None:
    place(packed(lab, "cache"), lab.config, there)
    assert not (there / "data").exists()


def test_the_copys_settings_are_the_guests(lab: Project, there: Path) -> None:
    config = ProjectConfig(vm=VmConfig(box="centos9", cpus=4))
    place(packed(lab), config, there)
    assert find_project(there).config == config


def test_the_same_files_have_the_same_digest(lab: Project) -> None:
    assert packed(lab).digest == packed(lab).digest


def test_what_is_gone_goes_and_the_vms_own_stays(lab: Project, there: Path) -> None:
    place(packed(lab), lab.config, there)
    (there / ".vagrant").mkdir()
    (there / ".selab" / "key").touch()
    (lab.root / "policies" / "draft.te").unlink()
    (lab.root / "data" / "deep").chmod(0o500)
    place(packed(lab), lab.config, there)
    assert (
        not (there / "policies" / "draft.te").exists()
        and (there / ".vagrant").exists()
        and (there / ".selab" / "key").exists()
    )


def test_what_is_there_already_is_left_alone(lab: Project, there: Path) -> None:
    place(packed(lab), lab.config, there)
    before = (there / "policies").stat().st_ino
    place(packed(lab), lab.config, there)
    assert (there / "policies").stat().st_ino == before


def test_a_copy_that_was_cut_off_is_made_anew(
    lab: Project, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bundle, "_restore", interrupt)
        place(packed(lab), lab.config, there)
    place(packed(lab), lab.config, there)
    assert files(there) == files(lab.root)


def test_files_whose_replacement_was_cut_off_are_put_in_place_again(
    lab: Project, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, before = lab.root / "policies" / "draft.te", packed(lab)
    text = draft.read_text()
    place(before, lab.config, there)
    draft.write_text("a later draft")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bundle, "_restore", interrupt)
        place(packed(lab), lab.config, there)
    place(before, lab.config, there)
    assert (there / "policies" / "draft.te").read_text() == text


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_links_and_what_is_selabs_own_are_not_sent(lab: Project, there: Path) -> None:
    (lab.root / "scenarios" / "web.yaml").write_text(
        "image: registry/x:1\nvolumes: [{target: /srv, source: .}]\n"
    )
    (lab.root / "data" / "link").symlink_to("/etc/passwd")
    (lab.state / "key").write_text("secret")
    place(packed(lab), lab.config, there)
    assert (
        not (there / "data" / "link").is_symlink()
        and not (there / ".selab" / "key").exists()
        and (there / "data").exists()
    )


def test_too_much_is_refused_before_any_run(lab: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_SENT", 100)
    with pytest.raises(InputError, match="too large"):
        packed(lab)


@pytest.mark.parametrize("source", ["pages", "pages/index.html"])
def test_what_a_step_copies_is_sent(lab: Project, there: Path, source: str) -> None:
    (lab.root / "pages").mkdir()
    (lab.root / "pages" / "index.html").write_text("works")
    (lab.root / "scenarios" / "web.yaml").write_text(
        f"image: registry/x:1\nsteps: [{{copy: {{source: {source}, target: /srv/x}}}}]\n"
    )
    place(packed(lab), lab.config, there)
    assert (there / "pages" / "index.html").read_text() == "works"


def test_a_copy_by_an_absolute_path_is_refused(lab: Project) -> None:
    (lab.root / "page").write_text("")
    (lab.root / "scenarios" / "web.yaml").write_text(
        f"image: registry/x:1\nsteps: [{{copy: {{source: {lab.root}/page, target: /x}}}}]\n"
    )
    with pytest.raises(InputError, match="absolute path"):
        packed(lab)


def test_a_volume_by_an_absolute_path_is_refused(lab: Project) -> None:
    (lab.root / "scenarios" / "web.yaml").write_text(
        f"image: registry/x:1\nvolumes: [{{target: /srv, source: {lab.root}/data}}]\n"
    )
    with pytest.raises(InputError, match="absolute path"):
        packed(lab)


HOSTILE = [
    named("../out"),
    named("a/../../out"),
    named("/tmp/selab-out"),
    named(".selab/key"),
    named("data/.Vagrant/x"),
    named(".."),
    named("."),
    named("link", tarfile.SYMTYPE, "/etc"),
    named("link", tarfile.LNKTYPE, "../../x"),
    named("pipe", tarfile.FIFOTYPE),
    named("null", tarfile.CHRTYPE),
]


@pytest.mark.parametrize("member", HOSTILE, ids=lambda member: f"{member[0].name} {member[0].type!r}")
def test_what_does_not_belong_into_a_project_is_refused(
    member: tuple[tarfile.TarInfo, bytes], there: Path
) -> None:
    with pytest.raises(SelabError):
        place(made(named("policies/x.te"), member), ProjectConfig(), there)
    assert [path.name for path in there.iterdir()] == [".selab"] and not any((there / ".selab").iterdir())


def test_a_file_in_the_place_of_a_directory_is_refused(there: Path) -> None:
    with pytest.raises(SelabError, match="could not be unpacked"):
        place(made(named("a"), named("a/b")), ProjectConfig(), there)


@pytest.mark.parametrize("data", [b"", b"x", zlib.compress(b"no tar" * 300)])
def test_what_is_no_bundle_is_refused(data: bytes, there: Path) -> None:
    with pytest.raises(SelabError):
        place(Bundle(data, hashlib.sha256(data).hexdigest()), ProjectConfig(), there)


def test_another_digest_is_refused(lab: Project, there: Path) -> None:
    with pytest.raises(SelabError, match="damaged on the way"):
        place(Bundle(packed(lab).data, "0" * 64), lab.config, there)


def test_a_small_bundle_that_becomes_a_large_one_is_refused(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_UNPACKED", 1 << 20)
    data = zlib.compress(bytes(4 << 20))
    with pytest.raises(SelabError, match="too large"):
        place(Bundle(data, hashlib.sha256(data).hexdigest()), ProjectConfig(), there)
