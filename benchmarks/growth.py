"""Measure linking with more candidates, and replaying more records.

It also compares `selab replay` with `audit2why -p` on the same records.

    python -m benchmarks.growth [--base DIR] [--quick]

DIR is a base policy in selab's cache, by default the newest: run a scenario once, and there is one. The
candidates are copies of one that joins the container attribute and has thirty rules; the records are those of
benchmarks/parse.py. audit2why (Debian: policycoreutils-python-utils) is asked about a thousand records at
most: it takes seconds for those. `--quick` measures the smallest size once, which only shows that this script
works.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.parse import log_lines
from selab.host.cache import cache_dir
from selab.host.local import LocalHost
from selab.policy.base import FACTS, BasePolicy, known_base, newest_base
from selab.policy.compile import CompiledModule, link
from selab.policy.survey import stored_facts
from selab.policy.toolchain import Toolchain
from selab.run.replay import Recorded, replay

REPEATS = 3
CANDIDATES = (1, 10, 50)
RECORDS = (100, 1_000, 10_000, 100_000)
COMPARED = 1_000
CLASSES = ("file", "dir", "lnk_file", "fifo_file", "sock_file", "chr_file")
TARGETS = ("etc_t", "usr_t", "var_t", "tmp_t", "proc_t")


def candidate(number: int) -> CompiledModule:
    name = f"grown{number}_t"
    rules = "".join(
        f"(allow {name} {target} ({tclass} (getattr read open)))\n"
        for target, tclass in itertools.product(TARGETS, CLASSES)
    )
    cil = f"(type {name})\n(roletype system_r {name})\n(typeattributeset container_domain ({name}))\n{rules}"
    return CompiledModule(name, cil, frozenset({name}))


def best(work: Callable[[], object], repeats: int) -> float:
    """Run `work` as often as `repeats` says, and return the seconds of the fastest run."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--base", type=Path)
    options.add_argument("--quick", action="store_true", help="measure the smallest size once")
    chosen = options.parse_args()
    base, repeats = _base(chosen.base), 1 if chosen.quick else REPEATS
    with tempfile.TemporaryDirectory() as directory:
        tools = Toolchain(LocalHost(), directory)
        print(f"linking with the flat base ({base.flat.stat().st_size / 1e6:.1f} MB of CIL), seconds")
        for count in CANDIDATES[:1] if chosen.quick else CANDIDATES:
            candidates = [candidate(number) for number in range(count)]
            print(f"  {count:7} candidates  {best(partial(link, base, candidates, tools), repeats):8.2f}")
        policy = Path(directory) / "policy"
        policy.write_bytes(link(base, [candidate(0)], tools).binary)
        print("replaying, seconds, with reading the log and the policy")
        for count in RECORDS[:1] if chosen.quick else RECORDS:
            lines = [line.rstrip() for line in log_lines(count, "containers")]
            accesses = Recorded(lines, "container_t").accesses_of("container_t")
            seconds = best(partial(_replay_log, policy, lines), repeats)
            print(f"  {count:7} records     {seconds:8.2f}   {len(accesses)} distinct accesses")
        _compare(policy, RECORDS[0] if chosen.quick else COMPARED, repeats)


def _replay_log(policy: Path, lines: list[bytes]) -> None:
    replay(policy, Recorded(lines, "container_t").accesses_of("container_t"), booleans=True)


def _compare(policy: Path, count: int, repeats: int) -> None:
    if shutil.which("audit2why") is None:
        print(
            "audit2why is not installed (Debian: policycoreutils-python-utils), so there is nothing to "
            "compare with."
        )
        return
    lines = [line.rstrip() for line in log_lines(count, "containers")]
    log = b"\n".join(lines) + b"\n"
    argv = ["audit2why", "-p", str(policy)]
    theirs = best(lambda: subprocess.run(argv, input=log, capture_output=True, check=False), repeats)
    ours = best(partial(_replay_log, policy, lines), repeats)
    print(f"{count} records: audit2why {theirs:.2f} s, selab {ours:.2f} s: {theirs / ours:.1f} x")


def _base(directory: Path | None) -> BasePolicy:
    base = _base_at(directory.resolve()) if directory else newest_base(cache_dir())
    if base is None:
        raise SystemExit(
            "There is no base policy in the cache: run a scenario first, or name one with --base."
        )
    return base


def _base_at(directory: Path) -> BasePolicy | None:
    facts = stored_facts(directory / FACTS)
    return known_base(facts[0].fingerprint, directory.parents[1]) if facts else None


if __name__ == "__main__":
    main()
