"""Vagrant through python-vagrant: what is executed, for how long, and what becomes of its output."""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vagrant as python_vagrant

from selab.errors import SelabError
from selab.progress import Progress
from selab.vm import terminal, vagrant
from selab.vm.vagrant import NotReady, SshConfig, Vagrant
from tests.unit.processes import is_gone

from .fake_vagrant import Fake, fake_vagrant

pytestmark = pytest.mark.program

SSH_CONFIG = """Host default
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  IdentityFile "/vm/private key"
  IdentityFile /home/user/.vagrant.d/insecure_private_key
  IdentitiesOnly yes
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return fake_vagrant(tmp_path, monkeypatch)


# --- what is executed ---------------------------------------------------------------------------------------


def test_each_override_has_a_method_of_python_vagrant_to_override() -> None:
    own = {
        name
        for name, value in vars(vagrant._Commands).items()
        if inspect.isfunction(value) and name != "__init__"
    }
    assert own == {
        "_make_vagrant_command",
        "_run_vagrant_command",
        "_call_vagrant_command",
        "_stream_vagrant_command",
        "_parse_machine_readable_output",
        "_normalize_status",
        "_parse_config",
    }
    assert own <= set(vars(python_vagrant.Vagrant))


ACTIONS: dict[str, tuple[Callable[[Vagrant, Progress], None], str]] = {
    "up": (lambda vm, progress: vm.up(progress), "up --no-provision --no-destroy-on-error"),
    "up with a provider": (
        lambda vm, progress: vm.up(progress, "libvirt"),
        "up --no-provision --provider=libvirt --no-destroy-on-error",
    ),
    "resume": (lambda vm, progress: vm.resume(progress), "resume --no-provision"),
    "suspend": (lambda vm, progress: vm.suspend(progress), "suspend"),
    "halt": (lambda vm, progress: vm.halt(progress), "halt"),
    "destroy": (lambda vm, progress: vm.destroy(progress), "destroy --force"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_one_process_with_these_words(fake: Fake, name: str) -> None:
    act, words = ACTIONS[name]
    fake.program("note(' '.join(sys.argv[1:]))")
    act(fake.vagrant, fake.progress)
    assert fake.events == [words]


QUESTIONS: dict[str, tuple[Callable[[Vagrant], object], str]] = {
    "status": (Vagrant.state, "status --machine-readable"),
    "ssh-config": (Vagrant.ssh_config, "ssh-config"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_one_process_with_these_words(fake: Fake, name: str) -> None:
    ask, words = QUESTIONS[name]
    answer = {"status": "1,default,state,running", "ssh-config": SSH_CONFIG}[name]
    fake.program(f"note(' '.join(sys.argv[1:])); print({answer!r})")
    ask(fake.vagrant)
    assert fake.events == [words]


@pytest.mark.parametrize("kind", ["question", "action"])
def test_the_environment_is_complete(fake: Fake, kind: str) -> None:
    fake.program("import json; note(json.dumps(dict(os.environ))); print('1,default,state,running')")
    if kind == "question":
        fake.vagrant.state()
    else:
        fake.vagrant.halt(fake.progress)
    environment = json.loads(fake.events[0])
    assert {
        name: environment.get(name) for name in ("SELAB_TEST_OF_ENVIRONMENT", "SELAB_VM", "VAGRANT_CWD")
    } == {
        "SELAB_TEST_OF_ENVIRONMENT": "kept",
        "SELAB_VM": str(fake.here / "vm.json"),
        "VAGRANT_CWD": str(fake.here / "project"),
    }
    assert environment["VAGRANT_NO_COLOR"] == environment["VAGRANT_CHECKPOINT_DISABLE"] == "1"


def test_each_command_is_in_the_debug_log(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    fake.answers("")
    with caplog.at_level(logging.DEBUG, logger="selab"):
        fake.vagrant.up(fake.progress)
    assert "vagrant (python-vagrant): up --no-provision --no-destroy-on-error" in caplog.messages


# --- what is parsed -----------------------------------------------------------------------------------------

STATUS = """1795625648,default,metadata,provider,libvirt
1795625648,default,provider-name,libvirt
1795625648,default,state,{state}
1795625648,default,state-human-long,Run `vagrant up`%!(VAGRANT_COMMA) please.
1795625648,,ui,info,Current machine states:\\n\\ndefault
"""


@pytest.mark.parametrize("state", ["not_created", "running", "shutoff", "paused", "inaccessible"])
def test_the_state_is_vagrants_own_word(fake: Fake, state: str) -> None:
    fake.answers(STATUS.format(state=state))
    assert fake.vagrant.state() == state


@pytest.mark.parametrize(
    "line", ["a plugin's warning", "a warning, with one comma", "with,more,than,three,commas"]
)
def test_a_line_of_another_form_is_left_out(fake: Fake, line: str) -> None:
    fake.answers(f"{line}\n{STATUS.format(state='running')}{line}\n")
    assert fake.vagrant.state() == "running"


def test_the_state_is_the_first_machines(fake: Fake) -> None:
    fake.answers("1,,provider-name,x\n1,web,state,running\n1,db,state,poweroff\n")
    assert fake.vagrant.state() == "running"


def test_a_status_without_a_machine_is_an_error_with_its_last_line(fake: Fake) -> None:
    fake.answers("Nothing here.")
    with pytest.raises(SelabError, match="does not name a machine") as caught:
        fake.vagrant.state()
    assert caught.value.detail == "Nothing here."


def test_the_first_identity_file_is_the_key(fake: Fake) -> None:
    fake.answers(SSH_CONFIG)
    assert fake.vagrant.ssh_config() == SshConfig("127.0.0.1", 2222, "vagrant", Path("/vm/private key"))


def test_the_login_is_the_first_machines(fake: Fake) -> None:
    fake.answers(
        "a warning\n" + SSH_CONFIG + "\n" + SSH_CONFIG.replace("2222", "2200").replace("default", "db")
    )
    assert fake.vagrant.ssh_config().port == 2222


@pytest.mark.parametrize(
    "output", ["", "Host x\n  User y\n", SSH_CONFIG.replace("2222", "ssh"), "Host x\nPort\n"]
)
def test_an_incomplete_login_is_an_error(fake: Fake, output: str) -> None:
    fake.answers(output)
    with pytest.raises(SelabError, match="does not report how to log in"):
        fake.vagrant.ssh_config()


def test_a_login_is_asked_for_again_while_the_guest_boots(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vagrant, "RETRY", 0.0)
    fake.program(
        f"""
note("asked")
if len(open(here + "/events").readlines()) < 3:
    sys.exit("The provider is reporting that it\\nis not yet ready for SSH.")
print({SSH_CONFIG!r})
"""
    )
    assert fake.vagrant.ssh_config().user == "vagrant"
    assert fake.events == ["asked"] * 3


def test_a_guest_that_does_not_boot_in_time_is_not_ready(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vagrant, "BOOT_LIMIT", 0.0)
    fake.answers("It is not yet ready for SSH.", 1, to="stderr")
    with pytest.raises(NotReady, match="not ready for a login"):
        fake.vagrant.ssh_config()


# --- progress -----------------------------------------------------------------------------------------------

UP = r"""
print("Bringing machine 'default' up with 'libvirt' provider...", end="\r\n")
stage("Creating domain with the following settings...")
stage(" -- Name: x")
print("    default: Progress: 12%\r    default: Progress: 13%", end="\r\n")
stage("\x1b[0;32mMachine booted and ready!\x1b[0m")
"""


def test_the_stages_are_shown_as_progress(fake: Fake) -> None:
    fake.program(UP)
    fake.vagrant.up(fake.progress)
    assert fake.notes.texts == ["Creating domain with the following settings...", "Machine booted and ready!"]


def test_the_log_has_the_command_and_its_output_without_progress_bars(fake: Fake) -> None:
    fake.program(UP)
    fake.vagrant.up(fake.progress)
    assert fake.log.splitlines() == [
        "",
        "$ vagrant up --no-provision --no-destroy-on-error",
        "Bringing machine 'default' up with 'libvirt' provider...",
        "==> default: Creating domain with the following settings...",
        "==> default:  -- Name: x",
        "==> default: Machine booted and ready!",
    ]


def test_a_stage_is_shown_before_the_command_ends(fake: Fake) -> None:
    go_on = fake.here / "go on"
    fake.notes.on_note = lambda text: go_on.touch()
    fake.program(
        """
stage("Booting")
while not os.path.exists(here + "/go on"):
    time.sleep(0.01)
"""
    )
    fake.vagrant.up(fake.progress)
    assert fake.notes.texts == ["Booting"]


# --- time limits --------------------------------------------------------------------------------------------


def test_a_question_has_a_time_limit(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vagrant, "QUESTION_LIMIT", 0.2)
    fake.program("time.sleep(60)")
    with pytest.raises(SelabError, match="Vagrant does not answer") as caught:
        fake.vagrant.state()
    assert "`vagrant status` ran for 0.2 s" in caught.value.detail
    assert caught.value.hint


HANGING = {
    "silent": "stage('Booting'); time.sleep(60)",
    "talking": "while True: os.write(1, b'still at it\\n' * 100)",
    "asking": "stage('Booting'); print('Really? [y/N] ', end='', flush=True); time.sleep(60)",
    "without its terminal": "stage('Booting'); [os.close(number) for number in (0, 1, 2)]; time.sleep(60)",
}


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("silent", "==> default: Booting"),
        ("talking", "still at it"),
        ("asking", "Really? [y/N]"),
        ("without its terminal", "==> default: Booting"),
    ],
)
def test_an_action_has_a_time_limit(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, kind: str, last: str
) -> None:
    monkeypatch.setattr(vagrant, "STOP_LIMIT", 1.0)
    monkeypatch.setattr(terminal, "INTERRUPT_LIMIT", 1.0)
    fake.program(f"note(str(os.getpid()))\n{HANGING[kind]}")
    with pytest.raises(SelabError, match="`vagrant halt` did not end") as caught:
        fake.vagrant.halt(fake.progress)
    shown = caught.value.detail.removeprefix("after 1 s; its last line: ")
    assert shown and last.startswith(shown)  # a program that goes on talking may end within a line
    assert is_gone(int(fake.events[0]))


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("up", "UP_LIMIT"),
        ("resume", "STOP_LIMIT"),
        ("suspend", "STOP_LIMIT"),
        ("halt", "STOP_LIMIT"),
        ("destroy", "STOP_LIMIT"),
    ],
)
def test_each_action_has_a_limit_of_its_own(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, name: str, limit: str
) -> None:
    monkeypatch.setattr(vagrant, limit, 0.05)
    monkeypatch.setattr(terminal, "INTERRUPT_LIMIT", 1.0)
    fake.program("time.sleep(60)")
    with pytest.raises(SelabError, match=f"`vagrant {name}` did not end"):
        ACTIONS[name][0](fake.vagrant, fake.progress)


# --- errors -------------------------------------------------------------------------------------------------


def test_a_missing_vagrant_is_explained(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fake.here / "bin"))
    with pytest.raises(SelabError) as caught:
        fake.vagrant.state()
    assert (caught.value.what, len(str(caught.value).splitlines())) == ("Vagrant is not installed.", 3)


def test_a_missing_vagrant_is_no_warning_at_import(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import selab.vm.vagrant"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("to", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", ["question", "action"])
def test_an_error_has_the_last_line_and_the_log_has_all(fake: Fake, kind: str, to: str) -> None:
    fake.answers("first\nThe machine exploded.", 7, to=to)
    with pytest.raises(SelabError) as caught:
        fake.vagrant.state() if kind == "question" else fake.vagrant.halt(fake.progress)
    assert caught.value.detail == "exit code 7: The machine exploded."
    assert str(fake.vagrant.log) in caught.value.hint
    assert "first\nThe machine exploded.\n" in fake.log


def test_an_action_ended_by_a_signal_is_an_error(fake: Fake) -> None:
    fake.program("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(SelabError, match="ended by signal 9: no output"):
        fake.vagrant.halt(fake.progress)


MESSAGES = (
    ("Another Vagrant process", "The machine 'default' is locked and cannot be used."),
    (
        "Another Vagrant process",
        "An action 'up' was attempted on the machine,\nbut another process is already executing an action",
    ),
    ("libvirt already has", "Name `selab-x_default` of domain about to create is already taken."),
    ("no disk space", "Call to virStorageVolCreateXML failed: cannot write: No space left on device"),
    *(
        ("may not use a file", f"Call to virDomainCreate failed: {reason}: Permission denied")
        for reason in (
            "unable to set security context 'system_u:object_r:virt_content_t:s0' on '/c/boxes/d/vmlinuz'",
            "process exited while connecting to monitor: qemu: could not open kernel file '/c/vmlinuz'",
            "qemu: error reading initrd /c/initrd.img: Failed to open file '/c/initrd.img'",
            "qemu-system-x86_64: -blockdev {}: Could not open '/var/lib/libvirt/images/a.img'",
            "Cannot access storage file '/p/a.img' (as uid:107, gid:107)",
        )
    ),
    ("no provider", "The provider 'libvirt' could not be found, but was requested to\nback the machine"),
    ("no provider", "No usable default provider could be found for your system."),
    ("expected checksum", "The checksum of the downloaded box did not match the expected\nvalue."),
    ("cannot load a Vagrantfile", "Path: /p/Vagrantfile\nMessage: NameError: undefined local variable"),
    ("cannot load a Vagrantfile", "There is a syntax error in the following Vagrantfile. The syntax error"),
)


@pytest.mark.parametrize(("what", "output"), MESSAGES)
def test_a_known_trouble_says_what_to_do(fake: Fake, what: str, output: str) -> None:
    fake.answers(f"==> default: Working\n{output}", 1)
    with pytest.raises(SelabError, match=what) as caught:
        fake.vagrant.halt(fake.progress)
    assert caught.value.detail.startswith("`vagrant halt`: ")
    assert caught.value.hint


def test_each_known_trouble_has_a_message_here() -> None:
    def matches(pattern: Any) -> bool:
        return any(pattern.search(output) for _, output in MESSAGES)

    assert [what for pattern, what, _ in vagrant.TROUBLES if not matches(pattern)] == []
