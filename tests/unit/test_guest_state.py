"""selab.guest_state defines exactly the files and the exit codes that the programs in the guest use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import selab
from selab import guest_state
from selab.guest import script
from selab.guest_state import EXIT_CODES, RUN_DIR, RUNTIME, STATE_FILES

ROOT = Path(selab.__file__).parent
SCRIPTS = {
    f"{path.parents[1].relative_to(ROOT)}/{path.stem}": path.read_text()
    for path in ROOT.rglob("scripts/*.sh")
}
OTHERS = {
    name: (ROOT / file).read_text()
    for name, file in {
        guest_state.GUARD_PROGRAM: "vm/guest_agent/guard.py",
        "vm/provision": "vm/provision.toml",
        "policy/guest/restore_labels": "policy/guest/restore_labels.py",
        "policy/guest/save_labels": "policy/guest/save_labels.py",
    }.items()
}
_PATH = re.compile(r"/run/selab/([\w.-]+)|\bRUN / \"([\w.-]+)\"")
_EXIT = re.compile(r"\bexit ([1-9]\d*)\b")


def key(name: str) -> str:
    """The part of a file's name that is the same for every container."""
    return name.removesuffix("/NAME").removesuffix("NAME")


def mentioned(text: str) -> set[str]:
    """The keys of the files in /run/selab that a program mentions; a sentence may end after one."""
    return {key((match[1] or match[2]).rstrip(".")) for match in _PATH.finditer(text)}


USED = {name: mentioned(text) for name, text in (SCRIPTS | OTHERS).items()}


def test_every_file_that_a_program_uses_is_defined() -> None:
    assert set().union(*USED.values()) == {key(file.name) for file in STATE_FILES}


@pytest.mark.parametrize("file", STATE_FILES, ids=lambda file: file.name)
def test_its_writers_readers_and_removers_are_the_programs_that_mention_it(
    file: guest_state.StateFile,
) -> None:
    users = {*file.writers, *file.readers, *file.removers} - {RUNTIME}
    assert users == {name for name, keys in USED.items() if key(file.name) in keys}


def test_no_other_module_writes_such_a_path() -> None:
    naming = {
        str(path.relative_to(ROOT).with_suffix(""))
        for path in ROOT.rglob("*.py")
        if f"{RUN_DIR}" in path.read_text()
    }
    assert naming == {"guest_state", guest_state.GUARD_PROGRAM}


def test_a_path_has_the_containers_name_in_it() -> None:
    assert guest_state.CONTAINER_ID.path("selab-web") == "/run/selab/cid-selab-web"


def test_every_exit_code_of_a_script_is_defined() -> None:
    used = {
        (name, int(code)) for name in SCRIPTS if "/lib-" not in name for code in _EXIT.findall(script(name))
    }
    assert used == {(name, exit_code.code) for exit_code in EXIT_CODES for name in exit_code.scripts}


def test_a_script_gives_no_code_two_meanings() -> None:
    codes = [(name, exit_code.code) for exit_code in EXIT_CODES for name in exit_code.scripts]
    assert len(codes) == len(set(codes))


def test_only_scripts_have_exit_codes() -> None:
    assert {name for exit_code in EXIT_CODES for name in exit_code.scripts} <= SCRIPTS.keys()
