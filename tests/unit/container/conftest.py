"""Fixtures of the tests of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from .container_guest import DOCKER, WEB, ContainerGuest


@pytest.fixture
def guest(tmp_path: Path) -> ContainerGuest:
    """A guest in which Docker starts the process 77, which is the container abc."""
    guest = ContainerGuest(tmp_path)
    guest.runtime()
    guest.process(77, WEB)
    guest.write(DOCKER.pid_file.replace("ID", "abc"), "77")
    return guest
