"""What selab asks virsh, and what it makes of the answers. A fake virsh answers."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.vm import libvirt

FORWARD = "<qemu:arg value='user,id=n,hostfwd=tcp:127.0.0.1:{}-:22'/>\n"


class FakeVirsh:
    """A virsh on PATH. It records the words after the connection, and refuses a command without an answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "answers").mkdir(parents=True)
        program = directory / "virsh"
        program.write_text(
            f"#!/bin/sh\nhere={shlex.quote(str(directory))}\n"
            'echo "$3" >"$here/uri"; echo "$LC_ALL" >"$here/locale"; shift 3\n'
            'echo "$*" >>"$here/calls"\n'
            '[ -e "$here/answers/$1" ] || { echo "unknown command $1" >&2; exit 99; }\n'
            '. "$here/answers/$1"\n'
        )
        program.chmod(0o755)

    def answer(self, word: str, out: str = "", err: str = "", code: int = 0) -> None:
        text = f"printf %s {shlex.quote(out)}; printf %s {shlex.quote(err)} >&2; exit {code}\n"
        self.script(word, text)

    def script(self, word: str, text: str) -> None:
        (self.directory / "answers" / word).write_text(text)

    @property
    def calls(self) -> list[str]:
        record = self.directory / "calls"
        return record.read_text().splitlines() if record.exists() else []


@pytest.fixture(autouse=True)
def virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVirsh:
    monkeypatch.setenv("PATH", f"{tmp_path / 'virsh'}:/usr/bin:/bin")
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path / "cache"))
    return FakeVirsh(tmp_path / "virsh")


@pytest.mark.parametrize(("user", "uri"), [(0, "qemu:///system"), (1000, "qemu:///session")])
def test_root_uses_the_system_daemon_and_a_user_the_session_daemon(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch, user: int, uri: str
) -> None:
    monkeypatch.setattr(libvirt.os, "geteuid", lambda: user)
    virsh.answer("uri")
    libvirt.virsh("uri")
    assert (virsh.directory / "uri").read_text().strip() == uri


def test_virsh_answers_in_english(virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    virsh.answer("uri")
    libvirt.virsh("uri")
    assert (virsh.directory / "locale").read_text() == "C\n"


@pytest.mark.program
def test_a_daemon_that_does_not_answer_and_a_missing_virsh_are_exit_codes(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    virsh.script("uri", "exec sleep 20\n")
    assert libvirt.virsh("uri", limit=0.2).returncode == 124
    monkeypatch.setenv("PATH", "/nonexistent")
    assert libvirt.virsh("uri").returncode == 127


@pytest.mark.parametrize(("code", "state"), [(0, "shut off"), (1, "")])
def test_the_state_of_a_domain_is_empty_if_there_is_none(virsh: FakeVirsh, code: int, state: str) -> None:
    virsh.answer("domstate", "shut off\n\n", code=code)
    assert libvirt.domain_state("lab") == state


@pytest.mark.parametrize(("code", "there"), [(0, True), (1, False)])
def test_the_disk_is_that_of_the_domain(virsh: FakeVirsh, code: int, there: bool) -> None:
    virsh.answer("vol-info", code=code)
    assert libvirt.has_disk("lab") is there
    assert virsh.calls == ["vol-info --pool default lab.img"]


@pytest.mark.parametrize(("definition", "port"), [(FORWARD.format(2299), 2299), ("<domain/>", 0)])
def test_the_port_is_the_one_that_is_forwarded_to_ssh(virsh: FakeVirsh, definition: str, port: int) -> None:
    virsh.answer("dumpxml", "hostfwd=tcp:127.0.0.1:8080-:80 " + definition)
    assert libvirt.forwarded_port("lab") == port


def test_the_forward_moves_and_nothing_else_changes(virsh: FakeVirsh) -> None:
    virsh.answer("dumpxml", "<a>2222</a>" + FORWARD.format(2222))
    virsh.script("define", f'cat "$2" >{virsh.directory}/defined\n')
    libvirt.move_forward("lab", 2222, 2299)
    assert (virsh.directory / "defined").read_text() == "<a>2222</a>" + FORWARD.format(2299)
    assert virsh.calls[0] == "dumpxml --inactive --security-info lab"


def test_a_forward_that_the_domain_lacks_cannot_move_and_nothing_is_defined(virsh: FakeVirsh) -> None:
    virsh.answer("dumpxml", FORWARD.format(2200))
    with pytest.raises(SelabError, match="cannot move it"):
        libvirt.move_forward("lab", 2222, 2299)
    assert len(virsh.calls) == 1


def test_a_refused_definition_is_an_error_with_its_reason(virsh: FakeVirsh) -> None:
    virsh.answer("dumpxml", FORWARD.format(2222))
    virsh.answer("define", err="error: bad XML\n", code=1)
    with pytest.raises(SelabError, match="could not be changed") as caught:
        libvirt.move_forward("lab", 2222, 2299)
    assert caught.value.detail == "error: bad XML"


# --- the network ----------------------------------------------------------------------------------

OPEN_FORWARD = "<qemu:arg value='user,id=ssh,net=10.0.3.0/24,hostfwd=tcp:127.0.0.1:2222-:22'/>\n"
ROW = " -           user   -        virtio   52:54:00:00:00:01\n"


@pytest.mark.parametrize(
    ("definition", "restricted"),
    [
        (OPEN_FORWARD, False),
        (OPEN_FORWARD.replace("hostfwd", "restrict=on,hostfwd"), True),
        (OPEN_FORWARD.replace("hostfwd", "restrict=on,hostfwd") + OPEN_FORWARD, False),
        ("<domain/>", False),
        ("", False),
    ],
)
def test_a_network_without_a_restriction_is_noticed(
    virsh: FakeVirsh, definition: str, restricted: bool
) -> None:
    virsh.answer("dumpxml", definition)
    assert libvirt.is_restricted("lab") is restricted
    assert virsh.calls == ["dumpxml lab"]


def test_a_network_is_restricted_and_nothing_else_changes(virsh: FakeVirsh) -> None:
    virsh.answer("dumpxml", "<a/>" + OPEN_FORWARD + "<b value='user,id=other'/>")
    virsh.script("define", f'cat "$2" >{virsh.directory}/defined\n')
    libvirt.restrict_forward("lab")
    changed = OPEN_FORWARD.replace("-:22", "-:22,ipv6=off,restrict=on")
    assert (virsh.directory / "defined").read_text() == f"<a/>{changed}<b value='user,id=other'/>"
    assert virsh.calls[0] == "dumpxml --inactive --security-info lab"


def test_a_domain_without_the_network_is_not_defined_again(virsh: FakeVirsh) -> None:
    virsh.answer("dumpxml", "<domain/>")
    with pytest.raises(SelabError, match="could not be closed"):
        libvirt.restrict_forward("lab")
    assert len(virsh.calls) == 1


@pytest.mark.parametrize(
    ("up", "order"), [(True, ["", " --config"]), (False, [" --config", ""])], ids=["up", "down"]
)
def test_an_interruption_leaves_the_link_down_at_the_next_start(
    virsh: FakeVirsh, up: bool, order: list[str]
) -> None:
    state = "up" if up else "down"
    virsh.answer("domiflist", ROW)
    virsh.answer("domif-setlink")
    virsh.answer("domif-getlink", f"52:54:00:00:00:01 {state}\n")
    libvirt.set_links("lab", up=up)
    calls = [call for call in virsh.calls if call.startswith("domif-setlink")]
    assert calls == [f"domif-setlink lab 52:54:00:00:00:01 {state}{where}" for where in order]


@pytest.mark.parametrize("where", ["", "--config"])
def test_a_link_that_stays_up_is_an_error(virsh: FakeVirsh, where: str) -> None:
    virsh.answer("domiflist", ROW)
    virsh.answer("domif-setlink", err="error: refused\n", code=1)
    virsh.script("domif-getlink", f"[ \"$4\" = '{where}' ] && echo 'x up' || echo 'x down'\n")
    with pytest.raises(SelabError, match="could not be closed") as caught:
        libvirt.set_links("lab", up=False)
    assert "x up" in caught.value.detail


@pytest.mark.parametrize(
    ("rows", "only"), [(ROW, True), (ROW + " vnet0 bridge br0 virtio 52:54:00:00:00:02\n", False)]
)
def test_interfaces_of_another_kind_are_noticed(virsh: FakeVirsh, rows: str, only: bool) -> None:
    virsh.answer("domiflist", rows)
    assert libvirt.has_only_user_networks("lab") is only


@pytest.mark.parametrize(("rows", "code"), [("", 0), ("\n", 0), ("one two\n", 0), (ROW, 1)])
def test_a_list_of_interfaces_that_cannot_be_read_is_an_error(virsh: FakeVirsh, rows: str, code: int) -> None:
    virsh.answer("domiflist", rows, code=code)
    with pytest.raises(SelabError, match="could not be closed"):
        libvirt.set_links("lab", up=False)


# --- the pool and the daemon ----------------------------------------------------------------------


def test_a_pool_that_runs_is_left_alone(virsh: FakeVirsh) -> None:
    virsh.answer("pool-info", "Name: default\nState:          running\n")
    libvirt.ensure_pool()
    assert virsh.calls == ["pool-info default"]


def test_a_pool_that_is_off_is_started_but_not_defined_again(virsh: FakeVirsh) -> None:
    started = virsh.directory / "started"
    virsh.script("pool-info", f"[ -e {started} ] && echo 'State: running' || echo 'State: inactive'\n")
    virsh.script("pool-start", f"touch {started}\n")
    virsh.answer("pool-autostart")
    libvirt.ensure_pool()
    assert [call.split()[0] for call in virsh.calls if "info" not in call] == [
        "pool-start",
        "pool-autostart",
    ]


def test_a_missing_pool_is_defined_first(virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt.os, "geteuid", lambda: 0)
    started = virsh.directory / "started"
    virsh.script("pool-info", f"[ -e {started} ] && echo 'State: running' || exit 1\n")
    virsh.script("pool-start", f"touch {started}\n")
    for word in ("pool-define-as", "pool-build", "pool-autostart"):
        virsh.answer(word)
    libvirt.ensure_pool()
    assert "pool-define-as default dir --target /var/lib/libvirt/images" in virsh.calls


def test_a_pool_that_does_not_start_is_an_error_with_the_reason(virsh: FakeVirsh) -> None:
    virsh.answer("pool-info", "State: inactive\n")
    virsh.answer("pool-start", err="no such directory\n", code=1)
    with pytest.raises(SelabError, match="cannot be started") as caught:
        libvirt.ensure_pool()
    assert caught.value.detail == "no such directory"


@pytest.mark.parametrize(
    ("words", "hint"), [(["error: cannot connect"], "systemctl status libvirtd"), ([], "virsh uri")]
)
def test_a_daemon_that_does_not_answer_is_an_error_with_its_last_line(
    virsh: FakeVirsh, monkeypatch: pytest.MonkeyPatch, words: list[str], hint: str
) -> None:
    monkeypatch.setattr(libvirt.os, "geteuid", lambda: 1000)
    virsh.answer("uri", err="\n".join(["warning", *words]), code=1)
    with pytest.raises(SelabError, match="does not answer") as caught:
        libvirt.ensure_daemon()
    assert caught.value.detail.endswith((words or ["warning"])[-1]) and hint in caught.value.hint


def test_without_virsh_the_hint_is_to_install_libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SelabError) as caught:
        libvirt.ensure_daemon()
    assert caught.value.hint == libvirt.INSTALL


@pytest.mark.parametrize(
    ("out", "code", "result"),
    [('{"return": 7}', 0, 7), ('{"error": {}}', 0, None), ("no JSON", 0, None), ('{"return": 7}', 1, None)],
)
def test_an_agent_that_does_not_answer_gives_nothing(
    virsh: FakeVirsh, out: str, code: int, result: int | None
) -> None:
    virsh.answer("qemu-agent-command", out, code=code)
    assert libvirt.agent("lab", "guest-ping", x=1) == result
    assert json.loads(virsh.calls[0].split(" ", 2)[2].removesuffix(" --timeout 5")) == {
        "execute": "guest-ping",
        "arguments": {"x": 1},
    }


@pytest.mark.parametrize("readable", [True, False])
def test_a_file_that_the_agent_opened_is_closed_also_if_it_cannot_be_read(
    virsh: FakeVirsh, readable: bool
) -> None:
    data = base64.b64encode(b"key\n\xff").decode()
    read = f'echo \'{{"return": {{"buf-b64": "{data}"}}}}\'' if readable else "exit 1"
    virsh.script(
        "qemu-agent-command",
        f"case $3 in *file-open*) echo '{{\"return\": 9}}' ;; *file-read*) {read} ;; esac\n",
    )
    assert libvirt.agent_read("lab", "/etc/key") == (b"key\n\xff" if readable else None)
    assert "guest-file-close" in virsh.calls[-1] and '"handle": 9' in virsh.calls[-1]


def test_a_file_that_the_agent_cannot_open_is_not_read(virsh: FakeVirsh) -> None:
    virsh.answer("qemu-agent-command", '{"error": {}}', code=1)
    assert libvirt.agent_read("lab", "/etc/key") is None
    assert len(virsh.calls) == 1


@pytest.mark.parametrize("answer", ["[" * 100_000, "[1]", "null", '{"return"', '{"return": {"buf-b64": 7}}'])
def test_a_senseless_answer_of_the_guest_agent_is_no_file(virsh: FakeVirsh, answer: str) -> None:
    virsh.script(
        "qemu-agent-command",
        f"case $3 in *file-open*) echo '{{\"return\": 1}}' ;; *) printf %s {shlex.quote(answer)} ;; esac\n",
    )
    assert libvirt.agent_read("domain", "/etc/x") is None
