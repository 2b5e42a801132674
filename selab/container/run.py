"""Run a container under its label, and read from the kernel which label its processes really have."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from selab.container.image import Image, ensure_image
from selab.container.label import ContainerLabel
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest
from selab.policy.contexts import FileContexts
from selab.policy.relabel import label_tree
from selab.progress import Progress
from selab.scenario import Scenario, Volume

START_TIMEOUT = 180.0
"""Seconds for `docker run`: five to eight in an emulated guest, a minute when its disk is cold."""
REMOVE_TIMEOUT = 120.0
NO_SUCH_IMAGE = ("No such image", "Unable to find image")
NO_DAEMON = "Cannot connect to the Docker daemon"
IN_THE_WAY = ("is already in use by container", "port is already allocated")
"""A run that was cut off may still have been starting its container when the next one looked for what it has left."""
RUNS = "/var/lib/selab/runs"
NO_CONTEXTS = FileContexts((), "")

# /run/selab/containers has a file per container that was started and not yet removed; it says `kept` where the container is meant to stay.
# Removes what an earlier run has left behind (it was killed, or its container was kept), then starts the container. Prints its main
# process (0 if it has ended); containerd knows that without the second that a `docker inspect` takes in an emulated guest.
_START = r"""
name=$1; shift
mkdir -p /run/selab/containers
for left in /run/selab/containers/*; do
  [ -e "$left" ] || continue
  old=${left##*/}
  if [ "$old" = "$name" ] || [ "$(cat "$left")" != kept ]; then docker rm -f -v "$old" >/dev/null 2>&1; rm -f "$left"; fi
done
echo running >"/run/selab/containers/$name"
id=$(docker "$@") || {
  status=$?; kill "$watcher"
  docker rm -f -v "$name" >/dev/null 2>&1; rm -f "/run/selab/containers/$name"
  exit $status
}
pid=$(cat "/run/containerd/io.containerd.runtime.v2.task/moby/$id/init.pid" 2>/dev/null)
pid=${pid:-$(docker inspect --format '{{.State.Pid}}' "$id")}
echo "pid $pid"
labels "$pid" "$name"
"""
# The labels of all processes in the container's cgroup now, and the one that was seen while it was watched. A container that has ended
# has process 0; kernels with cgroup v1 have its cgroup below a controller.
_LABELS = r"""
labels() {
  pid=$1 file=/run/selab/labels-$2 group=""
  if [ "$pid" != 0 ] && [ -e "/proc/$pid/cgroup" ]; then
    while IFS=: read -r number controllers path; do
      [ "$path" != / ] || continue
      case $number,$controllers in 0,|*,pids) group=${group:-$path} ;; esac
    done <"/proc/$pid/cgroup"
  fi
  if [ -n "$group" ]; then
    procs=/sys/fs/cgroup$group/cgroup.procs; [ -e "$procs" ] || procs=/sys/fs/cgroup/pids$group/cgroup.procs
    [ ! -e "$procs" ] || while read -r each; do
      label=""; [ -e "/proc/$each/attr/current" ] && read -r label <"/proc/$each/attr/current"
      [ -z "$label" ] || echo "label $label"
    done <"$procs"
  fi
  label=""; [ -e "$file" ] && read -r label <"$file"
  [ -z "$label" ] || echo "label $label"
}
"""
# A container may be gone before anyone looks: from before it starts, this watches its cgroup for a process with the wanted context, without
# a pause once there is a process. It says nothing of other contexts: the runtime's own process is in that cgroup until it becomes the
# container's.
_WATCH = r"""
want=$1; shift; name=$1; file=/run/selab/labels-$name; mkdir -p /run/selab
rm -f "$file" "/run/selab/cid-$name"
( turn=0; id=""
  while [ -z "$id" ] && [ $turn -lt 1500 ]; do
    turn=$((turn + 1)); [ -s "/run/selab/cid-$name" ] && read -r id <"/run/selab/cid-$name"; [ -n "$id" ] || sleep 0.1
  done
  turn=0 hurry=0
  while [ $turn -lt 1500 ]; do
    there=0
    for group in "/sys/fs/cgroup/system.slice/docker-$id.scope" "/sys/fs/cgroup/docker/$id" "/sys/fs/cgroup/pids/docker/$id"; do
      [ -e "$group/cgroup.procs" ] || continue
      there=1
      while read -r each; do
        label=""; read -r label <"/proc/$each/attr/current"
        [ "$label" = "$want" ] && echo "$label" >"$file" && exit
      done <"$group/cgroup.procs"
    done
    if [ $there = 1 ] && [ $hurry -lt 3000 ]; then hurry=$((hurry + 1)); else turn=$((turn + 1)); sleep 0.03; fi
  done ) >/dev/null 2>&1 &
watcher=$!
"""
_KEEP = r"""
labels "$2" "$1"
echo kept >"/run/selab/containers/$1"
"""
_REMOVE = r"""
labels "$2" "$1"
docker rm -f -v "$1" >/dev/null; status=$?
rm -f "/run/selab/containers/$1" "/run/selab/labels-$1" "/run/selab/cid-$1"; rm -rf "/var/lib/selab/runs/$1"
exit $status
"""


@dataclass
class Container:
    """A container that runs, or has run. `labels` are the distinct contexts that its processes were seen to have."""

    name: str
    pid: int
    labels: set[str] = field(default_factory=set)


def docker_arguments(scenario: Scenario, image: Image, name: str, label: ContainerLabel, contexts: FileContexts = NO_CONTEXTS) -> list[str]:
    """The words after `docker` that start the scenario's container."""
    words = ["run", "--detach", "--pull=never", "--name", name, "--hostname", "selab", "--cidfile", f"/run/selab/cid-{name}"]
    words += ["--security-opt", f"label=type:{label.type}", "--security-opt", f"label=level:{label.level}"]
    words += [word for port in scenario.ports for word in ("--publish", f"127.0.0.1:{port.guest}:{port.container}")]
    words += [
        word for number, volume in enumerate(scenario.volumes) for word in ("--volume", _volume_option(name, number, volume, contexts))
    ]
    words += [f"--cap-add={capability}" for capability in scenario.cap_add]
    words += [f"--cap-drop={capability}" for capability in scenario.cap_drop]
    words += [word for key, value in scenario.environment.items() for word in ("--env", f"{key}={value}")]
    words += ["--user", scenario.user] if scenario.user else []
    words += ["--read-only"] if scenario.read_only else []
    return [*words, image.reference, *scenario.command]


def volume_label(volume: Volume, contexts: FileContexts) -> str:
    """How a volume is labelled: what the scenario says, or what suits it."""
    if volume.label:
        return volume.label
    if volume.guest_path:
        return "keep"
    return "contexts" if contexts.cover(volume.target) else "private"


def _volume_root(name: str, number: int) -> str:
    return f"{RUNS}/{name}/volume{number}"


def _volume_path(name: str, number: int, volume: Volume) -> str:
    """A copy lies below a directory of its own at the path that it has in the container: file contexts go by that."""
    return volume.guest_path or _volume_root(name, number) + volume.target


def _volume_option(name: str, number: int, volume: Volume, contexts: FileContexts) -> str:
    options = {"private": ["Z"], "shared": ["z"]}.get(volume_label(volume, contexts), []) + (["ro"] if volume.read_only else [])
    return ":".join([_volume_path(name, number, volume), volume.target, *([",".join(options)] if options else [])])


@contextmanager
def running(
    guest: Guest,
    scenario: Scenario,
    image: Image,
    label: ContainerLabel,
    root: Path,
    cache: Path,
    progress: Progress,
    *,
    contexts: FileContexts = NO_CONTEXTS,
    volume_type: str = "",
    keep: bool = False,
) -> Iterator[Container]:
    """The scenario's container, started under `label`; removed after the block unless `keep`. `contexts` label its volumes, or they are of
    `volume_type`, the runtime's own type for them, from before the runtime gives them their categories: it may not relabel any type.

    Its labels are complete only after the block: they are read once more just before it is removed.
    """
    name = f"selab-{scenario.name}"
    argv = ["sh", "-c", _LABELS + _WATCH + _START, "sh", label.context, name, *docker_arguments(scenario, image, name, label, contexts)]
    container = Container(name, 0)
    try:
        _prepare_volumes(guest, scenario, name, root, contexts, volume_type)
        done = guest.run(argv, timeout=START_TIMEOUT)
        for signs, mend in (
            ((NO_DAEMON,), lambda: _start_docker(guest, progress)),
            (IN_THE_WAY, lambda: guest.run(["docker", "rm", "-f", "-v", name], timeout=REMOVE_TIMEOUT)),
            (NO_SUCH_IMAGE, lambda: ensure_image(guest, image, cache, progress)),
        ):
            if not done.ok and any(words in done.error_text for words in signs):
                mend()
                done = guest.run(argv, timeout=START_TIMEOUT)
        container = _started(done, name)
        yield container
    finally:
        end = _KEEP if keep else _REMOVE
        container.labels |= _labels(guest.run(["sh", "-c", _LABELS + end, "sh", name, str(container.pid)], timeout=REMOVE_TIMEOUT))


def _start_docker(guest: Guest, progress: Progress) -> None:
    with progress.step("Starting Docker, which somebody has stopped"):
        guest.run(["systemctl", "start", "docker"], timeout=START_TIMEOUT)


def _labels(done: Completed) -> set[str]:
    return {line.removeprefix("label ") for line in done.text.splitlines() if line.startswith("label ") and line.count(":") >= 2}


def _started(done: Completed, name: str) -> Container:
    if NO_DAEMON in done.error_text:
        raise SelabError("Docker does not answer in the guest.", _without_usage(done.error_text), "Run `selab doctor`.")
    if not done.ok:
        raise ContainerRefused(done)
    pid = next((line.removeprefix("pid ") for line in done.text.splitlines() if line.startswith("pid ")), "")
    if not pid.isdigit():
        raise SelabError("Docker did not say what it started.", f"It said: {done.text[:100]!r}", "Run `selab doctor`.")
    return Container(name, int(pid), _labels(done))


class ContainerRefused(CommandFailed):
    """The container was not started: an outcome of the run, since the candidate may be why."""

    def __init__(self, done: Completed) -> None:
        super().__init__("The container did not start.", ["docker", "run"], done.returncode, _without_usage(done.error_text))


def _without_usage(text: str) -> str:
    """Docker's message without the advice that it ends with."""
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith(("Run 'docker", "See 'docker")))


def _prepare_volumes(guest: Guest, scenario: Scenario, name: str, root: Path, contexts: FileContexts, volume_type: str) -> None:
    """Copy the project's directories into the guest, and label them."""
    for number, volume in enumerate(scenario.volumes):
        if volume.guest_path:
            continue
        path = _volume_path(name, number, volume)
        archive = _archive((root / volume.source).resolve() if volume.source else None)
        make = 'rm -rf "$1" && mkdir -p "$1" && tar -xf - -C "$1" && { [ -z "$2" ] || chcon -R -t "$2" "$1"; }'
        label = volume_label(volume, contexts)
        own_type = {"private": volume_type, "shared": volume_type, "contexts": "", "keep": ""}.get(label, label)
        done = guest.run(["sh", "-c", make, "sh", path, own_type], input=archive)
        done.expect(f"The volume for {volume.target} cannot be made.")
        if label == "contexts":
            label_tree(guest, contexts, _volume_root(name, number), volume.target)


def _archive(directory: Path | None) -> bytes:
    """The directory as a tar, links left out: what they point at may lie outside of the project."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in sorted(directory.rglob("*")) if directory else []:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                continue
            tar.add(path, arcname=str(path.relative_to(directory or path)), recursive=False, filter=_as_root)
    return out.getvalue()


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
