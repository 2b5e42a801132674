"""The recipe of a box, and what its digest covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.vm.box.recipe import GuestFile, parse, plan, profiles

TEXT = """\
suite = "trixie"
disk_gib = 4
cmdline = "root=/dev/vda"
packages = ["a", "b"]
"""
MORE = """\
enabled = ["a.service"]
masked = ["b.timer", "c d.timer"]
setup = "echo done"
[[file]]
path = "/etc/late"
content = "x"
[[file]]
path = "/etc/early"
content = "y"
mode = 0o600
early = true
"""


def test_units_are_enabled_and_masked_before_the_setup_runs() -> None:
    assert parse(TEXT + MORE).rootfs.setup.splitlines() == [
        "systemctl enable -- a.service",
        "systemctl mask -- b.timer 'c d.timer'",
        "echo done",
    ]


def test_a_recipe_without_units_has_no_command_for_them() -> None:
    assert parse(TEXT).rootfs.setup == ""


def test_early_files_precede_the_packages() -> None:
    rootfs = parse(TEXT + MORE).rootfs
    assert [entry.path for entry in rootfs.early] == ["/etc/early"]
    assert [entry.path for entry in rootfs.files] == ["/etc/late"]


def test_a_file_keeps_its_content_and_its_mode() -> None:
    entry = GuestFile(path="/x", content="é", mode=0o600).entry
    assert (entry.path, entry.data, entry.mode) == ("/x", "é".encode(), 0o600)


@pytest.mark.parametrize(
    "text", [TEXT + "mode = 1\n", TEXT + '[[file]]\npath = "/a b"\ncontent = ""\n', TEXT.replace("4", "3")]
)
def test_a_recipe_that_is_not_valid_is_an_error(text: str) -> None:
    with pytest.raises(SelabError, match="not valid"):
        parse(text)


def test_every_shipped_recipe_can_be_planned(tmp_path: Path) -> None:
    assert "debian13" in profiles()
    assert {plan(profile, tmp_path).profile for profile in profiles()} == set(profiles())


def test_only_images_of_the_project_are_carried(tmp_path: Path) -> None:
    assert plan("debian13", tmp_path).images == ()


def test_a_profile_without_a_recipe_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'debian12'") as caught:
        plan("debian12", tmp_path)
    assert "debian13" in caught.value.hint
