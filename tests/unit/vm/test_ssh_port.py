"""The port that a VM's SSH is forwarded from."""

from __future__ import annotations

import json
import multiprocessing
import socket
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from selab.vm import ssh_port
from selab.vm.ssh_port import free_port


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELAB_CACHE", str(tmp_path))
    return tmp_path


def test_a_port_that_a_process_listens_on_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port("a", taken.getsockname()[1]) != taken.getsockname()[1]


def test_two_vms_get_two_ports() -> None:
    assert free_port("a") != free_port("b")


@pytest.mark.program
def test_vms_that_are_made_at_once_get_a_port_each() -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert len(set(pool.map(free_port, "abcdef"))) == 6


def test_a_vm_keeps_its_own() -> None:
    assert free_port("a", mine := free_port("a")) == mine


def test_a_port_that_was_given_long_ago_is_free_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port("a")
    monkeypatch.setattr(ssh_port, "KEPT", 0.0)
    assert free_port("b", first) == first


@pytest.mark.parametrize("entry", ["x", [], [1, 2], ["a", "b"]])
def test_a_damaged_book_is_begun_anew(cache: Path, entry: object) -> None:
    (cache / "ports.json").write_text(json.dumps({"2222": entry}))
    assert free_port("a") >= ssh_port.FIRST_PORT
