"""Measure the time of `audit2allow` and of selab for one audit log, and selab's peak memory as logs grow.

    python -m benchmarks.parse [--policy FILE] [--lines 10000] [--shape containers|syscalls|repeated]
                                [--quick]

The log is made here, the same each time, from shapes of tests/corpus: a host where containers come and go,
each with its own MCS pair and the thirty denials of a web server, with services, D-Bus denials, notices and
AppArmor between. `--shape syscalls` adds SYSCALL and PROCTITLE to each denial, as on a host with audit rules;
`--shape repeated` is one denial over and over, the kindest case to audit2allow.

audit2allow (Debian: policycoreutils-python-utils) needs a kernel policy that its libsepol can read, and
queries it about every distinct denial: `--policy`, or else the one of this machine. `--quick` reads a small
log once, which only shows that this script works.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOAL = 40
REPEATS = 10
SIZES = (10_000, 100_000, 1_000_000)
QUICK = 300
"""Lines of a log that only shows that the benchmark works."""
TARGETS = (
    ("httpd_config_t", "file", "read open getattr", 'path="/etc/apache2/apache2.conf"'),
    ("httpd_log_t", "file", "append open", 'path="/var/log/apache2/error.log"'),
    ("httpd_var_run_t", "dir", "add_name write", 'name="apache2.pid"'),
    ("http_port_t", "tcp_socket", "name_bind", "src=80"),
    ("node_t", "tcp_socket", "node_bind", "saddr=0.0.0.0 src=80"),
    ("urandom_device_t", "chr_file", "read", 'path="/dev/urandom"'),
    ("proc_t", "file", "read", 'name="meminfo"'),
    ("sysctl_net_t", "dir", "search", 'name="net"'),
    ("cgroup_t", "dir", "search", 'name="/"'),
    ("tmpfs_t", "dir", "search getattr", 'path="/dev/shm"'),
    ("locale_t", "file", "read open map", "path=2F7573722F6C69622F6C6F63616C652F61206C6F63616C65"),
    ("cert_t", "dir", "search", 'name="ssl"'),
)
OWN = (
    ("capability", "setuid", "capability=7"),
    ("capability", "net_bind_service", "capability=10"),
    ("process", "setrlimit", ""),
)


def log_lines(count: int, shape: str) -> Iterator[bytes]:
    """`count` lines of an audit log."""
    lines = _repeated() if shape == "repeated" else _containers(with_calls=shape == "syscalls")
    for _ in range(count):
        yield next(lines).encode() + b"\n"


def _repeated() -> Iterator[str]:
    serial = 0
    while True:
        serial += 1
        stamp = f"audit({1700000000 + serial * 0.02:.3f}:{serial})"
        yield _avc(stamp, "http_port_t", "tcp_socket", "name_bind", "src=80", "s0:c1,c2", serial)


def _containers(with_calls: bool) -> Iterator[str]:
    chance = random.Random(20261123)
    serial = 100
    while True:
        low, high = sorted(chance.sample(range(1024), 2))
        level, pid = f"s0:c{low},c{high}", chance.randrange(1000, 4000000)
        targets = [*TARGETS, *((f"container_t:{level}", *own) for own in OWN)]
        for target, tclass, permissions, what in chance.choices(targets, k=30):
            serial += 1
            stamp = f"audit({1700000000 + serial * 0.02:.3f}:{serial})"
            yield _avc(stamp, target, tclass, permissions, what, level, pid)
            if with_calls:
                yield _syscall(stamp, level, pid)
                yield (
                    f"type=PROCTITLE msg={stamp}: "
                    f"proctitle=2F7573722F7362696E2F61706163686532002D4400464F524547524F554E44"
                )
        serial += 1
        yield _noise(f"audit({1700000000 + serial * 0.02:.3f}:{serial})", serial)


def _avc(stamp: str, target: str, tclass: str, permissions: str, what: str, level: str, pid: int) -> str:
    domain, _, own_level = target.partition(":")
    context = f"system_u:system_r:{domain}:{own_level}" if own_level else f"system_u:object_r:{domain}:s0"
    return (
        f'type=AVC msg={stamp}: avc:  denied  {{ {permissions} }} for  pid={pid} comm="apache2" {what} '
        f'dev="overlay" ino={pid + 7} '
        f"scontext=system_u:system_r:container_t:{level} tcontext={context} tclass={tclass} permissive=1"
    )


def _syscall(stamp: str, level: str, pid: int) -> str:
    return (
        f"type=SYSCALL msg={stamp}: arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c "
        f"a1=7ffe25d3e0 a2=80000 a3=0 items=0 ppid=1 "
        f"pid={pid} auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) "
        f"ses=4294967295 "
        f'comm="apache2" exe="/usr/sbin/apache2" subj=system_u:system_r:container_t:{level} key=(null)'
    )


def _noise(stamp: str, serial: int) -> str:
    user = (
        f"msg={stamp}: pid={serial} uid=0 auid=4294967295 ses=4294967295 "
        f"subj=system_u:system_r:init_t:s0 msg='"
    )
    end = 'exe="/usr/bin/dbus-broker" sauid=81 hostname=? addr=? terminal=?\''
    dbus = (
        "scontext=system_u:system_r:policykit_t:s0 tcontext=system_u:system_r:initrc_t:s0 "
        "tclass=dbus permissive=0"
    )
    return (
        (
            f'type=SERVICE_START {user}unit=docker comm="systemd" exe="/usr/lib/systemd/systemd" '
            f"hostname=? addr=? terminal=? res=success'"
        ),
        f"type=USER_AVC {user}avc:  denied  {{ send_msg }} for  {dbus} {end}",
        f"type=USER_AVC {user}avc:  received policyload notice (seqno={serial}) {end}",
        (
            f'type=AVC msg={stamp}: apparmor="DENIED" operation="ptrace" profile="docker-default" '
            f'pid={serial} comm="ps" peer="unconfined"'
        ),
    )[serial % 4]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--policy", type=Path, help="kernel policy for audit2allow")
    options.add_argument("--lines", type=int, default=10_000)
    options.add_argument("--shape", choices=["containers", "syscalls", "repeated"], default="containers")
    options.add_argument("--quick", action="store_true", help="read a small log once")
    options.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.peak:
        _print_peak(given.peak)
        return
    with tempfile.TemporaryDirectory() as directory:
        lines, repeats, sizes = (QUICK, 1, (QUICK,)) if given.quick else (given.lines, REPEATS, SIZES)
        compare(Path(directory), lines, repeats, given.shape, given.policy or _own_policy())
        memory(Path(directory), sizes, given.shape)


def compare(directory: Path, lines: int, repeats: int, shape: str, policy: Path | None) -> None:
    """Print the best time of some runs for one file: of each whole process, and of the parser alone."""
    log = directory / "audit.log"
    log.write_bytes(b"".join(log_lines(lines, shape)))
    ours = [sys.executable, "-m", "selab", "denials", "--json", str(log)]
    theirs = ["audit2allow", "-p", str(policy), "-i", str(log)]
    missing = _missing(policy)
    times: dict[str, list[float]] = {"selab's parser": [], "selab denials --json": [], "audit2allow": []}
    for _ in range(repeats):
        times["selab's parser"].append(_parse(log))
        times["selab denials --json"].append(_processor_seconds(ours, directory))
        if not missing:
            times["audit2allow"].append(_processor_seconds(theirs, directory))
    print(
        f"{lines} lines, {shape}, in seconds of processor time; a command's include the interpreter's start"
    )
    for name, seconds in times.items():
        print(f"  {name:22}", f"{min(seconds):8.3f} s" if seconds else missing)
    if not missing:
        best = {name: min(seconds) for name, seconds in times.items()}
        parser, command = (
            best["audit2allow"] / best[name] for name in ("selab's parser", "selab denials --json")
        )
        print(
            f"  ratio                  {parser:8.1f} x for the parser (goal: {GOAL}), {command:.1f} x "
            f"for the command"
        )


def _missing(policy: Path | None) -> str:
    if shutil.which("audit2allow") is None:
        return "is not installed (Debian: policycoreutils-python-utils): no ratio"
    return "" if policy else "finds no kernel policy on this machine (--policy FILE): no ratio"


def memory(directory: Path, sizes: Sequence[int], shape: str) -> None:
    """Print the peak memory of a process that does nothing but read a log."""
    print("peak memory")
    for lines in sizes:
        log = directory / "large.log"
        with log.open("wb") as file:
            file.writelines(log_lines(lines, shape))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.parse", "--peak", str(log)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        print(f"  {lines:9} lines, {log.stat().st_size / 1e6:6.1f} MB: {done.stdout.strip()}")


def _print_peak(log: Path) -> None:
    started = time.perf_counter()
    records = _summarise(log)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{kilobytes / 1024:6.1f} MiB, {time.perf_counter() - started:6.2f} s, {records} denial records")


def _parse(log: Path) -> float:
    started = time.process_time()
    _summarise(log)
    return time.process_time() - started


def _summarise(log: Path) -> int:
    from selab.auditlog.summary import summarise

    with log.open("rb") as file:
        return summarise(file).records


def _processor_seconds(argv: list[str], directory: Path) -> float:
    """The processor time of a command that runs in `directory`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stderr.strip()[-400:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _own_policy() -> Path | None:
    policies = sorted(Path("/etc/selinux").glob("*/policy/policy.*"))
    return policies[-1] if policies else None


if __name__ == "__main__":
    main()
