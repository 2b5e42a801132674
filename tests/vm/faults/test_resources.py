"""The guest or the host runs out of memory, of disk space, or of room for audit records."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from tests.vm.faults import FULL

pytestmark = [pytest.mark.usefixtures("after_all"), pytest.mark.slow]

Runner = Callable[..., Run]
InGuest = Callable[[str], None]
Begin = Callable[..., subprocess.Popen[str]]
LIMIT = 600.0

FILL = """
fallocate -l "$(df -B1 --output=avail / | tail -1)" /var/lib/selab/full
for size in 1M 4k; do dd if=/dev/zero of=/var/lib/selab/full.$size bs=$size 2>/dev/null; done; sync
for each in $(seq 40); do auditctl -m "the disk is full: $each"; done
"""
"""Fills the disk to the last block, root's reserve included, then fills the log's last block with records."""
GREEDY = "choom -n -900 -- python3 -c 'held = []\nwhile True: held.append(bytearray(1 << 22))'"
"""Takes all memory. It is the last process that the kernel would end to free memory."""
FLOOD = "auditctl -a always,exit -F arch=b64 -S getppid -k flood; perl -e 'getppid() for 1 .. {0}'"
"""Each call makes a record of the call and one of the process's title."""


def verdict_of(run: Runner, in_guest: InGuest, script: str) -> tuple[Verdict, str]:
    """Return the verdict of a run with a fault, and the reason. Raises InputError if no run could begin."""
    try:
        done = run("apache", policy=FULL, after_steps=partial(in_guest, script))
        return done.verdict, " ".join(done.reasons)
    except InputError:
        raise
    except SelabError as error:
        return Verdict.ERROR, str(error)


def test_a_disk_without_room(run: Runner, in_guest: InGuest) -> None:
    verdict, _ = verdict_of(run, in_guest, FILL)
    in_guest("rm -f /var/lib/selab/full*")
    assert verdict is not Verdict.PASS


def test_a_guest_without_memory(run: Runner, in_guest: InGuest) -> None:
    verdict, why = verdict_of(run, in_guest, GREEDY)
    assert verdict is not Verdict.PASS, why


def test_a_flood_of_records_is_read_completely(run: Runner, in_guest: InGuest) -> None:
    assert verdict_of(run, in_guest, FLOOD.format(50_000))[0] is Verdict.PASS


def test_records_that_the_kernel_had_no_room_for_are_an_error(run: Runner, in_guest: InGuest) -> None:
    verdict, why = verdict_of(run, in_guest, "auditctl -b 64 --backlog_wait_time 0; " + FLOOD.format(20_000))
    assert verdict is Verdict.ERROR and "lost" in why


@contextmanager
def full(directory: Path) -> Iterator[None]:
    """Move the content of `directory` to its own file system, which has no free space, for the block."""
    aside = directory.with_name(f"{directory.name}.aside")
    aside.mkdir()
    used = sum(path.stat().st_size + 4096 for path in directory.rglob("*")) + (1 << 16)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used}", "tmpfs", str(aside)], check=True)
    try:
        shutil.copytree(directory, aside, dirs_exist_ok=True)
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={aside / 'filler'}", "bs=4k"], capture_output=True, check=False
        )
        subprocess.run(["mount", "--move", str(aside), str(directory)], check=True)
        yield
    finally:
        for place in (aside, directory):
            if place.is_mount():
                subprocess.run(["umount", str(place)], check=True)
        aside.rmdir()


def test_a_full_cache_is_an_error_without_a_traceback(begin: Begin, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with full(cache):
        child = begin("run", "apache", "--policy", FULL, SELAB_CACHE=str(cache))
        output, _ = child.communicate(timeout=LIMIT)
    assert child.returncode == 3 and "No space left" in output and "Traceback" not in output


def test_a_full_project_is_an_error_without_a_traceback(begin: Begin, run: Runner, project: Project) -> None:
    run("apache", policy=FULL)
    with full(project.state):
        child = begin("run", "apache", "--policy", FULL)
        output, _ = child.communicate(timeout=LIMIT)
    assert child.returncode == 3 and "No space left" in output and "Traceback" not in output
