"""Decide accesses with libsepol in a subprocess.

libsepol never frees a kernel policy that it has read (11 MiB for Debian's): sepol_set_policydb_from_file
skips a policydb_t whose policy_type is 0, and a kernel policy's is 0. So a process that decides repeatedly
would grow. A subprocess also keeps a crash of libsepol from ending selab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import selab
from selab.errors import SelabError
from selab.host.processes import TOOL_LIMITS, run_group
from selab.policy.query.booleans import with_booleans
from selab.policy.query.decide import Access, Cause, Decider, Decision

LIMIT = 600
"""Seconds. A decision takes tenths of a second, and the search for one boolean takes some seconds."""


def ask(
    policy: Path, accesses: Sequence[Access], *, booleans: bool = False, names: bool = False
) -> list[Decision]:
    """Return what the linked policy in the file `policy` decides about each access, in order.

    `booleans` also detects accesses that a boolean blocks; `names` adds which one. Raises SelabError if
    libsepol fails.
    """
    if not accesses:
        return []
    question = {"accesses": [astuple(access) for access in accesses], "booleans": booleans, "names": names}
    # The subprocess must import this selab, not a module of the same name in the current directory.
    environment = os.environ | {"PYTHONPATH": str(Path(selab.__file__).parents[1])}
    try:
        done = run_group(
            [sys.executable, "-P", "-m", __name__, str(policy)],
            timeout=LIMIT,
            input=json.dumps(question).encode(),
            limits=TOOL_LIMITS,
            environment=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SelabError("libsepol did not answer about the linked policy.", str(error)) from error
    if done.returncode:
        last_line = done.stderr.decode(errors="backslashreplace").strip().splitlines()[-1:]
        raise SelabError(
            "libsepol did not answer about the linked policy.",
            " ".join([f"exit code {done.returncode}", *last_line]),
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise SelabError(*answer["error"])
    return [
        Decision(access, Cause(cause), detail, by_command)
        for access, (cause, detail, by_command) in zip(accesses, answer["decisions"], strict=True)
    ]


def _answer(policy: Path, question: str) -> str:
    request = json.loads(question)
    try:
        decisions = Decider(policy).decide([Access(*words) for words in request["accesses"]])
        if request["booleans"]:
            decisions = with_booleans(policy, decisions, names=request["names"])
    except SelabError as error:
        return json.dumps({"error": [error.what, error.detail, error.hint]})
    answers = [[decision.cause, decision.detail, decision.by_command] for decision in decisions]
    return json.dumps({"decisions": answers})


if __name__ == "__main__":
    sys.stdout.write(_answer(Path(sys.argv[1]), sys.stdin.read()))
