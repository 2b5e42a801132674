"""No command changes a file outside of a hostile project, or runs code that the project contains."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.errors import EXIT_ERROR, EXIT_USAGE
from tests.hostile.forked import Forker
from tests.hostile.project import (
    CALLED,
    Sandbox,
    forge_state,
    link_state,
    link_whole_state,
    make_sandbox,
)
from tests.hostile.watch import watching
from tests.shown import commands

ARGUMENTS: dict[tuple[str, ...], list[str]] = {
    ("audit",): ["evil", "--against", "HEAD"],
    ("base", "export"): ["nothing"],
    ("base", "import"): ["policies/linked.te"],
    ("base", "list"): [],
    ("base", "show"): ["nothing"],
    ("box", "build"): ["nothing"],
    ("box", "list"): [],
    ("box", "name"): [],
    ("box", "remove"): ["selab-nothing"],
    ("check",): [],
    ("completion",): ["bash"],
    ("denials",): ["policies/linked.te"],
    ("diff",): [],
    ("doctor",): [],
    ("explain",): [],
    ("export",): ["evil", "--as", "rpm", "--unproven"],
    ("history",): [],
    ("init",): ["."],
    ("install",): ["evil"],
    ("learn",): ["evil", "--apply"],
    ("matrix",): [],
    ("minimise",): ["evil", "--apply"],
    ("new", "policy"): ["fresh", "--for", "evil"],
    ("new", "scenario"): ["fresh", "--from-compose", "compose.yaml"],
    ("replay",): [],
    ("report",): ["--format", "markdown"],
    ("run",): ["evil"],
    ("schema",): ["project"],
    ("show",): [],
    ("suggest",): [],
    ("trust",): [],
    ("uninstall",): ["evil"],
    ("vm", "console"): [],
    ("vm", "destroy"): ["--yes"],
    ("vm", "halt"): [],
    ("vm", "list"): [],
    ("vm", "network"): [],
    ("vm", "rescue"): [],
    ("vm", "reset"): [],
    ("vm", "ssh"): ["true"],
    ("vm", "status"): [],
    ("vm", "suspend"): [],
    ("vm", "up"): [],
    ("watch",): ["evil"],
}
"""Every command, with arguments that reach the project's files."""
SCENARIOS = ("apache", "bomb", "linked", "python", "terminal", "missing")
USES_STATE = [
    names
    for names in ARGUMENTS
    if names[0] not in ("base", "completion", "denials", "init", "new", "schema", "box")
]
HARMLESS_CALL = re.compile(
    r"virsh (-q )?-c qemu:///system (uri|(reset|domstate|console --force) selab-project-[0-9a-f]{8}_default)"
)
"""Calls of virsh that run nothing of the project: they name no domain, or only the project's own."""
LIMIT = 240.0
"""Seconds for one command, which has nothing to wait for."""
WATCHED = 3.0
"""Seconds until Ctrl-C ends `selab watch`."""
Done = subprocess.CompletedProcess[str]


def test_every_command_is_tried() -> None:
    assert set(ARGUMENTS) == set(commands())


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return make_sandbox(tmp_path)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on the loopback interface to which a forged state leads."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    home = tmp_path_factory.mktemp("forker")
    forker = Forker(home)
    yield forker
    forker.close()
    assert list(home.iterdir()) == []


def start(words: list[str], directory: Path, environment: dict[str, str], limit: float) -> Done:
    """Run the installed program in the project as a user without a terminal would."""
    program = Path(sys.executable).with_name("selab")
    return subprocess.run(
        [program, *words],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=limit,
    )


def assert_harmless(run: Callable[..., Done], sandbox: Sandbox, *words: str, **environment: str) -> Done:
    """Run a command with `run`, and prove that it changed nothing outside and ran nothing."""
    beacon = sandbox.root / "beacon"
    beacon.mkdir(exist_ok=True)
    with watching([sandbox.home, sandbox.outside, sandbox.markers], sandbox.own, beacon) as watch:
        limit = WATCHED if words[:1] == ("watch",) else LIMIT
        done = run(list(words), sandbox.project, sandbox.environment | environment, limit)
    answer = f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    called = sandbox.root / CALLED
    calls = called.read_text().splitlines() if called.exists() else []
    assert [call for call in calls if not HARMLESS_CALL.fullmatch(call)] == [], answer
    assert (watch.events, watch.differences) == ([], []), answer
    assert "Traceback" not in done.stderr, answer
    assert "unforeseen" not in done.stderr, answer
    return done


@pytest.mark.parametrize("names", ARGUMENTS, ids=" ".join)
def test_a_command_on_a_project_whose_state_links_outside(
    sandbox: Sandbox, forker: Forker, names: tuple[str, ...]
) -> None:
    link_state(sandbox)
    assert_harmless(forker.run, sandbox, *names, *ARGUMENTS[names])


@pytest.mark.parametrize("names", [("check",), ("matrix",), ("run",)], ids=" ".join)
def test_the_installed_program_in_a_directory_with_modules(sandbox: Sandbox, names: tuple[str, ...]) -> None:
    """The interpreter and the imports start as for a user: these are the same for each command."""
    link_state(sandbox)
    assert_harmless(start, sandbox, *names, *ARGUMENTS[names])


@pytest.mark.parametrize("names", USES_STATE, ids=" ".join)
def test_a_command_on_a_project_whose_state_is_a_link(
    sandbox: Sandbox, forker: Forker, names: tuple[str, ...]
) -> None:
    link_whole_state(sandbox)
    assert_harmless(forker.run, sandbox, *names, *ARGUMENTS[names])


@pytest.mark.parametrize("names", USES_STATE, ids=" ".join)
def test_a_command_on_a_project_with_a_forged_state(
    sandbox: Sandbox, forker: Forker, names: tuple[str, ...], listener: socket.socket
) -> None:
    forge_state(sandbox, listener.getsockname()[1])
    assert_harmless(forker.run, sandbox, *names, *ARGUMENTS[names])
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_of_a_hostile_scenario(sandbox: Sandbox, forker: Forker, name: str) -> None:
    assert assert_harmless(forker.run, sandbox, "run", name).returncode in (EXIT_USAGE, EXIT_ERROR)


@pytest.mark.parametrize("words", ["selab run ", "selab check ", "selab vm --slot ", "selab show "])
def test_completion(sandbox: Sandbox, forker: Forker, words: str) -> None:
    link_state(sandbox)
    count = str(len(words.split()))
    environment = {"_SELAB_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    assert_harmless(forker.run, sandbox, **environment)


@pytest.mark.parametrize("write", [lambda box: box.outside / "thesis.txt", lambda box: box.markers / "ran"])
def test_the_watch_notices_a_change(sandbox: Sandbox, write: Callable[[Sandbox], Path]) -> None:
    (sandbox.root / "beacon").mkdir()
    path = write(sandbox)
    with watching([sandbox.outside, sandbox.markers], [], sandbox.root / "beacon") as watch:
        path.write_text("changed")
    assert any(str(path) in event for event in watch.events)
    assert str(path) in watch.differences
