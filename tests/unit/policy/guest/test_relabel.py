"""Labelling the guest's files, and putting their labels back."""

from __future__ import annotations

import pytest

from selab.errors import SelabError
from selab.policy.contexts import FileContexts, FileSpec
from selab.policy.guest.relabel import CONTEXTS, label_files, label_tree, restore_labels
from tests.unit.fakes import FakeGuest

PLACED = FileContexts((FileSpec("/srv/web(/.*)?", "", "u:object_r:web_content_t:s0"),), "the contexts\n")


def test_contexts_without_a_place_label_nothing() -> None:
    assert label_files(FakeGuest(), FileContexts((), "")) is False


@pytest.mark.parametrize(("out", "labelled"), [("\nlabelled\n", True), ("", False)])
def test_files_are_labelled_if_the_guest_has_them(out: str, labelled: bool) -> None:
    guest = FakeGuest()
    guest.answer("/srv/web", out=out)
    assert label_files(guest, PLACED) is labelled


def test_contexts_that_setfiles_refuses_are_an_error() -> None:
    guest = FakeGuest()
    guest.answer("/srv/web", code=255, err="line 1 has invalid context\n")
    with pytest.raises(SelabError, match="invalid context"):
        label_files(guest, PLACED)


def test_a_volume_that_cannot_be_labelled_is_an_error() -> None:
    guest = FakeGuest()
    guest.answer("/volume0", code=1, err="no such type\n")
    with pytest.raises(SelabError, match="no such type"):
        label_tree(guest, PLACED, "/volume0", "/srv/web")


def test_the_contexts_are_put_into_a_guest_that_lacks_them() -> None:
    guest, codes = FakeGuest(), iter([9, 0])
    guest.rules.append((("/srv/web",), lambda argv: (next(codes), "", "")))
    label_files(guest, PLACED)
    assert guest.files == {f"{CONTEXTS}/{PLACED.digest}": b"the contexts\n"}
    assert len(guest.commands) == 2


def test_labels_that_cannot_be_put_back_are_an_error() -> None:
    guest = FakeGuest()
    guest.answer("labels.json", code=1)
    with pytest.raises(SelabError, match=r"labels\.json"):
        restore_labels().of(guest)
