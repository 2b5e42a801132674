"""Guests with real dnf, which read repositories that the tests build once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dnf.chroot import ChrootGuest, chroot, prepare
from tests.dnf.repositories import build, packages

Build = Callable[[int, str], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests without root, which the mounts need. A missing program is an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="only root may mount the guest with dnf"))


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A function that builds the repositories of a release, with a newest kernel, once."""

    @functools.cache
    def built(release: int, newest: str) -> Path:
        top = tmp_path_factory.mktemp("repositories")
        build(top / str(release), packages(release, newest))
        return top

    return built


@pytest.fixture
def guest_of(repositories: Build, tmp_path: Path) -> Iterator[Callable[..., ChrootGuest]]:
    """A function that starts a guest with a release of CentOS Stream, as a box has it."""
    with ExitStack() as stack:

        def start(release: int, newest: str = "") -> ChrootGuest:
            guest = stack.enter_context(chroot(tmp_path, repositories(release, newest)))
            prepare(guest, release, packages(release))
            return guest

        yield start
