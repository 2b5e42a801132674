"""A base policy made from a tar of a policy store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from selab.errors import CommandFailed
from selab.guest import Completed, script_argv
from selab.policy.base import ensure_base, keep_base
from selab.policy.survey import StoreFacts, survey
from selab.policy.toolchain import Toolchain
from selab.progress import Progress
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import PolicyGuest
from tests.unit.policy.store import ACTIVE, FILES, archive, fingerprint_of_files, made


def test_a_higher_priority_is_in_force(tmp_path: Path, flattener: Toolchain) -> None:
    assert made(tmp_path, flattener).declares_type("better_t")


@pytest.mark.parametrize("name", ["web_t", "off_t"])
def test_a_lower_priority_and_a_disabled_module_are_not(
    tmp_path: Path, flattener: Toolchain, name: str
) -> None:
    assert not made(tmp_path, flattener).declares_type(name)


def test_a_local_boolean_is_in_the_flat_base(tmp_path: Path, flattener: Toolchain) -> None:
    assert "(boolean shiny true)" in made(tmp_path, flattener).flat.read_text()


@pytest.mark.parametrize(
    "name", ["devel/include/web.if", "contexts/lxc_contexts", "templates/net_container.cil"]
)
def test_headers_templates_and_contexts_that_no_module_declares_are_stored(
    tmp_path: Path, flattener: Toolchain, name: str
) -> None:
    assert (made(tmp_path, flattener).directory / name).exists()


def test_the_file_contexts_are_those_of_the_modules_and_not_of_the_guests_file(
    tmp_path: Path, flattener: Toolchain
) -> None:
    """The fingerprint covers the modules only. The guest's file may be forged for other guests' runs."""
    context = "(u r better_t ((s0) (s0)))"
    cil = f'(filecon "/srv/x" file {context})\n(filecon "HOME_DIR/x" file {context})\n'
    path = f"{ACTIVE}/modules/400/web/cil"
    keep_base(archive(FILES | {path: FILES[path] + cil.encode()}), "test", flattener, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    texts = {
        name: (directory / "contexts" / "files" / name).read_text()
        for name in ("file_contexts", "homedir_template")
    }
    assert texts == {
        "file_contexts": "/srv/x\t--\tu:r:better_t:s0\n",
        "homedir_template": "HOME_DIR/x\t--\tu:r:better_t:s0\n",
    }


def test_the_file_contexts_have_the_order_of_the_guests_file(tmp_path: Path, flattener: Toolchain) -> None:
    """Two patterns of equal precedence may match one path, and then the last one counts."""
    texts = [f'(filecon "/{name}.*" file (u r better_t ((s0) (s0))))\n'.encode() for name in ("a", "b", "c")]
    path = f"{ACTIVE}/modules/400/web/cil"
    theirs = b"/b.* -- u:r:evil_t:s0\n/a.* -- u:r:better_t:s0\n"
    changed = {path: FILES[path] + b"".join(texts), "etc/selinux/test/contexts/files/file_contexts": theirs}
    keep_base(archive(FILES | changed), "test", flattener, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    lines = (directory / "contexts" / "files" / "file_contexts").read_text().splitlines()
    assert lines == [f"/{name}.*\t--\tu:r:better_t:s0" for name in ("b", "a", "c")]


@pytest.mark.parametrize(
    ("rule", "limits"), [(b"", False), (b"(allowx better_t etc_t (ioctl file (0x5401)))\n", True)]
)
def test_a_base_says_whether_it_limits_ioctl(
    tmp_path: Path, flattener: Toolchain, rule: bytes, limits: bool
) -> None:
    """Only a base with extended rules is searched for those that apply to a denied ioctl."""
    files = FILES | {f"{ACTIVE}/modules/100/other/cil": rule}
    keep_base(archive(files), "test", flattener, tmp_path)
    store_facts = StoreFacts("test", 33, True, False, fingerprint_of_files(files))
    known = ensure_base(FakeGuest(), store_facts, flattener, tmp_path, Progress())
    assert known.limits_ioctl is limits


def test_local_file_contexts_come_from_the_store(tmp_path: Path, flattener: Toolchain) -> None:
    local = b"/srv/y  u:object_r:better_t:s0\n"
    keep_base(archive(FILES | {f"{ACTIVE}/file_contexts.local": local}), "test", flattener, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    assert (directory / "contexts" / "files" / "file_contexts.local").read_bytes() == local


@pytest.mark.parametrize(
    "name",
    [
        "usr/share/selinux/devel/include/web.if",
        "etc/selinux/test/contexts/lxc_contexts",
        "etc/selinux/test/contexts/files/file_contexts.subs",
        "etc/selinux/test/contexts/files/file_contexts.subs_dist",
        "usr/share/udica/templates/net_container.cil",
        "usr/share/udica/templates/more.cil",
    ],
)
def test_guests_with_other_headers_contexts_or_templates_do_not_share_a_base(
    tmp_path: Path, flattener: Toolchain, name: str
) -> None:
    for text in (b"x", b"y"):
        keep_base(archive(FILES | {name: text}), "test", flattener, tmp_path)
    assert len(list((tmp_path / "bases").iterdir())) == 2


@pytest.fixture
def guest(tmp_path: Path) -> PolicyGuest:
    """A guest whose file system has FILES, headers with odd names, and a module that is a second link."""
    guest = PolicyGuest(tmp_path / "root")
    headers = {
        f"usr/share/selinux/devel/include/{name}": b"z" for name in ("a-b.if", "a b.if", "B/c.if", "\xe9.if")
    }
    empty = {f"{ACTIVE}/ports.local": b"", f"{ACTIVE}/modules/400/web/lang_ext": b"pp"}
    kernel = {"sys/fs/selinux/policyvers": b"33", "sys/fs/selinux/mls": b"1"}
    templates = {
        f"usr/share/udica/templates/{name}": b"(block x)"
        for name in (
            "a-b.cil",
            "a b.cil",
            "B.cil",
            "1.cil",
            "\xe9.cil",
            "a.txt",
            "below/c.cil",
            f"{'x' * 101}.cil",
        )
    }
    config = {"etc/selinux/config": b"SELINUXTYPE=test\n", "etc/selinux/semanage.conf": b""}
    guest.holds(FILES | templates | headers | empty | kernel | config)
    (second := guest.path(f"/{ACTIVE}/modules/400/second")).mkdir()
    (second / "cil").hardlink_to(guest.path(f"/{ACTIVE}/modules/100/web/cil"))
    return guest


def archived(guest: PolicyGuest) -> Completed:
    return guest.run(script_argv("policy/read-store", "test"))


def without_contexts(guest: PolicyGuest) -> None:
    shutil.rmtree(guest.path("/etc/selinux/test"))


def without_templates(guest: PolicyGuest) -> None:
    shutil.rmtree(guest.path("/usr/share/udica"))


def with_a_link_to_templates(guest: PolicyGuest) -> None:
    guest.path("/usr/share/udica/templates").rename(guest.path("/usr/share/udica/others"))
    guest.path("/usr/share/udica/templates").symlink_to("others")


def without_local_modifications(guest: PolicyGuest) -> None:
    for path in guest.path(f"/{ACTIVE}").glob("*.local"):
        path.unlink()


@pytest.mark.program
@pytest.mark.parametrize(
    "change",
    [
        lambda guest: None,
        *(without_contexts, without_local_modifications, without_templates, with_a_link_to_templates),
    ],
)
def test_the_guests_survey_and_its_archive_have_one_fingerprint(
    tmp_path: Path, flattener: Toolchain, guest: PolicyGuest, change: Callable[[PolicyGuest], None]
) -> None:
    change(guest)
    facts = survey().of(guest)
    keep_base(archived(guest).stdout, "test", flattener, tmp_path)
    assert newest_directory(tmp_path).name.startswith(facts.fingerprint[:16])
    assert (
        newest_directory(tmp_path) / "cil" / "second.cil"
    ).read_text() == "(type web_t)\n(roletype r web_t)\n"


def test_an_archive_without_headers_is_an_error_of_the_guest(tmp_path: Path, guest: PolicyGuest) -> None:
    shutil.rmtree(guest.path("/usr/share/selinux/devel"))
    assert archived(guest).returncode == 2


def newest_directory(cache: Path) -> Path:
    """The only base policy in the cache."""
    (directory,) = (cache / "bases").iterdir()
    return directory


def test_nothing_stays_of_a_base_that_could_not_be_flattened(tmp_path: Path) -> None:
    machine = FakeGuest()
    machine.answer("secil2tree", code=1, err="Failed to resolve AST")
    machine.answer("rm -f /work/store.cil")
    with pytest.raises(CommandFailed, match="^The base policy cannot be resolved"):
        keep_base(archive(FILES), "test", Toolchain(machine, "/work"), tmp_path)
    assert list((tmp_path / "bases").iterdir()) == []
    assert len(machine.commands) == 2


def test_what_the_base_policy_lacks_is_kept_with_it(tmp_path: Path, flattener: Toolchain) -> None:
    optional = (
        b"(optional o\n    (typeattributeset cil_gen_require lost_t)\n    (deny r r (file (read)))\n)\n"
    )
    more = {f"{ACTIVE}/modules/100/more/cil": optional, f"{ACTIVE}/users.local": b"user x roles { y };\n"}
    keep_base(archive(FILES | more), "test", flattener, tmp_path)
    (directory,) = (tmp_path / "bases").iterdir()
    metadata = json.loads((directory / "base.json").read_text())
    assert (metadata["dangling"], metadata["left_out"], metadata["denies"]) == (
        ["lost_t"],
        ["users.local"],
        True,
    )


def test_a_module_that_is_left_out_is_not_in_the_base_policy(tmp_path: Path, flattener: Toolchain) -> None:
    keep_base(archive(FILES), "test", flattener, tmp_path, ("web",))
    (directory,) = (tmp_path / "bases").iterdir()
    assert sorted(path.name for path in (directory / "cil").iterdir()) == ["base.cil", "zz-local.cil"]
    assert "better_t" not in (directory / "flat.cil").read_text()


def test_the_store_is_linked_in_the_order_of_the_modules_names(tmp_path: Path, flattener: Toolchain) -> None:
    base = made(tmp_path, flattener)
    assert [path.name for path in base.store] == ["base.cil", "web.cil", "zz-local.cil"]


def test_the_guests_templates_are_known_by_their_names(tmp_path: Path, flattener: Toolchain) -> None:
    assert [path.name for path in made(tmp_path, flattener).templates] == ["net_container.cil"]
