"""A process that has imported selab, and that forks itself for each command.

A start of selab takes a second of processor time, nearly all of it for imports, which are the same each time.
This file is also the program of that process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

GRACE = 60.0
"""Seconds for a command to end after Ctrl-C."""
PROGRAMS = ("selab.policy.guest.restore_labels", "selab.policy.guest.save_labels")
"""Modules that are programs for the guest."""
SIZE = 65536
"""Bytes of a request: above all the environment."""


class Forker:
    """The process, which runs one command at a time.

    Its home directory is `home`: a path that selab derives when it is imported leads there, and not into
    the home directory of a command, so `home` must stay empty.
    """

    def __init__(self, home: Path) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=home,
                env={**os.environ, "HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, words: list[str], directory: Path, environment: dict[str, str], limit: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `selab WORDS` in `directory`, with Ctrl-C after `limit` seconds.

        Raises AssertionError if the command imported a module from `directory`, or would look for one there.
        """
        request = json.dumps([words, str(directory), environment]).encode()
        assert len(request) <= SIZE
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._socket, [request], [out.fileno(), err.fileno()])
            # A command that ends at once may report what it imported before its process is reported.
            started = self._answers_until("pid", GRACE)
            answer = started | self._end(started["pid"], limit)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="backslashreplace"))
        imported = answer.get("imported", [])
        assert imported == [], imported
        return subprocess.CompletedProcess(words, answer["code"], *texts)

    def _end(self, pid: int, limit: float) -> dict[str, Any]:
        """Wait for the command; send Ctrl-C after `limit` seconds, and raise AssertionError if it goes on."""
        for seconds, number in ((limit, signal.SIGINT), (GRACE, signal.SIGKILL)):
            with contextlib.suppress(TimeoutError):
                # A command that becomes another program, such as ssh, does not report what it imported.
                return self._answers_until("code", seconds)
            os.kill(pid, number)
        self._answers_until("code", GRACE)
        raise AssertionError("Ctrl-C does not end the command")

    def _answers_until(self, key: str, limit: float) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        while key not in answers:
            answers |= self._answer(limit)
        return answers

    def _answer(self, limit: float) -> dict[str, Any]:
        self._socket.settimeout(limit)
        message = self._socket.recv(SIZE)
        assert message, "the process that forks has ended"
        return json.loads(message)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait(timeout=GRACE)


def import_selab() -> None:
    """Import what any command imports: all modules but the plugin of pytest and what runs in the guest."""
    import distributed  # noqa: F401  # which takes as long as selab itself

    import selab
    from selab.vm import rescue

    for module in pkgutil.walk_packages(selab.__path__, "selab."):
        if module.name not in ("selab.pytest_plugin", *PROGRAMS):
            importlib.import_module(module.name)
    # No guest of these tests ever answers.
    rescue.PATIENCE = 1.0


def serve(server: socket.socket) -> None:
    """Fork for each request, and report the process, what it imported and its exit code."""
    while True:
        message, (*files,), _, _ = socket.recv_fds(server, SIZE, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            run(server, *json.loads(message), files)
        for file in files:
            os.close(file)
        server.send(json.dumps({"pid": child}).encode())
        _, status = os.waitpid(child, 0)
        server.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())


def run(
    server: socket.socket, words: list[str], directory: str, environment: dict[str, str], files: list[int]
) -> None:
    """Become the program `selab`.

    It exits as the interpreter does, but leaves the memory as it is: to free what was imported takes longer
    than most commands.
    """
    from selab.__main__ import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for file, number in zip(files, (1, 2), strict=True):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    tempfile.tempdir = None
    sys.argv = [str(Path(sys.executable).with_name("selab")), *words]
    try:
        main()
    except SystemExit as exit:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        server.send(json.dumps({"imported": imported_from(Path(directory))}).encode())
        os._exit(int(exit.code or 0))


def imported_from(directory: Path) -> list[str]:
    """Return the modules that come from `directory`, and the entries of the path that lead there."""
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    return [
        *(file for file in files if file.startswith(f"{directory}/")),
        *(entry for entry in sys.path if (Path.cwd() / entry).is_relative_to(directory)),
    ]


if __name__ == "__main__":
    import_selab()
    # Otherwise each child copies the memory in which the collector keeps its marks.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
