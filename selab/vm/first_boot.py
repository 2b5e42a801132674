"""Serialise the creation of the first VM of a box, while its files are copied into the stores."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from selab.host.cache import alone, cache_dir
from selab.progress import Progress
from selab.vm import libvirt
from selab.vm.boxes import in_store

FIRST_LIMIT = 3600.0
"""Seconds to wait for another selab process that creates the first VM of a box. It may download a
gigabyte."""


@contextlib.contextmanager
def first_alone(box: str, provider: str, progress: Progress) -> Iterator[None]:
    """Create a VM of `box` in the block. Only one process at a time creates the first VM of a box.

    Vagrant and its libvirt provider treat a box that another process is still copying into their stores as
    complete, or fail. `box` is "" if only the user's Vagrantfile names the box.
    """
    lock = cache_dir() / "locks" / f"first-{hashlib.sha256(box.encode()).hexdigest()[:12]}"
    with contextlib.ExitStack() as held:
        held.enter_context(alone(lock, FIRST_LIMIT, "making the first VM of the same box", progress))
        if box and _is_unpacked(box, provider):
            held.close()
        yield


def _is_unpacked(box: str, provider: str) -> bool:
    """Return whether the box is in Vagrant's store and libvirt's pool contains its disk image."""
    if not in_store(box, provider):
        return False
    return provider != "libvirt" or f"{box}_vagrant_box_image_" in libvirt.virsh("vol-list", "default").stdout
