"""libsepol asked in a process of its own, which ends with the answer.

libsepol never gives back the memory of a kernel policy that it has read (11 MiB of Debian's; policydb_t.policy_type of one is 0, which
sepol_set_policydb_from_file takes for none), so a process that asks again and again would grow; and what makes libsepol fall over does not
end selab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import selab
from selab.errors import SelabError
from selab.policy.query.booleans import with_booleans
from selab.policy.query.decide import Access, Cause, Decider, Decision

LIMIT = 600
"""Seconds. An answer takes tenths of a second, and some seconds more for each boolean that is looked for by its name."""


def ask(
    policy: Path, asked: Sequence[Access], *, booleans: bool = False, names: bool = False
) -> list[Decision]:
    """What the linked policy in the file `policy` decides about each access, in order.

    With `booleans`, also whether one stands in its way, and with `names` which one. Raises SelabError where libsepol cannot be asked.
    """
    if not asked:
        return []
    question = {"accesses": [astuple(access) for access in asked], "booleans": booleans, "names": names}
    # The very selab that asks, and not what the directory has under a name of its modules.
    environment = os.environ | {"PYTHONPATH": str(Path(selab.__file__).parents[1])}
    options: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "check": False,
        "timeout": LIMIT,
        "env": environment,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(policy)], input=json.dumps(question), **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SelabError("libsepol did not answer about the linked policy.", str(error)) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise SelabError(
            "libsepol did not answer about the linked policy.",
            " ".join([f"exit code {done.returncode}", *said]),
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise SelabError(*answer["error"])
    return [
        Decision(access, Cause(cause), detail)
        for access, (cause, detail) in zip(asked, answer["decisions"], strict=True)
    ]


def _answer(policy: Path, question: str) -> str:
    wanted = json.loads(question)
    try:
        decisions = Decider(policy).decide([Access(*words) for words in wanted["accesses"]])
        if wanted["booleans"]:
            decisions = with_booleans(policy, decisions, names=wanted["names"])
    except SelabError as error:
        return json.dumps({"error": [error.what, error.detail, error.hint]})
    return json.dumps({"decisions": [[decision.cause, decision.detail] for decision in decisions]})


if __name__ == "__main__":
    sys.stdout.write(_answer(Path(sys.argv[1]), sys.stdin.read()))
