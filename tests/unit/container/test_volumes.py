"""How volumes come into the guest."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from selab.container.volumes import volume_label
from selab.errors import CommandFailed
from selab.guest import script
from selab.policy.contexts import FileContexts
from selab.policy.filecon import FileSpec
from selab.scenario.container import Volume
from tests.unit.fakes import FakeGuest
from tests.unit.workloads import scenario, started, workload

VOLUMES = "/var/lib/selab/runs/selab-"
CONTEXTS = FileContexts((FileSpec("/srv/web(/.*)?", "", "u:object_r:web_content_t:s0"),), "")
LABELS = [
    (None, "volume_t"),
    ("private", "volume_t"),
    ("shared", "volume_t"),
    ("own_t", "own_t"),
    ("keep", ""),
]


def with_volumes(root: Path, *volumes: dict[str, object], code: int = 0) -> FakeGuest:
    """The guest after a run with `volumes`; `code` is the exit code of the script that makes one."""
    guest = FakeGuest()
    guest.answer(script("container/make-volume"), code=code, err="tar: no space\n" if code else "")
    guest.answer(script("policy/guest/label-tree"))
    guest.answer(script("container/end"), out="runs\nend\n")
    guest.answer(script("container/start"), out="pid 7\nend\n")
    of = workload(scenario(volumes=volumes), contexts=CONTEXTS, volume_type="volume_t")
    with started(guest, of, root):
        pass
    return guest


def calls(guest: FakeGuest, name: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """The arguments of each call of the script `name`, and the names in its input if that is an archive."""
    return [
        (argv[4:], tarfile.open(fileobj=io.BytesIO(data)).getnames() if data else [])
        for argv, data in zip(guest.commands, guest.inputs, strict=True)
        if argv[2] == script(name)
    ]


@pytest.mark.parametrize(("label", "own_type"), LABELS)
def test_a_volume_is_of_the_runtimes_type_before_the_runtime_gives_it_categories(
    label: str | None, own_type: str, tmp_path: Path
) -> None:
    guest = with_volumes(tmp_path, {"target": "/data", "label": label})
    assert calls(guest, "container/make-volume") == [((f"{VOLUMES}/volume0/data", own_type), [])]


def test_a_volume_that_the_candidates_contexts_cover_is_labelled_by_them(tmp_path: Path) -> None:
    guest = with_volumes(tmp_path, {"target": "/data"}, {"target": "/srv/web/static"})
    path = f"{VOLUMES}/volume1/srv/web/static"
    assert calls(guest, "container/make-volume")[1] == ((path, ""), [])
    ((words, _),) = calls(guest, "policy/guest/label-tree")
    assert words == (f"/var/lib/selab/contexts/{CONTEXTS.digest}", f"{VOLUMES}/volume1", "/srv/web/static")


def test_the_files_of_the_projects_directory_are_copied_and_those_of_the_guest_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("x")
    own = {"guest_path": "/etc", "target": "/c"}
    guest = with_volumes(tmp_path, own, {"source": "site", "target": "/data"})
    assert calls(guest, "container/make-volume") == [((f"{VOLUMES}/volume1/data", "volume_t"), ["page"])]


def test_a_volume_that_cannot_be_created_ends_the_run_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="/data") as caught:
        with_volumes(tmp_path, {"target": "/data"}, code=2)
    assert "no space" in caught.value.detail


@pytest.mark.parametrize(
    ("volume", "label"),
    [
        ({"target": "/srv/web/static"}, "contexts"),
        ({"target": "/srv"}, "private"),
        ({"target": "/srv/web", "label": "shared"}, "shared"),
        ({"target": "/srv/web", "guest_path": "/etc"}, "keep"),
    ],
)
def test_a_volume_is_labelled_as_the_candidates_contexts_say_unless_the_scenario_does(
    volume: dict[str, str], label: str
) -> None:
    assert volume_label(Volume.model_validate(volume), volume["target"], CONTEXTS) == label
