"""The first VM of a box, which others have to wait for."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from selab.host.cache import alone, cache_dir
from selab.progress import Progress
from selab.vm import libvirt
from selab.vm.boxes import in_store

FIRST_LIMIT = 3600.0
"""Seconds to wait for another selab that makes the first VM of a box: it may have to download a gigabyte."""


@contextlib.contextmanager
def first_alone(box: str, provider: str, progress: Progress) -> Iterator[None]:
    """Make a VM of `box` in the block: the first one alone, since Vagrant and libvirt's provider take a box that another process is just
    putting into their stores for a whole one, or fail. "" is a box that nobody knows before Vagrant does."""
    lock = cache_dir() / "locks" / f"first-{hashlib.sha256(box.encode()).hexdigest()[:12]}"
    with contextlib.ExitStack() as held:
        held.enter_context(alone(lock, FIRST_LIMIT, "making the first VM of the same box", progress))
        if box and _is_unpacked(box, provider):
            held.close()
        yield


def _is_unpacked(box: str, provider: str) -> bool:
    """Whether a VM of the box was made before: it is in Vagrant's store, and libvirt's pool has the disk that it is copied from."""
    if not in_store(box, provider):
        return False
    return provider != "libvirt" or f"{box}_vagrant_box_image_" in libvirt.virsh("vol-list", "default").stdout
