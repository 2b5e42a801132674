"""A guest for the scripts that run a service: a sandbox with processes, cgroups and a fake systemd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selab.guest import Completed, script_argv
from tests.unit.fakes import SandboxGuest

UNIT, DOMAIN = "web.service", "web_t"
WEB, INIT = "u:r:web_t:s0", "u:r:init_t:s0"
NEW, OLD = "b" * 32, "a" * 32
MANAGER, EXECUTOR = "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-executor"
CONTEXTS = "/var/lib/selab/contexts/x"
GROUP = "/system.slice/web.service"


class ServiceGuest(SandboxGuest):
    """A sandbox in which a process is a directory below /proc.

    systemctl answers from the files below /units: `show` prints that of the unit, and `start` and the other
    commands run the shell script `on-COMMAND`, if there is one, in the sandbox's root.
    """

    PLACES = (
        "/run",
        "/var",
        "/etc",
        "/usr/lib/tmpfiles.d",
        "/sys/fs/selinux",
        "/sys/fs/cgroup",
        "/proc",
        "/usr/sbin",
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.path("/units").mkdir()
        script = (
            f'cd "{root}" || exit\n'
            "for unit; do :; done\n"
            'case $1 in show) cat "units/$unit" ;; *) [ ! -e "units/on-$1" ] || . "units/on-$1" ;; esac'
        )
        self.program("systemctl", script)
        self.program("systemd-run", f'cd "{root}" || exit\n. units/on-start')
        self.program("journalctl", f'cat "{root}/units/journal"')
        self.program("timeout", 'shift; exec "$@"')
        self.program("sleep")
        self.write("/units/journal", "")
        self.path("/proc/1").mkdir()
        self.path("/proc/1/exe").symlink_to(MANAGER)
        self.unit()

    def unit(self, **changes: object) -> None:
        """Let systemd report about the unit that it is stopped, with `changes`."""
        self.write(f"/units/{UNIT}", self.properties(**changes))

    def properties(self, **changes: object) -> str:
        properties = {
            "LoadState": "loaded",
            "Id": UNIT,
            "ActiveState": "inactive",
            "Slice": "system.slice",
            "ControlGroup": "",
            "MainPID": 0,
            "InvocationID": OLD,
            "Result": "success",
            "ExecMainCode": 0,
            "ExecMainStatus": 0,
            "NRestarts": 0,
        } | changes
        return "".join(f"{key}={value}\n" for key, value in properties.items())

    def on(self, command: str, body: str) -> None:
        """Let the command of systemctl, or systemd-run for `start`, run the shell script `body`."""
        self.write(f"/units/on-{command}", body)

    def becomes(self, **changes: object) -> str:
        """Return a shell script after which systemd reports that the unit runs, with `changes`."""
        running = {
            "ActiveState": "active",
            "ControlGroup": GROUP,
            "MainPID": 77,
            "InvocationID": NEW,
        } | changes
        return f"cat >units/{UNIT} <<'END'\n{self.properties(**running)}END\n"

    def process(self, pid: int, label: str, group: str = GROUP, exe: str = "/usr/sbin/web") -> None:
        """Add a process with the context `label` to the cgroup `group`."""
        self.write(f"/proc/{pid}/attr/current", f"{label}\0")
        self.path(f"/proc/{pid}/exe").symlink_to(exe)
        procs = self.path(f"/sys/fs/cgroup{group}/cgroup.procs")
        before = procs.read_text() if procs.exists() else ""
        self.write(f"/sys/fs/cgroup{group}/cgroup.procs", f"{before}{pid}\n")

    def record(self, text: str, unit: str = UNIT) -> None:
        self.write(f"/run/selab/services/{unit}", f"{text}\n")

    @property
    def records(self) -> dict[str, str]:
        directory = self.path("/run/selab/services")
        return (
            {path.name: path.read_text().strip() for path in directory.iterdir()}
            if directory.exists()
            else {}
        )

    def starts(self, words: Sequence[str] = ()) -> Completed:
        return self.run(script_argv("service/start", UNIT, DOMAIN, str(self.path(CONTEXTS)), *words))

    def stops(self, remains: str = "0") -> Completed:
        return self.run(script_argv("service/stop", UNIT, remains))

    @property
    def changes(self) -> list[str]:
        """The calls of systemd that change something."""
        calls = (call for call in self.called if call.startswith(("systemctl", "systemd-run")))
        return [call for call in calls if " show " not in call]
