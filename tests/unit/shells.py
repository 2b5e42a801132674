"""What the shells of the distributions say about the scripts that selab sends."""

from __future__ import annotations

import subprocess


def refused(shell: str, scripts: dict[str, str]) -> str:
    """Return what `shell`, a shell that only parses, prints about each of `scripts`, which have these names.

    All are parsed by one process, because starting two processes for each takes longer than parsing.
    """
    words = [word for name, text in scripts.items() for word in (name, text)]
    program = f"""
    while [ $# -gt 0 ]; do
        printf '%s\\n' "$2" | {shell} /dev/stdin || echo "refused: $1"
        shift 2
    done
    """
    done = subprocess.run(
        ["sh", "-c", program, "sh", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout
