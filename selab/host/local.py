"""This machine as a Guest, so that the policy toolchain runs here and in a guest with the same code."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from selab.errors import AnswerTooLong, CommandFailed, Unreachable
from selab.guest import MAX_ANSWER, RUN_TIMEOUT, Completed
from selab.host.processes import TOOL_LIMITS, Limits, run_group
from selab.progress import log


class LocalHost:
    """The machine that selab runs on. Unlike in a VM, commands run as the user who started selab.

    limits: what each process may use; None is for builds, which need more than the policy tools.
    """

    def __init__(self, limits: Limits | None = TOOL_LIMITS) -> None:
        self._limits = limits

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        timeout: float = RUN_TIMEOUT,
        limit: int | None = None,
    ) -> Completed:
        log.debug("host: %s", argv)
        environment = os.environ | {"LC_ALL": "C"}
        try:
            done = run_group(
                argv,
                timeout=timeout,
                input=input,
                limits=self._limits,
                environment=environment,
                limit=limit,
            )
        except FileNotFoundError:
            return Completed(tuple(argv), 127, b"", f"{argv[0]}: not found".encode())
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"`{argv[0]}` did not end within {timeout:.0f} seconds.") from error
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr, done.truncated)

    def put(self, data: bytes, path: str, *, mode: int = 0o644) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        half = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            half.chmod(mode)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)

    def get(self, path: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_ANSWER + 1)
        except OSError as error:
            raise CommandFailed(
                f"{path} cannot be read.", ("read", path), error.errno or 1, str(error)
            ) from error
        if len(data) > MAX_ANSWER:
            raise AnswerTooLong(path, MAX_ANSWER)
        return data

    def close(self) -> None:
        """Do nothing: there is no connection."""
