"""How the cost grows: linking with more candidates, replaying more records; and `selab replay` against `audit2why -p` on the same records.

    python benchmarks/growth.py [--base DIR]

DIR is a base policy in selab's cache, by default the newest: run a scenario once, and there is one. The candidates are copies of one that
joins the container attribute and has thirty rules; the records are those of benchmarks/parse.py. audit2why (Debian:
policycoreutils-python-utils) is asked about a thousand records at most: it takes seconds for those.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from parse import log_lines  # noqa: E402

from selab.host.cache import cache_dir  # noqa: E402
from selab.host.local import LocalHost  # noqa: E402
from selab.policy.base import BasePolicy, known_base  # noqa: E402
from selab.policy.compile import CompiledModule, link  # noqa: E402
from selab.policy.toolchain import Toolchain  # noqa: E402
from selab.run.replay import Recorded, replay  # noqa: E402

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


def best(work: Callable[[], object]) -> float:
    """The least of some runs, in seconds."""
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--base", type=Path)
    base = _base(options.parse_args().base)
    with tempfile.TemporaryDirectory() as directory:
        tools = Toolchain(LocalHost(), directory)
        print(f"linking with the flat base ({base.flat.stat().st_size / 1e6:.1f} MB of CIL), seconds")
        for count in CANDIDATES:
            candidates = [candidate(number) for number in range(count)]
            print(f"  {count:7} candidates  {best(partial(link, base, candidates, tools)):8.2f}")
        policy = Path(directory) / "policy"
        policy.write_bytes(link(base, [candidate(0)], tools).binary)
        print("replaying, seconds, with reading the log and the policy")
        for count in RECORDS:
            lines = [line.rstrip() for line in log_lines(count, "containers")]
            asked = Recorded(lines, "container_t").asked_for("container_t")
            seconds = best(partial(_replay_log, policy, lines))
            print(f"  {count:7} records     {seconds:8.2f}   {len(asked)} distinct accesses")
        _compare(policy)


def _replay_log(policy: Path, lines: list[str]) -> None:
    replay(policy, Recorded(lines, "container_t").asked_for("container_t"), booleans=True)


def _compare(policy: Path) -> None:
    lines = [line.rstrip() for line in log_lines(COMPARED, "containers")]
    if shutil.which("audit2why") is None:
        raise SystemExit(
            "audit2why is not installed (Debian: policycoreutils-python-utils): nothing to compare with."
        )
    log = b"\n".join(lines) + b"\n"
    theirs = best(
        lambda: subprocess.run(["audit2why", "-p", str(policy)], input=log, capture_output=True, check=False)
    )
    ours = best(
        lambda: replay(policy, Recorded(lines, "container_t").asked_for("container_t"), booleans=True)
    )
    print(f"{COMPARED} records: audit2why {theirs:.2f} s, selab {ours:.2f} s: {theirs / ours:.1f} x")


def _base(directory: Path | None) -> BasePolicy:
    made = (cache_dir() / "bases").glob("*/facts.json")
    found = directory or max(
        (path.parent for path in made), key=lambda path: path.stat().st_mtime, default=None
    )
    base = known_base(found.name.split("-")[0], found.parent.parent) if found else None
    if base is None:
        raise SystemExit(
            "There is no base policy in the cache: run a scenario first, or name one with --base."
        )
    return base


if __name__ == "__main__":
    main()
