"""Describe what was denied: two types, a class and permissions."""

from __future__ import annotations

from dataclasses import dataclass, field

from selab.auditlog.classification import UNEXPECTED, Ruling
from selab.auditlog.denials import shown_target
from selab.policy.language.commands import spans
from selab.policy.language.statements import braced

_FILES = {
    "file": "file",
    "dir": "directory",
    "lnk_file": "symbolic link",
    "sock_file": "socket file",
    "fifo_file": "pipe",
}
_FILES |= {"chr_file": "character device", "blk_file": "block device", "fd": "open file"}
_VERBS = {
    "read": "read",
    "open": "open",
    "write": "write to",
    "append": "append to",
    "getattr": "read the attributes of",
    "create": "create",
    "unlink": "remove",
    "rename": "rename",
    "setattr": "change the attributes of",
    "execute": "execute",
    "map": "map into memory",
    "search": "search",
    "add_name": "add an entry to",
    "remove_name": "remove an entry from",
    "use": "use",
    "ioctl": "control",
    "lock": "lock",
    "link": "link to",
    "rmdir": "remove",
    "execute_no_trans": "execute in its own domain",
    "entrypoint": "start as",
    "relabelto": "give this label to",
    "relabelfrom": "take this label from",
    "mounton": "mount over",
    "connectto": "connect to",
    "sendto": "send to",
    "name_bind": "listen on",
    "name_connect": "connect to",
    "node_bind": "listen at",
    "signal": "send a signal to",
    "signull": "check the existence of",
    "sigkill": "kill",
    "sigchld": "report its end to",
    "ptrace": "trace",
    "transition": "become",
    "dyntransition": "become",
    "send_msg": "send a D-Bus message to",
    "execmem": "execute writable memory of",
    "setrlimit": "change the limits of",
    "getsched": "read the scheduling of",
    "setsched": "change the scheduling of",
    "bind": "bind an address to",
    "listen": "listen on",
    "accept": "accept a connection on",
    "connect": "connect",
    "setopt": "set an option of",
    "getopt": "read an option of",
    "shutdown": "shut down",
    "nlmsg_read": "read the kernel's tables over",
    "nlmsg_write": "change the kernel's tables over",
    "watch": "watch",
    "execmod": "execute modified memory of",
    "mount": "mount",
    "unmount": "unmount",
    "remount": "remount",
    "module_load": "load as a kernel module",
    "load_policy": "load a policy into",
    "setenforce": "switch the mode of",
}


@dataclass(frozen=True)
class DeniedAccess:
    """The access that one row of denials is about.

    number: position in the summary, counted from 1.
    source, target, tclass: types and object class.
    permissions: denied permissions.
    comm, path, detail: examples.
    separated: whether MCS categories separate the two sides.
    hidden: whether a dontaudit rule hides the denial.
    contexts: pairs of complete contexts.
    ruling: what the scenario says about the denial.
    commands: set of the commands of a denied ioctl (selab.policy.language.commands); empty if unknown.
    """

    number: int
    source: str
    target: str
    tclass: str
    permissions: frozenset[str]
    comm: str = ""
    path: str = ""
    detail: str = ""
    separated: bool = False
    hidden: bool = False
    contexts: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    ruling: Ruling = UNEXPECTED
    commands: int = 0

    def __str__(self) -> str:
        return (
            f"{self.source} {shown_target(self.source, self.target)}:{self.tclass} {braced(self.permissions)}"
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """Return source, target and class."""
        return self.source, self.target, self.tclass

    @property
    def numbers(self) -> tuple[int | None, ...]:
        """Return the commands of a denied ioctl; (None,) if they are unknown."""
        listed = (number for low, high in spans(self.commands) for number in range(low, high + 1))
        return tuple(listed) or (None,)

    @property
    def in_words(self) -> str:
        """Format it as `apache2 (web_t) asked to read the file /etc/shadow, which is labelled shadow_t`."""
        who = f"{self.comm} ({self.source})" if self.comm else self.source
        if self.tclass in ("capability", "capability2", "cap_userns", "cap2_userns"):
            return f"{who} asked for the capability {' and '.join(sorted(self.permissions))}"
        verbs = " and ".join(_VERBS.get(name, name) for name in sorted(self.permissions))
        return f"{who} asked to {verbs} {self._what}"

    @property
    def _what(self) -> str:
        kind = _FILES.get(self.tclass, self.tclass.replace("_", " "))
        if self.target == self.source:
            return "itself" if self.tclass == "process" else f"its own {kind}"
        what = f"the {kind} {self.path or self.detail}".rstrip()
        return (
            f"{what}, which is labelled {self.target}"
            if self.path or self.detail
            else f"a {kind} of {self.target}"
        )
