"""Run a scenario many times on one VM, with random edits, modes and faults.

What selab and the guest hold before each run is measured: nothing may grow.

    python -m benchmarks.soak --project DIR [--runs 200] [--seed 1] [--out FILE.svg]

Each turn edits the candidate, perhaps breaks something in the guest or kills a `selab run` half-way, and then
runs the scenario once, in this process. It must end with a verdict each time; PASS only if the policy and the
steps allow it. Prints a line per turn (seconds, and then memory of this process and of the guest, the guest's
disk, open files of both) and at the end the medians of the first and the last tenth; `--out` draws them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Guest
from selab.history import History, resume
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project, find_project
from selab.run import experiment
from selab.run.request import Request
from selab.vm.virtual_machine import VirtualMachine

POLICY = "selab_apache_full"
LINES = (
    "allow {0}_t self:tcp_socket create_stream_socket_perms;",
    "allow {0}_t self:capability {{ setgid setuid }};",
    "corenet_tcp_bind_http_port({0}_t)",
    "kernel_read_system_state({0}_t)",
    "dev_read_urand({0}_t)",
)
FAULTS: dict[str, str] = {
    "policy loaded by hand": "load_policy",
    "mode changed by hand": (
        "read -r now </sys/fs/selinux/enforce; echo $((1 - now)) >/sys/fs/selinux/enforce"
    ),
    "Docker killed": "pkill -9 -x dockerd; sleep 1",
    "Docker stopped": "systemctl stop docker.socket docker",
    "audit log rotated": "pkill -USR1 -x auditd",
    "auditd stopped": "pkill -TERM -x auditd; sleep 1",
    "boolean flipped": "setsebool httpd_enable_homedirs on; setsebool httpd_enable_homedirs off",
    "disk filled and freed": "fallocate -l 100M /var/lib/selab/soak && rm /var/lib/selab/soak",
}


@dataclass(frozen=True)
class Sample:
    """What a turn used.

    seconds: the time of its run.
    memory: memory of this process, in MiB.
    guest_memory, guest_disk: the guest's memory and disk in use, in MiB.
    files, guest_files: open files of this process and of the guest.
    """

    seconds: float
    memory: float
    guest_memory: float
    guest_disk: float
    files: float
    guest_files: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    soak = Soak(find_project(chosen.project), random.Random(chosen.seed))
    samples = []
    for number in range(1, chosen.runs + 1):
        fault, verdict, sample = soak.turn()
        samples.append(sample)
        print(
            f"{number:4} {verdict:10} {fault:22} {' '.join(f'{value:9.1f}' for value in astuple(sample))}",
            flush=True,
        )
    print(dict(soak.verdicts), "faults:", dict(soak.faults))
    tenth = max(1, len(samples) // 10)
    for field in fields(Sample):
        values = [getattr(sample, field.name) for sample in samples]
        print(
            f"{field.name:13} first tenth {statistics.median(values[:tenth]):9.1f}  last tenth "
            f"{statistics.median(values[-tenth:]):9.1f}"
        )
    if chosen.out:
        chosen.out.write_text(drawn(samples))


class Soak:
    """One project's VM, and what has come of its turns."""

    def __init__(self, project: Project, chance: random.Random) -> None:
        self.project, self.chance = project, chance
        self.machine = VirtualMachine(project)
        self.te = project.policies / f"{POLICY}.te"
        self.whole = self.te.read_text()
        self.verdicts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def turn(self) -> tuple[str, str, Sample]:
        """Edit, break, run once: the fault, the verdict, and what was held before the run."""
        lines = self.chance.sample(LINES, self.chance.randrange(len(LINES)))
        self.te.write_text(self.whole + "".join(f"{line.format(POLICY)}\n" for line in lines))
        fault = self.chance.choice([*FAULTS, "selab killed", *[""] * 9])
        with contextlib.suppress(SelabError):
            self._break(fault)
        mode = self.chance.choice([Mode.PERMISSIVE, Mode.ENFORCING, Mode.DOMAIN])
        started = time.monotonic()
        verdict = self._run(mode)
        seconds = time.monotonic() - started
        self.verdicts[verdict] += 1
        self.faults[fault or "none"] += 1
        self.te.write_text(self.whole)
        with self.machine.ensure(Progress()) as guest:
            return fault, verdict, Sample(seconds, _memory(), *_guest(guest), *_files(guest))

    def _run(self, mode: Mode) -> str:
        try:
            request, options = Request("apache", POLICY, mode), resume(self.project, "apache")
            result = experiment.run(self.project, self.machine, request, Progress(), options)
        except SelabError as error:
            print(f"     {error.what} {error.detail}", flush=True)
            return "no run"
        History.of(self.project).add(result)
        return result.verdict.value

    def _break(self, fault: str) -> None:
        if fault == "selab killed":
            words = [
                sys.executable,
                "-m",
                "selab",
                "-C",
                str(self.project.root),
                "run",
                "apache",
                "--policy",
                POLICY,
            ]
            child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(self.chance.uniform(0.5, 12))
            child.send_signal(signal.SIGKILL)
            child.wait()
        elif fault:
            with self.machine.connect() as guest:
                guest.run(["sh", "-c", FAULTS[fault]])


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _guest(guest: Guest) -> tuple[float, float]:
    done = guest.run(["sh", "-c", "free -b | awk '/^Mem/ { print $3 }'; df -B1 --output=used / | tail -1"])
    memory, disk = (int(word) / 2**20 for word in done.text.split())
    return memory, disk


def _files(guest: Guest) -> tuple[float, float]:
    return len(list(Path("/proc/self/fd").iterdir())), float(
        guest.run(["cat", "/proc/sys/fs/file-nr"]).text.split()[0]
    )


def drawn(samples: Sequence[Sample]) -> str:
    """The samples as a picture: a curve for each figure, each with a scale from zero of its own."""
    width, height, gap = 720, 70, 34
    names = {
        "seconds": "seconds per run",
        "memory": "selab's memory, MiB",
        "guest_memory": "the guest's memory in use, MiB",
        "guest_disk": "the guest's disk in use, MiB",
        "files": "selab's open files",
        "guest_files": "the guest's open files",
    }
    parts = []
    for row, (name, title) in enumerate(names.items()):
        values = [getattr(sample, name) for sample in samples]
        top, most = 24 + row * (height + gap), max(values) or 1
        step, scale = width / max(1, len(values) - 1), height / most
        curve = " ".join(
            f"{10 + at * step:.1f},{top + height - value * scale:.1f}" for at, value in enumerate(values)
        )
        parts.append(f'<text x="10" y="{top - 6}">{title} (most: {most:.0f})</text>')
        parts.append(f'<path d="M10 {top + height}h{width}" class="axis"/><polyline points="{curve}"/>')
    whole = 24 + len(names) * (height + gap)
    style = (
        "text{font:12px sans-serif;fill:#444}polyline{fill:none;stroke:#2563eb}"
        ".axis{stroke:#999}svg{background:#fff}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 20} {whole}" '
        f'width="{width + 20}" height="{whole}">'
        f"<style>{style}</style>{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    main()
