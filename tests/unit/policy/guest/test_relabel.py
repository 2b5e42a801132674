"""Labelling the guest's files, and putting their labels back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script_argv
from selab.policy.contexts import FileContexts, FileSpec
from selab.policy.guest import relabel
from selab.policy.guest.relabel import CONTEXTS, LABELS, label_files, label_tree, restore_labels
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import PolicyGuest

SPECS = tuple(
    FileSpec(pattern, "", "u:object_r:web_content_t:s0")
    for pattern in ("/srv/web(/.*)?", "/srv/log(/.*)?", "/srv/absent")
)
PLACED = FileContexts(SPECS, "the contexts \udcff\n")
FILE = f"{CONTEXTS}/{PLACED.digest}"


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PolicyGuest:
    """A guest that has two of the three places. Its programs only record their calls."""
    monkeypatch.setattr(relabel, "_program", lambda name: name)
    guest = PolicyGuest(tmp_path)
    for name in ("web", "log"):
        guest.path(f"/srv/{name}").mkdir()
    guest.program("setfiles", "echo relabelled")
    guest.program("python3")
    return guest


def paths(guest: PolicyGuest, *words: str) -> str:
    return " ".join(str(guest.path(word)) if word.startswith("/") else word for word in words)


def test_contexts_without_a_place_label_nothing() -> None:
    assert label_files(FakeGuest(), FileContexts((), "")) is False


def test_the_places_that_exist_are_labelled_after_their_labels_were_saved(guest: PolicyGuest) -> None:
    assert label_files(guest, PLACED) is True
    places = ("/srv/log", "/srv/web")
    assert guest.called == [
        paths(guest, "python3", "-c", "save_labels", LABELS, str(relabel.MAX_FILES), *places),
        paths(guest, "setfiles", "-F", FILE, *places),
    ]
    assert guest.get(FILE) == b"the contexts \xff\n"


def test_without_a_place_in_the_guest_nothing_is_labelled(guest: PolicyGuest) -> None:
    for name in ("web", "log"):
        guest.path(f"/srv/{name}").rmdir()
    assert label_files(guest, PLACED) is False
    assert (guest.called, guest.path(FILE).exists()) == ([], False)


def test_contexts_that_the_guest_has_are_not_put_there_again(guest: PolicyGuest) -> None:
    guest.put(b"there", FILE)
    label_files(guest, PLACED)
    assert guest.get(FILE) == b"there"


def test_no_file_is_labelled_whose_label_was_not_saved(guest: PolicyGuest) -> None:
    guest.program("python3", "echo 'more than 20000 files' >&2; exit 1")
    with pytest.raises(
        SelabError, match="(?s)^The candidate's .*could not be applied.*more than 20000 files"
    ):
        label_files(guest, PLACED)
    assert len(guest.called) == 1


def test_labels_that_cannot_be_saved_have_an_exit_code_of_their_own(guest: PolicyGuest) -> None:
    guest.put(b"", FILE)
    guest.program("python3", "exit 1")
    argv = script_argv("policy/guest/label-files", FILE, LABELS, "1", "save", "/srv/web")
    assert guest.run(argv).returncode == 4


def label_web(guest: PolicyGuest) -> None:
    label_tree(guest, PLACED, "/srv/log", "/srv/web")


@pytest.mark.parametrize("label", [label_files, lambda guest, _: label_web(guest)])
def test_contexts_that_setfiles_refuses_are_an_error(guest: PolicyGuest, label: Any) -> None:
    guest.program("setfiles", "echo first >&2; echo 'line 1 has invalid context' >&2; exit 255")
    with pytest.raises(SelabError, match="^The candidate's .*could not be applied") as caught:
        label(guest, PLACED)
    assert (caught.value.detail, bool(caught.value.hint)) == ("line 1 has invalid context", True)


def test_an_answer_of_setfiles_that_ends_early_makes_no_sense() -> None:
    guest = FakeGuest()
    guest.answer("/srv/web", out="Relabeled /srv/web from x to y\n")
    with pytest.raises(SelabError, match="^The guest's answer makes no sense"):
        label_files(guest, PLACED)


def test_a_volume_is_labelled_as_if_it_were_at_its_place_in_the_container(guest: PolicyGuest) -> None:
    label_web(guest)
    root, path = guest.path("/srv/log"), guest.path("/srv/web")
    assert guest.called == [f"setfiles -F -r {root} {guest.path(FILE)} {root}{path}"]
    assert guest.path(FILE).exists()


def test_labels_are_restored_from_where_they_were_saved(guest: PolicyGuest) -> None:
    guest.put(b"{}", LABELS)
    restore_labels().of(guest)
    assert guest.called == [paths(guest, "python3", "-c", "restore_labels", LABELS)]


def test_without_saved_labels_there_is_nothing_to_restore(guest: PolicyGuest) -> None:
    restore_labels().of(guest)
    assert guest.called == []


def test_labels_that_cannot_be_put_back_are_an_error(guest: PolicyGuest) -> None:
    guest.put(b"{}", LABELS)
    guest.program("python3", "exit 1")
    with pytest.raises(CommandFailed, match="^The labels .*could not be restored") as caught:
        restore_labels().of(guest)
    assert LABELS in caught.value.hint


@pytest.mark.parametrize("name", ["save_labels", "restore_labels"])
def test_the_guest_gets_the_program_of_this_package(name: str) -> None:
    assert relabel._program(name) == (Path(relabel.__file__).parent / f"{name}.py").read_text()


SUBS = "/etc/selinux/targeted/contexts/files/file_contexts"


@pytest.mark.parametrize(
    "label",
    [lambda guest: label_files(guest, PLACED), lambda guest: label_tree(guest, PLACED, "/srv/web", "/x")],
)
def test_paths_are_looked_up_by_the_guests_equivalences(guest: PolicyGuest, label: Any) -> None:
    guest.put(b"SELINUX=enforcing\nSELINUXTYPE=targeted\n", "/etc/selinux/config")
    for name in ("subs_dist", "subs"):
        guest.put(name.encode(), f"{SUBS}.{name}")
    label(guest)
    assert (guest.get(f"{FILE}.subs_dist"), guest.get(f"{FILE}.subs")) == (b"subs_dist", b"subs")


def test_an_equivalence_that_the_guest_no_longer_has_does_not_apply(guest: PolicyGuest) -> None:
    guest.put(b"SELINUXTYPE=targeted\n", "/etc/selinux/config")
    guest.put(b"there", FILE)
    guest.put(b"/a /b", f"{FILE}.subs")
    label_files(guest, PLACED)
    assert not guest.path(f"{FILE}.subs").exists()
