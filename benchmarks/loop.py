"""Measure the loop of edit and try, by hand and with selab, alternating on one VM.

By hand means what a careful person does over an open SSH connection.

    python -m benchmarks.loop --project DIR [--policy NAME] [--rounds 5]

DIR is a selab project whose VM is up, with the example's scenario `apache`. Each round changes a rule of the
policy, once for each way.

- By hand: copy the sources, `make` (not for CIL), `semodule -i`, `setenforce 0`, `docker run`, the steps,
  `ausearch`, `docker rm -f`. A policy in CIL is installed with the templates that it inherits.
- selab: the same scenario over a connection that is open as well (as in `selab watch`): once unmeasured, then
  with the change, then without one; and `selab run` as a process of its own, which also starts Python and
  logs in.

The container's own time (start, steps, end, removal) is printed separately: each way does the same work
there. `verdict` is when the user knows the result: selab shows it while the runtime removes the container.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selab.container.image import find_image
from selab.guest import Guest
from selab.history import History, resume
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run import experiment
from selab.run.context import precompile
from selab.run.request import Plan, Request, make_plan
from selab.vm.virtual_machine import VirtualMachine

ROOT = Path(__file__).parents[1]
CONTAINER = {"container", "steps", "end", "remove", "image"}
VERDICT = "verdict"
"""Not a stage: the seconds from the beginning of a round to its result."""
GOAL, GOAL_CHANGED, GOAL_UNCHANGED = 12, 5.0, 1.5
PERMISSIONS = (
    "chown",
    "fowner",
    "fsetid",
    "kill",
    "setpcap",
    "net_raw",
    "sys_nice",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "ipc_lock",
)
SCENARIO = "apache"
Stages = dict[str, float]


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: Stages = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - started


class Edited:
    """The policy that each round edits.

    Attributes:
        project: the project that contains it.
        policy: its name, or None for the scenario's own.
        module: its sources as they were, and those that it needs.
    """

    def __init__(self, project: Project, policy: str | None) -> None:
        self.project, self.policy = project, policy
        modules = self.plan().modules
        assert modules, "The loop edits a policy: name one with --policy."
        self.module = modules[0]

    @property
    def in_cil(self) -> bool:
        return self.module.language == "cil"

    def plan(self) -> Plan:
        request = Request(SCENARIO, policy=self.policy, mode=Mode.PERMISSIVE)
        return make_plan(self.project, request, resume(self.project, SCENARIO))

    def edit(self, permission: str) -> None:
        """Change a rule of the policy; what was linked for the same text before is forgotten."""
        shutil.rmtree(self.project.state / "policy" / "linked", ignore_errors=True)
        shutil.rmtree(self.project.state / "compiled", ignore_errors=True)
        domain = self.module.domain
        mark, rule = (
            ("; loop:", f"(allow {domain} self (capability ({permission})))")
            if self.in_cil
            else ("# loop:", f"allow {domain} self:capability {permission};")
        )
        text = self.module.path.read_text().split(mark, 1)[0].rstrip()
        self.module.path.write_text(f"{text}\n{mark}\n{rule}\n")

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the policy's file after the block."""
        source = self.module.path
        with tempfile.TemporaryDirectory() as backup:
            shutil.copy(source, backup)
            try:
                yield
            finally:
                shutil.copy(Path(backup) / source.name, source)

    def run(
        self, guest: Guest, progress: Progress, judged: Callable[[experiment.Run], None] = lambda run: None
    ) -> experiment.Run:
        """Do what `selab watch` does for a save. `judged` is called at the verdict."""
        plan = self.plan()
        with precompile(self.project, plan, progress):
            machine = VirtualMachine(self.project)
            result = experiment.run_on(guest, machine, self.project, plan, progress, judged)
        History.of(self.project).add(result)
        return result

    def sources(self) -> dict[str, bytes]:
        """Return the files that the way by hand copies: the policy's own, and its templates."""
        templates = [each.path for each in self.module.requires if each.is_template]
        return {path.name: path.read_bytes() for path in (*templates, self.module.path)}


def by_hand(guest: Guest, edited: Edited) -> Stages:
    """Today's way, the best of it: everything over one open connection, nothing done twice."""
    clock = Clock()
    since = guest.run(["date", "+%H:%M:%S"]).text.strip()
    name, sources = edited.module.name, edited.sources()
    with clock.stage("copy"):
        for file, text in sources.items():
            guest.put(text, f"/root/loop/{file}")
    if not edited.in_cil:
        with clock.stage("make"):
            _sh(guest, f"cd /root/loop && make -f /usr/share/selinux/devel/Makefile {name}.pp")
    with clock.stage("semodule -i"):
        _sh(guest, f"cd /root/loop && semodule -i {' '.join(sources) if edited.in_cil else f'{name}.pp'}")
    with clock.stage("setenforce"):
        _sh(guest, "setenforce 0")
    image = find_image(edited.project, "httpd").reference
    label = f"label=type:{edited.module.domain}"
    with clock.stage("container"):
        _sh(guest, f"docker run -d --name loop --security-opt {label} -p 127.0.0.1:8080:80 {image}")
    with clock.stage("steps"):
        _sh(
            guest,
            "for turn in $(seq 60); do curl -fs http://127.0.0.1:8080/ >/dev/null && break; sleep 0.2; done",
        )
        _sh(guest, "curl -s http://127.0.0.1:8080/nothing >/dev/null")
    with clock.stage("ausearch"):
        _sh(guest, f"ausearch --input-logs -m avc -ts today {since} | grep -c denied")
    verdict = sum(clock.stages.values())
    with clock.stage("remove"):
        _sh(guest, "docker rm -f loop")
    return clock.stages | {VERDICT: verdict}


def _sh(guest: Guest, script: str) -> None:
    guest.run(["sh", "-c", script], timeout=600).expect(f"`{script}` failed.")


def by_selab(guest: Guest, edited: Edited) -> Stages:
    """What `selab watch` does for a save."""
    progress, clock = Progress(), Clock()
    with clock.stage("all"):
        result = edited.run(guest, progress)
    assert not result.loaded.slow_because, result.loaded.slow_because
    stages = {name: seconds for name, seconds in progress.timings.items() if name not in ("link", "load")}
    return stages | {"the rest": clock.stages["all"] - sum(stages.values()), VERDICT: result.seconds}


def by_process(edited: Edited) -> Stages:
    """`selab run`, from the shell's point of view."""
    clock, project = Clock(), edited.project
    argv = [sys.executable, "-m", "selab", "-C", str(project.root), "run", SCENARIO]
    argv += ["--policy", edited.module.name, "--setenforce", "no"]
    with clock.stage("all"):
        subprocess.run(argv, capture_output=True, cwd=ROOT, check=False)
    document = History.of(project).latest(1, SCENARIO)[0].document
    inner = {name: seconds for name, seconds in document.timings.items() if name in CONTAINER - {"image"}}
    return inner | {"selab": clock.stages["all"] - sum(inner.values()), VERDICT: document.duration}


def own(stages: Stages) -> float:
    return sum(seconds for name, seconds in stages.items() if name not in CONTAINER | {VERDICT})


def begin(description: str | None) -> tuple[Guest, Edited, int]:
    """Read the arguments of a benchmark. Returns the guest, the policy to edit, and the number of rounds."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--project", type=Path, required=True)
    options.add_argument("--policy", help="its name, if it is not the scenario's own")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    project = find_project(given.project)
    return VirtualMachine(project).ensure(Progress()), Edited(project, given.policy), given.rounds


def main() -> None:
    guest, edited, rounds = begin(__doc__)
    with edited.restored():
        try:
            measure(guest, edited, rounds)
        finally:
            guest.run(["semodule", "-r", *(Path(each).stem for each in edited.sources())], timeout=600)
            guest.run(["docker", "rm", "-f", "loop"])


def measure(guest: Guest, edited: Edited, rounds: int) -> None:
    """Print each way's stages: the median of all rounds."""
    timings: dict[str, list[Stages]] = {
        "by hand": [],
        "selab, changed": [],
        "selab, unchanged": [],
        "selab run, changed": [],
    }
    permissions = iter(PERMISSIONS * rounds)
    by_selab(guest, edited)  # loads the image, which the way by hand needs too
    for _ in range(rounds):
        edited.edit(next(permissions))
        timings["by hand"].append(by_hand(guest, edited))
        # selab would read the store once more after `semodule -i` changed it, which is not part of its loop.
        by_selab(guest, edited)
        edited.edit(next(permissions))
        timings["selab, changed"].append(by_selab(guest, edited))
        timings["selab, unchanged"].append(by_selab(guest, edited))
        edited.edit(next(permissions))
        timings["selab run, changed"].append(by_process(edited))
    print(f"{rounds} rounds, medians in seconds; 'own' is the total without the container's own time")
    for way, all_stages in timings.items():
        median = {
            name: statistics.median(stages.get(name, 0.0) for stages in all_stages) for name in all_stages[0]
        }
        verdict = median.pop(VERDICT)
        stages = "  ".join(f"{name} {seconds:.2f}" for name, seconds in median.items())
        total = statistics.median(sum(each.values()) - each[VERDICT] for each in all_stages)
        own_part = statistics.median(map(own, all_stages))
        print(f"  {way:18}  total {total:5.1f}  verdict {verdict:5.1f}  own {own_part:6.2f}   {stages}")
    hand, changed, unchanged, process = (statistics.median(map(own, stages)) for stages in timings.values())
    print(
        f"  own part: {hand / changed:.1f} x as fast (goal: {GOAL}); {changed:.2f} s (goal: under "
        f"{GOAL_CHANGED:g})"
    )
    print(
        f"  unchanged {unchanged:.2f} s (goal: under {GOAL_UNCHANGED:g}); as a process of its own "
        f"{process:.2f} s, {hand / process:.1f} x"
    )


if __name__ == "__main__":
    main()
