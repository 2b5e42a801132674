"""Bring the volumes of containers into the guest, labelled as the scenario says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from selab.container.archive import packed
from selab.container.workload import LabelledContainer, Workload
from selab.guest import Guest, script_argv
from selab.policy.contexts import FileContexts
from selab.policy.guest.relabel import label_tree
from selab.scenario.container import NamedVolume, Volume

RUNS = "/var/lib/selab/runs"
_OPTIONS = {"private": ["Z"], "shared": ["z"]}
"""The runtimes' options by a volume's label. selab itself sets the other labels."""


@dataclass(frozen=True)
class Mount:
    """A directory of the guest that a container mounts.

    path: its path in the guest.
    target: its path in the container.
    label: how it is labelled.
    read_only: whether the container cannot write to it.
    root: directory of the guest below which a copy has its target as path, because file contexts match that
        path; empty for a directory of the guest.
    source: directory below the project whose files are copied, or None for an empty volume.
    """

    path: str
    target: str
    label: str
    read_only: bool = False
    root: str = ""
    source: str | None = None

    @property
    def option(self) -> str:
        """Return the value of the runtimes' option `--volume`."""
        options = _OPTIONS.get(self.label, []) + (["ro"] if self.read_only else [])
        return ":".join([self.path, self.target, *([",".join(options)] if options else [])])


def mounts_of(container: LabelledContainer, workload: Workload) -> list[Mount]:
    """Return the mounts of a container, in the order of its volumes."""
    shared = named_mounts(workload)
    return [
        replace(shared[volume.name], target=volume.target, read_only=volume.read_only)
        if volume.name
        else _mount(volume, volume.target, f"{RUNS}/{container.name}/volume{number}", workload.contexts)
        for number, volume in enumerate(container.spec.volumes)
    ]


def named_mounts(workload: Workload) -> Mapping[str, Mount]:
    """Return the mounts of the named volumes, by name, each with the target of the first container.

    By default, a volume that one container mounts is private, and one that several mount is shared.
    """
    targets: dict[str, list[str]] = {name: [] for name in workload.named_volumes}
    for container in workload.containers:
        for volume in container.spec.volumes:
            if volume.name:
                targets[volume.name].append(volume.target)
    return {
        name: _mount(
            volume,
            targets[name][0],
            f"{RUNS}/{workload.name}/volume-{name}",
            workload.contexts,
            "private" if len(targets[name]) == 1 else "shared",
        )
        for name, volume in workload.named_volumes.items()
    }


def _mount(
    volume: Volume | NamedVolume, target: str, root: str, contexts: FileContexts, usual: str = "private"
) -> Mount:
    label = volume_label(volume, target, contexts, usual)
    read_only = isinstance(volume, Volume) and volume.read_only
    if volume.guest_path:
        return Mount(volume.guest_path, target, label, read_only)
    return Mount(root + target, target, label, read_only, root, volume.source)


def volume_label(
    volume: Volume | NamedVolume, target: str, contexts: FileContexts, usual: str = "private"
) -> str:
    """Return how a volume is labelled: as the scenario says, or else by what the volume is.

    `usual`: the label of a copy that no file context covers.
    """
    if volume.label:
        return volume.label
    if volume.guest_path:
        return "keep"
    return "contexts" if contexts.cover(target) else usual


def prepare_volumes(guest: Guest, workload: Workload, root: Path) -> None:
    """Copy the project's directories into the guest, and label them. `root` is the project's directory."""
    own = [
        mount
        for container in workload.containers
        for volume, mount in zip(container.spec.volumes, mounts_of(container, workload), strict=True)
        if not volume.name
    ]
    for mount in (*named_mounts(workload).values(), *own):
        if not mount.root:
            continue
        archive = packed((root / mount.source).resolve() if mount.source else None)
        types = {"private": workload.volume_type, "shared": workload.volume_type, "contexts": "", "keep": ""}
        own_type = types.get(mount.label, mount.label)
        done = guest.run(script_argv("container/make-volume", mount.path, own_type), input=archive)
        done.expect(f"The volume for {mount.target} cannot be created.")
        if mount.label == "contexts":
            label_tree(guest, workload.contexts, mount.root, mount.target)
