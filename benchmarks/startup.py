"""How long selab takes to start: `selab --version`, `selab --help` and `selab denials FILE`.

The last row is the check that the user made `.selab`, at its first use in a process, without the imports.

    python -m benchmarks.startup [--against PYTHON] [--rounds 20] [--log FILE] [--quick]

This script measures the selab of the interpreter that runs it. `--against` names the interpreter of another
environment, such as `other-checkout/.venv/bin/python`. The two alternate, so that a busy machine slows both.
`--quick` runs each command once, which only shows that this script works.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.parse import log_lines

ROUNDS = 20
LINES = 100

BINDING = """
import sys, time
from pathlib import Path
import platformdirs
from selab.host.binding import state_directory
begin = time.perf_counter()
state_directory(Path(sys.argv[1]))
print(time.perf_counter() - begin)
"""


def binding_seconds(python: str, directory: Path) -> float:
    """The time of one check of the state directory in a new process, which the process measures itself."""
    words = [python, "-c", BINDING, str(directory / ".selab")]
    environment = {**os.environ, "XDG_STATE_HOME": str(directory / "home")}
    answer = subprocess.run(
        words, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(answer.stdout)


def seconds(python: str, words: Sequence[str], directory: Path) -> float:
    """The wall-clock time of one command, in a directory from which Python imports nothing."""
    begin = time.perf_counter()
    subprocess.run(
        [python, "-m", "selab", *words],
        cwd=directory,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def measure(pythons: Sequence[str], rounds: int, once: Callable[[str], float]) -> list[list[float]]:
    """The times of `once` by interpreter. The interpreters alternate, in another order each round."""
    times: list[list[float]] = [[] for _ in pythons]
    order = list(range(len(pythons)))
    for _ in range(rounds):
        for index in order:
            times[index].append(once(pythons[index]))
        order.reverse()
    return times


def table_row(name: str, times: Sequence[Sequence[float]]) -> str:
    """Each interpreter's minimum and median in milliseconds, and the ratios of the first to the second."""
    columns = [f"{min(seconds) * 1000:7.2f} {statistics.median(seconds) * 1000:7.2f}" for seconds in times]
    if len(times) == 2:
        here, other = times
        ratios = min(here) / min(other), statistics.median(here) / statistics.median(other)
        columns.append("{:5.2f} {:5.2f}".format(*ratios))
    return f"{name:<12} {'   '.join(columns)}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how long selab takes to start.")
    parser.add_argument(
        "--against", metavar="PYTHON", help="the interpreter of another environment with selab"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--log", type=Path, help=f"an audit log; by default one of {LINES} lines is made")
    parser.add_argument("--quick", action="store_true", help="run each command once")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    pythons = [sys.executable, *([options.against] if options.against else [])]
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        log = options.log.resolve() if options.log else directory / "audit.log"
        if options.log is None:
            log.write_bytes(b"".join(log_lines(LINES, "containers")))
        for number, python in enumerate(pythons):
            print(f"{'this one' if number == 0 else 'the other'}: {python}")
        print(f"{rounds} rounds; milliseconds: minimum, median{'; ratios of both' * (len(pythons) == 2)}")
        for words in (["--version"], ["--help"], ["denials", str(log)]):
            command = functools.partial(seconds, words=words, directory=directory)
            if not options.quick:  # the first run writes byte code
                measure(pythons, 1, command)
            print(table_row(words[0], measure(pythons, rounds, command)), flush=True)
        check = functools.partial(binding_seconds, directory=directory)
        measure(pythons, 1, check)  # the first check makes the directory
        print(table_row(".selab", measure(pythons, rounds, check)), flush=True)


if __name__ == "__main__":
    main()
