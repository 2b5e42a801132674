"""What the scripts in the guest share with each other and with selab: files in /run/selab, and exit codes.

The scripts contain these paths and numbers as they are; tests/unit/test_guest_state.py compares them with
this module.
"""

from __future__ import annotations

from dataclasses import dataclass

RUN_DIR = "/run/selab"
"""In the guest: selab's directory for everything that a reboot ends. The guest empties it at each start."""


@dataclass(frozen=True)
class StateFile:
    """A file in RUN_DIR.

    `name` is relative to RUN_DIR; NAME in it stands for the name of a container or unit. `writers`,
    `readers` and `removers` are programs, by their path in selab without `scripts/` and the ending:
    "policy/guest/load".
    """

    name: str
    content: str
    writers: tuple[str, ...]
    readers: tuple[str, ...] = ()
    removers: tuple[str, ...] = ()
    lifetime: str = "until the guest stops"

    def path(self, container: str = "") -> str:
        """The absolute path, with `container` for NAME."""
        return f"{RUN_DIR}/{self.name.replace('NAME', container)}"


@dataclass(frozen=True)
class ExitCode:
    """An exit code other than 0 that `scripts` end with by themselves, and what it means."""

    code: int
    meaning: str
    scripts: tuple[str, ...]


GUARD_PROGRAM = "vm/guest_agent/guard"
RUNTIME = "the container runtime"

LOADED = StateFile(
    "loaded",
    "The digest of the policy that selab loaded last, and the kernel's counter of policy loads after "
    "that load, "
    "on one line. Its time is that of the load, or later if selab has accepted the runtime's settings.",
    writers=("policy/guest/lib-loaded", "policy/guest/flush-cache", "policy/guest/accept-settings"),
    readers=(
        "policy/guest/policy-state",
        "policy/guest/switch-mode",
        "policy/guest/flush-cache",
        "policy/guest/find-changes",
        GUARD_PROGRAM,
        "vm/install-guard",
    ),
    removers=(
        "policy/guest/load",
        "policy/guest/load-base",
        "policy/guest/install",
        "policy/guest/uninstall",
        "vm/restore-existing",
        GUARD_PROGRAM,
        "vm/install-guard",
    ),
    lifetime="while the policy that selab loaded is in force; empty if flush-cache has found another one",
)
MODE = StateFile(
    "mode",
    "The mode from before the run, 0 or 1: the only memory of it if the run is interrupted.",
    writers=("policy/guest/switch-mode", "policy/guest/restore-mode", "vm/restore-existing"),
    readers=(
        "policy/guest/restore-mode",
        "policy/guest/renew-guard",
        "policy/guest/find-changes",
        "vm/check-guest",
        "vm/restore-existing",
        GUARD_PROGRAM,
    ),
    removers=(GUARD_PROGRAM,),
    lifetime="from the first change of the mode until the mode is restored, which empties or removes it",
)
LAST_MODE = StateFile(
    "was",
    "The mode in which the last run began, and which was restored after it.",
    writers=("policy/guest/find-changes",),
    readers=("policy/guest/find-changes",),
)
GUARD_PIPE = StateFile(
    "guard",
    "A pipe with the orders to the guard: a number of seconds arms it, `off` calls it off, `rest` lets the "
    "candidate stay in force for a while after the run.",
    writers=(
        GUARD_PROGRAM,
        "policy/guest/switch-mode",
        "policy/guest/restore-mode",
        "policy/guest/renew-guard",
    ),
    readers=(GUARD_PROGRAM,),
)
GUARD_PID = StateFile(
    "guard.pid",
    "The process id of the guard.",
    writers=(GUARD_PROGRAM,),
    readers=("policy/guest/switch-mode",),
)
STORE = StateFile(
    "store",
    "The signature of the policy store, the SHA-256 digest and the path of each module and local change, and "
    "the digests of the policy headers, of the contexts that no module declares and of udica's templates.",
    writers=("policy/survey",),
    readers=("policy/survey",),
    lifetime="until the guest stops; replaced if the signature changes",
)
STORE_HALF = StateFile(
    "store.half",
    "The next version of `store`.",
    writers=("policy/survey",),
    removers=("policy/survey",),
    lifetime="while it is written; then it is renamed to `store`",
)
WINDOW = StateFile(
    "window",
    "The audit log of the window that is being closed.",
    writers=("auditlog/close-window",),
    readers=("auditlog/close-window",),
    lifetime="until it is printed, which empties it",
)
WINDOW_PROBLEMS = StateFile(
    "window.said",
    "What went wrong with the window: `rotated-away`, `truncated`.",
    writers=("auditlog/close-window",),
    readers=("auditlog/close-window",),
    lifetime="until the guest stops; each end of a window replaces it",
)
CONTAINER = StateFile(
    "containers/NAME",
    "`running` and the runtime of a container, or `kept` and the runtime if it stays after its run.",
    writers=("container/start", "container/keep"),
    readers=("container/start",),
    removers=("container/start", "container/end"),
    lifetime="from just before the container is started until it is removed",
)
CONTAINER_ID = StateFile(
    "cid-NAME",
    "The id of a container.",
    writers=(RUNTIME, "container/start"),
    readers=("container/lib-watch",),
    removers=("container/lib-watch", "container/end"),
    lifetime="from the start of the container until it is removed",
)
CONTAINER_LABEL = StateFile(
    "labels-NAME",
    "The context that a process of a container or service was seen to have while it started.",
    writers=("container/lib-watch", "service/start"),
    readers=("container/lib-labels", "service/lib-processes"),
    removers=(
        "container/lib-watch",
        "container/end",
        "service/start",
        "service/stop",
        "service/restore",
    ),
    lifetime="from the start of the container or service until it is removed or stopped",
)
REMOVAL = StateFile(
    "removal",
    "Why containers of a run could not be removed; empty if they could. Locked while they are removed.",
    writers=("container/end", "container/await-removal"),
    readers=("container/end", "container/await-removal"),
    lifetime="until the guest stops; the next run replaces it",
)
SERVICE = StateFile(
    "services/NAME",
    "What a unit was before the run that has started it: `active` or `inactive`.",
    writers=("service/start",),
    readers=("service/start", "service/stop", "service/restore"),
    removers=("service/stop", "service/restore"),
    lifetime="from just before the unit is stopped or started until it is what it was before",
)

STATE_FILES = (
    LOADED,
    MODE,
    LAST_MODE,
    GUARD_PIPE,
    GUARD_PID,
    STORE,
    STORE_HALF,
    WINDOW,
    WINDOW_PROBLEMS,
    CONTAINER,
    CONTAINER_ID,
    CONTAINER_LABEL,
    REMOVAL,
    SERVICE,
)
"""All files in RUN_DIR."""

NO_STORE = ExitCode(
    3,
    "The module store of the configured type does not exist.",
    ("policy/survey", "policy/guest/is-installed"),
)
NO_PACKAGES = ExitCode(3, "The directory of the policy packages does not exist.", ("policy/guest/install",))
STORE_CHANGED = ExitCode(8, "The module store is not the one that was surveyed.", ("policy/same-store",))
NO_BUILD_DIRECTORY = ExitCode(3, "The build directory does not exist.", ("policy/compile",))
NOT_COMPILED = ExitCode(1, "make failed, usually because the module does not compile.", ("policy/compile",))
MAKE_DID_NOT_RUN = ExitCode(4, "make is missing or was killed.", ("policy/compile",))
NO_SELINUX_STATUS = ExitCode(3, "The kernel's status page cannot be read.", ("policy/guest/policy-state",))
REFUSED_BY_KERNEL = ExitCode(
    4,
    "The kernel refused the policy, or the boolean commit that empties its cache.",
    ("policy/guest/load", "policy/guest/flush-cache"),
)
NOT_COUNTED = ExitCode(
    5,
    "The kernel's counter of policy loads did not go up by exactly one.",
    ("policy/guest/load", "policy/guest/flush-cache"),
)
INVALID_CONTEXT = ExitCode(
    6,
    "A context that the run needs is not valid under the policy.",
    ("policy/guest/load", "policy/guest/flush-cache"),
)
OTHER_POLICY = ExitCode(7, "Another policy than the expected one is in force.", ("policy/guest/flush-cache",))
MODE_NOT_SET = ExitCode(
    1,
    "The kernel does not have the mode that was written.",
    ("policy/guest/switch-mode", "policy/guest/restore-mode"),
)
NO_GUARD = ExitCode(8, "The guard does not run, and cannot be started.", ("policy/guest/switch-mode",))
LABELS_NOT_SAVED = ExitCode(4, "The labels from before could not be saved.", ("policy/guest/label-files",))
NO_EQUIVALENCES = ExitCode(
    5,
    "The equivalences of the guest's file contexts could not be copied.",
    ("policy/guest/label-files", "policy/guest/label-tree"),
)
NO_FILE_CONTEXTS = ExitCode(
    9,
    "The guest does not have the candidates' file contexts: put them there and ask again.",
    ("policy/guest/label-files", "policy/guest/label-tree"),
)
RUNTIME_HANGS = ExitCode(
    124, "The container runtime did not answer in time, like timeout(1).", ("container/start",)
)
NO_RUNTIME = ExitCode(
    125,
    "The container runtime is not installed. It also ends with 125 itself if it fails.",
    ("container/start", "container/make-network"),
)
NOT_HEALTHY = ExitCode(1, "The container did not become healthy.", ("container/await-health",))
STEP_FAILED = ExitCode(
    1,
    "The step did not end as the scenario expects.",
    ("container/http", "container/tcp", "container/wait-for-end", "service/wait-for-end"),
)
END_NOT_NOTICED = ExitCode(
    4, "The container runtime has not noticed the container's end.", ("container/wait-for-end",)
)
NOT_ENDED = ExitCode(4, "Processes of the containers are left.", ("container/end",))
UNIT_DID_NOT_START = ExitCode(1, "The unit did not start.", ("service/start",))
NO_UNIT = ExitCode(3, "The guest has no such unit.", ("service/start",))
OTHER_UNIT = ExitCode(4, "The name is an alias of another unit.", ("service/start",))
NOT_STOPPED = ExitCode(5, "The unit cannot be stopped.", ("service/start", "service/stop"))
NO_DIRECTORY = ExitCode(6, "A directory of the unit cannot be created.", ("service/start",))
NOT_RESTORED = ExitCode(1, "A unit could not be restored.", ("service/restore",))
UNKNOWN_END = ExitCode(2, "systemd does not know how the service ended.", ("service/wait-for-end",))
NO_AUDIT_STATUS = ExitCode(3, "The kernel does not report its audit status.", ("auditlog/open-window",))
NO_MARK = ExitCode(
    4,
    "The mark could not be set in the audit log.",
    ("auditlog/open-window", "auditlog/close-window", "auditlog/close-journal-window"),
)
NOT_IN_ORDER = ExitCode(
    1,
    "A run cannot work in the guest; the script prints the reason.",
    ("vm/check-guest", "vm/check-existing"),
)

NEEDS_RESTART = ExitCode(
    1, "A newer kernel is installed; the guest must be restarted.", ("vm/install-kernel-modules",)
)

NO_ROUTE = ExitCode(1, "The guest got no route to the outside in time.", ("vm/await-network",))
INCOMPLETE_FILE = ExitCode(1, "Standard input did not have the expected number of bytes.", ("vm/put",))
EXIT_CODES = (
    NO_ROUTE,
    NO_STORE,
    NO_PACKAGES,
    STORE_CHANGED,
    NO_BUILD_DIRECTORY,
    NOT_COMPILED,
    MAKE_DID_NOT_RUN,
    NO_SELINUX_STATUS,
    REFUSED_BY_KERNEL,
    NOT_COUNTED,
    INVALID_CONTEXT,
    OTHER_POLICY,
    MODE_NOT_SET,
    NO_GUARD,
    LABELS_NOT_SAVED,
    NO_EQUIVALENCES,
    NO_FILE_CONTEXTS,
    RUNTIME_HANGS,
    NO_RUNTIME,
    NOT_HEALTHY,
    STEP_FAILED,
    END_NOT_NOTICED,
    NOT_ENDED,
    UNIT_DID_NOT_START,
    NO_UNIT,
    OTHER_UNIT,
    NOT_STOPPED,
    NO_DIRECTORY,
    NOT_RESTORED,
    UNKNOWN_END,
    NO_AUDIT_STATUS,
    NO_MARK,
    NOT_IN_ORDER,
    NEEDS_RESTART,
    INCOMPLETE_FILE,
)
"""All exit codes that the scripts choose themselves. Any other is that of the program that failed."""
