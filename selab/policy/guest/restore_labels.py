"""Runs in the guest: puts the labels of files back that are kept in the file named by the first argument, and removes that file."""

import contextlib
import json
import os
import sys
from pathlib import Path

kept = Path(sys.argv[1])
for path, label in json.loads(kept.read_text(errors="surrogateescape")).items():
    with contextlib.suppress(FileNotFoundError):  # what has been removed since has no label to put back
        if os.getxattr(path, "security.selinux", follow_symlinks=False).decode() != label:
            os.setxattr(path, "security.selinux", label.encode(), follow_symlinks=False)
kept.unlink()
