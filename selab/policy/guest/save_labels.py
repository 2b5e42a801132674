"""Runs in the guest: saves the labels of files before label-files.sh changes them.

Arguments: the file to write, the greatest number of files, and the paths to save, with everything below them.
The file is written completely or not at all.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

state, limit, places = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
labels: "dict[str, str]" = {}


def save(path: str) -> None:
    with contextlib.suppress(OSError):  # a file system without labels
        labels[path] = os.getxattr(path, "security.selinux", follow_symlinks=False).decode()
    if len(labels) > limit:
        sys.exit(f"more than {limit} files")


for place in places:
    save(place)
    for directory, names, files in os.walk(place):
        for name in names + files:
            save(f"{directory.rstrip('/')}/{name}")
half = Path(f"{state}.half")
with half.open("w", errors="surrogateescape") as out:
    json.dump(labels, out)
    out.flush()
    os.fsync(out.fileno())
half.replace(state)
