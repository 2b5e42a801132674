"""Runs in the guest: restores the labels that are saved in the file named by $1, and removes that file."""

import contextlib
import json
import os
import sys
from pathlib import Path

labels = Path(sys.argv[1])
for path, label in json.loads(labels.read_text(errors="surrogateescape")).items():
    with contextlib.suppress(FileNotFoundError):  # a file that was removed since has no label
        if os.getxattr(path, "security.selinux", follow_symlinks=False).decode() != label:
            os.setxattr(path, "security.selinux", label.encode(), follow_symlinks=False)
labels.unlink()
