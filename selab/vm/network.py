"""The network of the VM: closed, except while selab downloads something into the guest.

QEMU's user network leads to this machine's loopback interface and to everything that this machine reaches;
QEMU cannot open the one without the other. So the guest has two interfaces. The network of the first one,
which carries SSH, is restricted: the guest reaches nothing through it. The link of the second one, the outer
interface, is down. QEMU enforces both, so root in the guest cannot change them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from enum import StrEnum

from selab.errors import SelabError
from selab.guest import Guest, script_argv
from selab.progress import Progress
from selab.project import Project
from selab.vm import libvirt, vagrantfile
from selab.vm.state import State

log = logging.getLogger("selab")

ROUTE_LIMIT = 30
"""Seconds until the guest has an address on its outer interface: an emulated guest needs two."""


class Reach(StrEnum):
    """What the guest reaches, as selab verified or changed it last.

    `UNKNOWN`: not verified since the VM was started, or selab was killed while it had opened the network.
    `CLOSED`: nothing.
    `OPEN`: everything that this machine reaches, and its loopback interface. The user opened the network.
    `OUTSIDE`: everything that this machine reaches, but not its loopback interface (VirtualBox).
    `FOREIGN`: what a Vagrantfile that is not selab's, or is an older version of it, gives the VM.
    """

    UNKNOWN = "unknown"
    CLOSED = "closed"
    OPEN = "open"
    OUTSIDE = "outside"
    FOREIGN = "foreign"


class Network:
    """The network of the VM of `project`, whose records are `files`."""

    def __init__(self, project: Project, files: State) -> None:
        self._project = project
        self._files = files

    @property
    def reach(self) -> Reach:
        """Return what selab recorded. No process is started."""
        known = self._files.remembered()
        try:
            return Reach(known.network) if known else Reach.UNKNOWN
        except ValueError:
            return Reach.UNKNOWN

    def secure(self, progress: Progress) -> bool:
        """Close the network of the running VM, unless it is closed already or the user opened it.

        Return False if it closes only when the VM is started again.
        """
        reach = self.reach
        if reach is Reach.OPEN:
            progress.note(f"{describe(reach)}; {REMEDIES[reach]}")
        if reach is not Reach.UNKNOWN:
            return True
        vagrantfile.place(self._project, progress)
        if reason := self._not_closable():
            self._record(reason)
            progress.note(describe(reason))
            return True
        domain = self._files.domain
        if not libvirt.is_restricted(domain):
            libvirt.restrict_forward(domain)
            libvirt.set_links(domain, up=False)
            return False
        libvirt.set_links(domain, up=False)
        self._record(Reach.CLOSED)
        return True

    def set(self, reach: Reach, progress: Progress) -> None:
        """Open or close the network until the user changes it again. Raises SelabError if selab cannot."""
        if reason := self._not_closable():
            raise SelabError("selab cannot open or close the network of this VM.", DETAILS[reason], SEE)
        self._record(Reach.UNKNOWN)
        if reach is Reach.OPEN:
            libvirt.set_links(self._files.domain, up=True)
            self._record(Reach.OPEN)
        else:
            self.secure(progress)

    @contextlib.contextmanager
    def online(self, guest: Guest, progress: Progress) -> Iterator[None]:
        """Open the network for the block. If selab is killed in the block, the next run closes it."""
        if self.reach is not Reach.CLOSED:
            yield
            return
        domain = self._files.domain
        self._record(Reach.UNKNOWN)
        try:
            with progress.step("Opening the VM's network"):
                libvirt.set_links(domain, up=True)
                addresses = [address for _, address in libvirt.interfaces(domain)]
                argv = script_argv("vm/await-network", str(ROUTE_LIMIT), *addresses)
                if not guest.run(argv, timeout=2 * ROUTE_LIMIT).ok:
                    log.warning("the guest got no route to the outside within %s s", ROUTE_LIMIT)
            yield
        finally:
            libvirt.set_links(domain, up=False)
            self._record(Reach.CLOSED)

    def _not_closable(self) -> Reach | None:
        """Return what the guest reaches if selab cannot close the network, else None."""
        if not vagrantfile.closes_network(self._project):
            return Reach.FOREIGN
        known, parameters = self._files.remembered(), self._files.vagrant_parameters()
        if known and known.provider != "libvirt":
            return Reach.OUTSIDE if parameters and parameters.close_loopback else Reach.FOREIGN
        return None if libvirt.has_only_user_networks(self._files.domain) else Reach.FOREIGN

    def _record(self, reach: Reach) -> None:
        known = self._files.remembered()
        if known is None:
            raise SelabError(
                "The VM's network cannot be changed.", "There is no record of the VM.", "Run `selab vm up`."
            )
        self._files.remember(dataclasses.replace(known, network=reach.value))


SEE = "See docs/explanation/network.md."
DETAILS = {
    Reach.UNKNOWN: "not verified since the VM was started",
    Reach.CLOSED: "the guest reaches nothing; selab opens the network while it downloads into the guest",
    Reach.OPEN: "the guest reaches what this machine reaches, and its services on 127.0.0.1",
    Reach.OUTSIDE: "the guest reaches what this machine reaches, but not its services on 127.0.0.1",
    Reach.FOREIGN: "selab cannot close it: the Vagrantfile is not selab's own, or VirtualBox is too old",
}
REMEDIES = {
    Reach.UNKNOWN: "The next `selab run` closes it.",
    Reach.OPEN: "`selab vm network closed` closes it.",
    Reach.FOREIGN: SEE,
}


def describe(reach: Reach) -> str:
    """Return what the guest reaches, as a phrase for the user."""
    return f"the VM's network is {reach}: {DETAILS[reach]}"
