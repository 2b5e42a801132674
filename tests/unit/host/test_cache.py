"""The directory of the cache, and what several processes share in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from selab.errors import SelabError
from selab.host.cache import alone, cache_dir
from tests.unit.fakes import Notes


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the system's and the user's caches, for a user with a umask of 077."""
    monkeypatch.delenv("SELAB_CACHE", raising=False)
    for scope in ("site", "user"):
        monkeypatch.setattr(
            platformdirs, f"{scope}_cache_path", lambda name, scope=scope: tmp_path / scope / name
        )
    return tmp_path


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("uid", "place", "mode"), [(0, "site/selab", 0o755), (1000, "user/selab", 0o700)])
def test_only_the_cache_of_root_is_the_systems_and_readable_by_all(
    places: Path, monkeypatch: pytest.MonkeyPatch, uid: int, place: str, mode: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert cache_dir() == places / place
    assert (places / place).stat().st_mode & 0o777 == mode


def test_a_directory_that_exists_keeps_its_mode(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    directory = places / "site" / "selab"
    directory.mkdir(parents=True)
    directory.chmod(0o700)
    assert cache_dir().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("chosen", ["~/of/mine", "of/mine", "other/../of/mine"])
def test_the_user_chooses_the_cache(places: Path, monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.chdir(places)
    monkeypatch.setenv("HOME", str(places))
    monkeypatch.setenv("SELAB_CACHE", chosen)
    assert cache_dir() == places.resolve() / "of" / "mine"
    assert (places / "of" / "mine").is_dir()


def test_who_waits_too_long_is_told_for_whom(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "x", 1, "counting"),
        pytest.raises(SelabError, match="still counting"),
        alone(tmp_path / "x", 0.1, "counting"),
    ):
        pass


def test_who_waits_says_so(tmp_path: Path) -> None:
    notes = Notes()
    with (
        alone(tmp_path / "x", 1, ""),
        pytest.raises(SelabError),
        alone(tmp_path / "x", 0.1, "counting", notes),
    ):
        pass
    (note,) = notes.notes
    assert "counting" in note


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone(tmp_path / "x", 1, ""):
        raise KeyError
    with alone(tmp_path / "x", 0.1, ""):
        pass
