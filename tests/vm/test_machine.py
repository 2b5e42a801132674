"""Test the contract of a Guest on a real VM, and that selab only connects to a warm VM."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from selab.errors import CommandFailed, SelabError, Unreachable
from selab.progress import Progress
from selab.vm.host_keys import pin_text
from selab.vm.ssh import SshGuest
from selab.vm.ssh_login import Address
from selab.vm.virtual_machine import VirtualMachine

BIG = 5 * 1024 * 1024
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVlO4bIQmB8tbBVhBKhQKnZtKMkqRHbGtAjbCPrfGKv"


def test_commands_run_as_root(guest: SshGuest) -> None:
    assert guest.run(("id", "-u")).text == "0\n"


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_codes_come_back(guest: SshGuest, code: int) -> None:
    assert guest.run(("sh", "-c", f"exit {code}")).returncode == code


def test_words_arrive_as_they_are(guest: SshGuest) -> None:
    words = [
        "",
        "a b",
        "$(id)",
        "`id`",
        "'",
        '"',
        "\n",
        ";",
        "-n",
        "--",
        "*",
        "~",
        "\\",
        "A=1",
        "é\u202e\x1b[2J",
    ]
    assert guest.run(("printf", "%s\\0", *words)).text.split("\0")[:-1] == words


def test_both_outputs_and_the_input_are_bytes(guest: SshGuest) -> None:
    data = bytes(range(256))
    done = guest.run(("sh", "-c", "tee /dev/stderr"), input=data)
    assert (done.stdout, done.stderr) == (data, data)


def test_five_megabytes_each_way_at_once(guest: SshGuest) -> None:
    data = os.urandom(BIG)
    assert guest.run(("cat",), input=data).stdout == data


def test_a_command_need_not_read_its_input(guest: SshGuest) -> None:
    assert guest.run(("true",), input=b"x" * BIG).ok


def test_a_command_that_takes_too_long_is_ended_in_the_guest(guest: SshGuest) -> None:
    with pytest.raises(Unreachable, match="took too long"):
        guest.run(("sh", "-c", "exec sleep 4242"), timeout=1)
    assert guest.run(("pgrep", "-xf", "sleep 4242")).returncode == 1


def test_four_commands_at_a_time(guest: SshGuest) -> None:
    barrier = threading.Barrier(4)

    def echo(number: int) -> str:
        barrier.wait()
        return guest.run(("echo", str(number))).text.strip()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(echo, range(4))) == ["0", "1", "2", "3"]


def test_a_file_is_put_and_read_back(guest: SshGuest) -> None:
    data = os.urandom(BIG)
    path = "/root/selab test/deep '$x'/file"
    guest.put(data, path, mode=0o750)
    assert guest.get(path) == data
    assert guest.run(("stat", "-c", "%a %U", path)).text == "750 root\n"
    assert guest.run(("ls", "-A", "/root/selab test/deep '$x'")).text == "file\n"
    guest.run(("rm", "-r", "/root/selab test"))


def test_a_file_that_does_not_exist_is_a_failed_command(guest: SshGuest) -> None:
    with pytest.raises(CommandFailed, match="/nowhere"):
        guest.get("/nowhere")


def test_a_put_that_cannot_finish_leaves_the_old_file(guest: SshGuest) -> None:
    guest.put(b"old", "/root/kept")
    guest.run(("mkdir", "-p", "/root/tiny"))
    guest.run(("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/root/tiny")).expect("mount")
    try:
        guest.put(b"old", "/root/tiny/file")
        with pytest.raises(CommandFailed):
            guest.put(b"x" * 200_000, "/root/tiny/file")
        assert guest.get("/root/tiny/file") == b"old"
        assert guest.run(("ls", "-A", "/root/tiny")).text == "file\n"
    finally:
        guest.run(("umount", "/root/tiny"))


def test_another_host_key_is_refused(guest: SshGuest, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    pin_text(known_hosts, OTHER_KEY)
    address = Address(
        guest.address.host, guest.address.port, guest.address.user, guest.address.key, known_hosts
    )
    with pytest.raises(SelabError, match="another host key"):
        SshGuest.connect(address)


def test_a_warm_vm_starts_no_process(
    machine: VirtualMachine, guest: SshGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[Any] = []
    original: Callable[..., None] = subprocess.Popen.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        processes.append(args)
        original(self, *args, **kwargs)

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    monkeypatch.setenv("PATH", "")
    started = time.monotonic()
    machine.ensure(Progress()).close()
    assert processes == []
    assert time.monotonic() - started < 30
