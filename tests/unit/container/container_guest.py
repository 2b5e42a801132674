"""A guest for the scripts that run a container: a sandbox with processes, cgroups and fake runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selab.container.runtime import Runtime, runtimes
from selab.guest import RUN_TIMEOUT, Completed, script_argv
from tests.unit.fakes import SandboxGuest

DOCKER, PODMAN = runtimes()["docker"], runtimes()["podman"]
WEB, OTHER = "u:r:web_t:s0:c1,c2", "u:r:other_t:s0"


class ContainerGuest(SandboxGuest):
    """A sandbox in which a process is a directory below /proc. Runtimes are fakes."""

    PLACES = (*SandboxGuest.PLACES, "/sys/fs/cgroup", "/proc")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.program("sleep")

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        words = [str(self.path(word)) if word.startswith("/") else word for word in argv[4:]]
        return super().run([*argv[:4], *words], input=input, timeout=timeout, limit=limit)

    def process(self, pid: int, label: str, group: str = "/docker/abc", line: str = "0::{}") -> None:
        """Add a process with the context `label` to the cgroup `group`, whose line is `line`."""
        self.write(f"/proc/{pid}/attr/current", f"{label}\0")
        self.write(f"/proc/{pid}/cgroup", line.format(group) + "\n")
        procs = self.path(f"/sys/fs/cgroup{group}/cgroup.procs")
        before = procs.read_text() if procs.exists() else ""
        self.write(f"/sys/fs/cgroup{group}/cgroup.procs", f"{before}{pid}\n")

    def runtime(self, name: str = "docker", **commands: str) -> None:
        """Let the runtime do what the shell script in `commands` does for each of its commands.

        Like a real one, `run` refuses to replace the file for the container's id, which is abc.
        """
        run = '[ ! -e "$3" ] || exit 9; echo abc >"$3"; echo abc'
        commands = {"run": run, "inspect": "echo 0", "rm": ":"} | commands
        cases = "".join(f"{word}) {body} ;;\n" for word, body in commands.items())
        self.program(name, f'cd "{self.root}" || exit\ncase $1 in\n{cases}*) exit 99 ;;\nesac')

    def starts(self, runtime: Runtime = DOCKER, others: str = "") -> Completed:
        """Start a container whose processes are to have the context WEB, beside `others` of the run."""
        words = [WEB, "selab-web", runtime.name, runtime.pid_file, " ".join(runtime.cgroups), others]
        words += ["run", "--cidfile", "/run/selab/cid-selab-web", "x"]
        return self.run(script_argv("container/start", *words))

    @property
    def runtime_calls(self) -> list[str]:
        return [call for call in self.called if not call.startswith("sleep")]


def count_seconds(guest: ContainerGuest) -> None:
    """Let each question for the time take a second."""
    guest.program(
        "date",
        f'cd "{guest.root}" || exit; n=$(cat now 2>/dev/null || echo 5); echo $((n + 1)) >now; echo $n',
    )
