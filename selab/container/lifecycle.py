"""Run a container under its label, and read from the kernel which label its processes really have."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from selab.container.image import Image, ensure_image
from selab.container.label import ContainerLabel
from selab.container.runtime import NOT_INSTALLED, Runtime, runtimes
from selab.errors import CommandFailed, SelabError
from selab.guest import Completed, Guest
from selab.policy.contexts import FileContexts
from selab.policy.guest.relabel import label_tree
from selab.progress import Progress
from selab.scenario import Scenario, Volume

HANGS = 100
"""Seconds for one word of the runtime's to what a start asks of it: five to eight in an emulated guest, a minute when its disk is cold."""
START_TIMEOUT = 240.0
"""Seconds to start a container, what is left of an earlier one removed."""
REMOVE_TIMEOUT = 120.0
RUNS = "/var/lib/selab/runs"
NO_CONTEXTS = FileContexts((), "")

_ARGUMENTS = rf"""
limited() {{ timeout {HANGS} "$@"; status=$?; [ $status != 124 ] || echo "$1 hangs" >&2; return $status; }}
want=$1 name=$2 engine=$3 pid_file=$4 cgroups=$5; shift 5
command -v "$engine" >/dev/null || {{ echo "$engine {NOT_INSTALLED}" >&2; exit 125; }}
"""
# /run/selab/containers has a file per container that was started and not yet removed, with its runtime; it says `kept` where the container
# is meant to stay. Removes what an earlier run has left behind (it was killed, or its container was kept), then starts the container.
# Prints its main process (0 if it has ended): the runtime's own file has that without the second that `inspect` takes in an emulated guest.
_START = r"""
mkdir -p /run/selab/containers
for left in /run/selab/containers/*; do
  [ -e "$left" ] || continue
  old=${left##*/} state='' by=''; read -r state by <"$left"
  if [ "$old" = "$name" ] || [ "$state" != kept ]; then
    limited "${by:-docker}" rm -f -v "$old" >/dev/null 2>&1
    [ $status != 124 ] || { kill "$watcher"; echo "${by:-docker} hangs" >&2; exit 124; }
    rm -f "$left"
  fi
done
echo "running $engine" >"/run/selab/containers/$name"
id=$(limited "$engine" "$@") || {
  status=$?; kill "$watcher"
  [ $status = 124 ] || "$engine" rm -f -v "$name" >/dev/null 2>&1; rm -f "/run/selab/containers/$name"
  exit $status
}
pid=$(cat "${pid_file%ID*}$id${pid_file##*ID}" 2>/dev/null)
[ -n "$pid" ] && [ -e "/proc/$pid" ] || pid=$("$engine" inspect --format '{{.State.Pid}}' "$id")
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
file=/run/selab/labels-$name; mkdir -p /run/selab
rm -f "$file" "/run/selab/cid-$name"
( turn=0; id=""
  while [ -z "$id" ] && [ $turn -lt 1500 ]; do
    turn=$((turn + 1)); [ -s "/run/selab/cid-$name" ] && read -r id <"/run/selab/cid-$name"; [ -n "$id" ] || sleep 0.1
  done
  turn=0 hurry=0
  while [ $turn -lt 1500 ]; do
    there=0
    for group in $cgroups; do
      group=/sys/fs/cgroup/${group%%ID*}$id${group#*ID}
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
echo "kept $3" >"/run/selab/containers/$1"
"""
_REMOVE = r"""
labels "$2" "$1"
"$3" rm -f -v "$1" >/dev/null; status=$?
rm -f "/run/selab/containers/$1" "/run/selab/labels-$1" "/run/selab/cid-$1"; rm -rf "/var/lib/selab/runs/$1"
exit $status
"""


@dataclass
class Container:
    """A container that runs, or has run. `labels` are the distinct contexts that its processes were seen to have."""

    name: str
    pid: int
    runtime: Runtime
    labels: set[str] = field(default_factory=set)


def run_arguments(
    scenario: Scenario, image: Image, name: str, label: ContainerLabel, contexts: FileContexts = NO_CONTEXTS
) -> list[str]:
    """The words after the runtime's name that start the scenario's container."""
    runtime = runtimes()[scenario.runtime]
    words = [
        "run",
        "--detach",
        "--pull=never",
        "--name",
        name,
        "--hostname",
        "selab",
        "--cidfile",
        f"/run/selab/cid-{name}",
    ]
    words += ["--security-opt", f"label=type:{label.type}", "--security-opt", f"label=level:{label.level}"]
    words += [
        word for port in scenario.ports for word in ("--publish", f"127.0.0.1:{port.guest}:{port.container}")
    ]
    words += [
        word
        for number, volume in enumerate(scenario.volumes)
        for word in ("--volume", _volume_option(name, number, volume, contexts))
    ]
    words += [f"--cap-add={capability}" for capability in scenario.cap_add]
    words += [f"--cap-drop={capability}" for capability in scenario.cap_drop]
    words += [word for key, value in scenario.environment.items() for word in ("--env", f"{key}={value}")]
    words += ["--user", scenario.user] if scenario.user else []
    words += runtime.read_only if scenario.read_only else []
    return [
        *words,
        image.reference if image.source else runtime.reference(image.reference),
        *scenario.command,
    ]


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
    options = {"private": ["Z"], "shared": ["z"]}.get(volume_label(volume, contexts), []) + (
        ["ro"] if volume.read_only else []
    )
    return ":".join(
        [_volume_path(name, number, volume), volume.target, *([",".join(options)] if options else [])]
    )


@contextmanager
def running(
    guest: Guest,
    scenario: Scenario,
    image: Image,
    label: ContainerLabel,
    root: Path,
    cache: Path,
    progress: Progress,
    ensure_runtime: Callable[[], None],
    *,
    contexts: FileContexts = NO_CONTEXTS,
    volume_type: str = "",
    keep: bool = False,
) -> Iterator[Container]:
    """The scenario's container, started under `label`; removed after the block unless `keep`. `contexts` label its volumes, or they are of
    `volume_type`, the runtime's own type for them, from before the runtime gives them their categories: it may not relabel any type.
    `ensure_runtime` is called where the guest lacks the runtime.

    Its labels are complete only after the block: they are read once more just before it is removed.
    """
    name, runtime = f"selab-{scenario.name}", runtimes()[scenario.runtime]
    words = [label.context, name, runtime.name, runtime.pid_file, " ".join(runtime.cgroups)]
    argv = [
        "sh",
        "-c",
        _ARGUMENTS + _LABELS + _WATCH + _START,
        "sh",
        *words,
        *run_arguments(scenario, image, name, label, contexts),
    ]
    container = Container(name, 0, runtime)
    try:
        _prepare_volumes(guest, scenario, name, root, contexts, volume_type)
        done = guest.run(argv, timeout=START_TIMEOUT)
        for is_why, mend in (
            (runtime.lacks, ensure_runtime),
            (runtime.is_silent, lambda: _start_service(guest, runtime, progress)),
            # A run that was cut off may still have been starting its container when this one looked for what it has left.
            (
                _says(runtime.in_the_way),
                lambda: guest.run(runtime.argv("rm", "-f", "-v", name), timeout=REMOVE_TIMEOUT),
            ),
            (_says(runtime.no_image), lambda: ensure_image(guest, runtime, image, cache, progress)),
        ):
            if not done.ok and is_why(done.error_text):
                mend()
                done = guest.run(argv, timeout=START_TIMEOUT)
        container = _started(done, name, runtime)
        yield container
    finally:
        end = _KEEP if keep else _REMOVE
        argv = ["sh", "-c", _LABELS + end, "sh", name, str(container.pid), runtime.name]
        container.labels |= _labels(guest.run(argv, timeout=REMOVE_TIMEOUT))


def _says(signs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a text has one of `signs`."""
    return lambda text: any(words in text for words in signs)


def _start_service(guest: Guest, runtime: Runtime, progress: Progress) -> None:
    with progress.step(f"Starting {runtime.title}, which does not answer"):
        guest.run(["systemctl", "restart", runtime.service], timeout=START_TIMEOUT)


def _labels(done: Completed) -> set[str]:
    return {
        line.removeprefix("label ")
        for line in done.text.splitlines()
        if line.startswith("label ") and line.count(":") >= 2
    }


def _started(done: Completed, name: str, runtime: Runtime) -> Container:
    if runtime.is_silent(done.error_text) or runtime.lacks(done.error_text):
        raise SelabError(
            f"{runtime.title} does not answer in the guest.",
            _without_usage(done.error_text),
            "Run `selab doctor`.",
        )
    if not done.ok:
        raise ContainerRefused(done, runtime)
    pid = next((line.removeprefix("pid ") for line in done.text.splitlines() if line.startswith("pid ")), "")
    if not pid.isdigit():
        raise SelabError(
            f"{runtime.title} did not say what it started.",
            f"It said: {done.text[:100]!r}",
            "Run `selab doctor`.",
        )
    return Container(name, int(pid), runtime, _labels(done))


class ContainerRefused(CommandFailed):
    """The container was not started: an outcome of the run, since the candidate may be why."""

    def __init__(self, done: Completed, runtime: Runtime) -> None:
        super().__init__(
            "The container did not start.",
            runtime.argv("run"),
            done.returncode,
            _without_usage(done.error_text),
        )


def _without_usage(text: str) -> str:
    """The runtime's message without the advice that Docker ends it with."""
    return "\n".join(
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("Run 'docker", "See 'docker"))
    )


def _prepare_volumes(
    guest: Guest, scenario: Scenario, name: str, root: Path, contexts: FileContexts, volume_type: str
) -> None:
    """Copy the project's directories into the guest, and label them."""
    for number, volume in enumerate(scenario.volumes):
        if volume.guest_path:
            continue
        path = _volume_path(name, number, volume)
        archive = _archive((root / volume.source).resolve() if volume.source else None)
        make = (
            'rm -rf "$1" && mkdir -p "$1" && tar -xf - -C "$1" && { [ -z "$2" ] || chcon -R -t "$2" "$1"; }'
        )
        label = volume_label(volume, contexts)
        own_type = {"private": volume_type, "shared": volume_type, "contexts": "", "keep": ""}.get(
            label, label
        )
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
