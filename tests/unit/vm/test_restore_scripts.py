"""The scripts that restore a guest, write its files and quiet its console, run with sh in a sandbox."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from selab.guest import script, shell_argv

from .vm_guest import ENFORCE, VmGuest

FILE = "/var/lib/selab/x/file"


@pytest.fixture
def guest(tmp_path: Path) -> VmGuest:
    return VmGuest(tmp_path)


@pytest.mark.parametrize(
    ("rescue", "load", "ok", "calls"),
    [
        (0, 1, True, ["python3"]),
        (1, 0, True, ["python3", "load_policy"]),
        (2, 1, False, ["python3", "load_policy"]),
    ],
)
def test_the_guard_restores_a_locked_guest_or_else_the_base_policy_is_loaded(
    guest: VmGuest, rescue: int, load: int, ok: bool, calls: list[str]
) -> None:
    """The guest is permissive before another program starts, because the candidate may allow none."""
    guest.write(ENFORCE, "1")
    guest.program(
        "python3",
        f'[ "$*" = "/usr/local/lib/selab/guard rescue" ] && grep -q 0 "{guest.path(ENFORCE)}" &&'
        f" exit {rescue}; exit 9",
    )
    guest.program("load_policy", f"exit {load}")
    assert guest.runs("restore-base").ok is ok
    assert [call.split()[0] for call in guest.called] == calls


def test_an_existing_host_gets_its_base_policy_and_its_mode_back(guest: VmGuest) -> None:
    guest.write(ENFORCE, "0")
    guest.write("/run/selab/mode", "1\n")
    guest.write("/run/selab/loaded", "digest 7\n")
    assert guest.runs("restore-existing").ok
    assert (guest.read(ENFORCE), guest.read("/run/selab/mode")) == ("1", "")
    assert (guest.calls_of("load_policy"), guest.path("/run/selab/loaded").exists()) == (
        ["load_policy"],
        False,
    )


def test_nothing_else_is_restored_if_the_base_policy_cannot_be_loaded(guest: VmGuest) -> None:
    """The mode stays permissive, and both records remain for the next attempt."""
    guest.program("load_policy", "exit 3")
    guest.write(ENFORCE, "0")
    guest.write("/run/selab/mode", "1\n")
    guest.write("/run/selab/loaded", "digest 7\n")
    assert guest.runs("restore-existing").returncode == 3
    assert (guest.read(ENFORCE), guest.read("/run/selab/mode")) == ("0", "1\n")
    assert guest.path("/run/selab/loaded").exists()


@pytest.mark.parametrize("mode", [None, ""])
def test_a_mode_that_no_run_has_changed_stays(guest: VmGuest, mode: str | None) -> None:
    guest.write(ENFORCE, "0")
    if mode is not None:
        guest.write("/run/selab/mode", mode)
    assert not guest.runs("restore-existing").ok
    assert (guest.read(ENFORCE), guest.calls_of("load_policy")) == ("0", ["load_policy"])


def test_a_shell_on_the_console_becomes_quiet(guest: VmGuest) -> None:
    guest.program("stty")
    guest.program("dmesg", "exit 4")
    show = 'status=$?; echo "$PS1|$PROMPT_COMMAND|${HISTFILE-unset}"; exit $status'
    before = "PROMPT_COMMAND=x HISTFILE=y"
    done = guest.run(shell_argv(f"{before}\n{script('vm/quiet-terminal')}\n{show}"))
    assert (done.returncode, done.text) == (4, "# ||unset\n")
    assert guest.called == ["stty -echo -onlcr", "dmesg -n 1"]


# --- put ------------------------------------------------------------------------------------------


def put(guest: VmGuest, data: bytes, *, size: int | None = None, mode: str = "640") -> int:
    words = (str(guest.path(FILE)), mode, str(len(data) if size is None else size), "token")
    return guest.runs("put", *words, input=data).returncode


def test_a_file_is_written_with_its_mode_and_its_directories(guest: VmGuest) -> None:
    assert put(guest, b"\0data\n") == 0
    assert guest.path(FILE).read_bytes() == b"\0data\n"
    assert stat.S_IMODE(guest.path(FILE).stat().st_mode) == 0o640


def test_a_file_is_replaced_and_a_link_is_not_followed(guest: VmGuest) -> None:
    guest.write("/var/lib/selab/other", "other")
    guest.path(FILE).parent.mkdir()
    guest.path(FILE).symlink_to(guest.path("/var/lib/selab/other"))
    assert put(guest, b"data") == 0
    assert (guest.read(FILE), guest.path(FILE).is_symlink()) == ("data", False)
    assert guest.read("/var/lib/selab/other") == "other"


@pytest.mark.parametrize("size", [3, 5])
def test_an_incomplete_file_is_not_written(guest: VmGuest, size: int) -> None:
    guest.write(FILE, "before")
    assert put(guest, b"data", size=size) == 1
    assert guest.read(FILE) == "before"
    assert [path.name for path in guest.path(FILE).parent.iterdir()] == ["file"]


@pytest.mark.parametrize("program", ["mkdir", "cat", "chmod", "mv"])
def test_a_file_that_cannot_be_written_leaves_nothing(guest: VmGuest, program: str) -> None:
    guest.program(program, "exit 1")
    assert put(guest, b"data") == 1
    assert not list(guest.path("/var/lib/selab").rglob("*file*")) and not list(
        guest.path("/var/lib/selab").rglob(".selab*")
    )


def test_a_directory_in_the_place_of_a_file_is_an_error(guest: VmGuest) -> None:
    guest.path(FILE).mkdir(parents=True)
    assert put(guest, b"data") == 1
    assert not list(guest.path(FILE).iterdir())
