"""Tests of the lock files: they pin what pyproject.toml requires, with hashes, and name no host or path."""

import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = [name for names in PROJECT["project"]["optional-dependencies"].values() for name in names]
BUILD = PROJECT["dependency-groups"]["build"]
RUNTIME = PROJECT["project"]["dependencies"] + BUILD
REQUIRED = {"requirements.lock": RUNTIME, "requirements-dev.lock": RUNTIME + EXTRAS}
LOCKS = sorted(REQUIRED)


def entries(name: str) -> list[tuple[Requirement, int]]:
    """Return the requirements that a lock file pins, each with the number of its hashes."""
    text = "".join(x for x in (ROOT / name).read_text().splitlines(True) if not x.lstrip().startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(Requirement(line.split("--hash=")[0].strip()), line.count("--hash=sha256:")) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_requirements_are_pinned_within_bounds(name: str) -> None:
    pins: dict[str, set[str]] = {}
    for entry, _ in entries(name):
        (pin,) = entry.specifier
        pins.setdefault(canonicalize_name(entry.name), set()).add(pin.version)
    for requirement in map(Requirement, REQUIRED[name]):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is not in {name}: run `make lock`"
        assert all(map(requirement.specifier.contains, versions)), (
            f"{name} pins {requirement.name} {versions}"
        )


@pytest.mark.parametrize("name", LOCKS)
def test_entries_are_exact_with_hashes(name: str) -> None:
    bad = [str(x) for x, hashes in entries(name) if not hashes or [y.operator for y in x.specifier] != ["=="]]
    assert not bad


def test_a_package_that_another_requires_with_an_extra_is_pinned_with_it() -> None:
    """pip does not apply a pin without the extra, and takes the newest version."""
    pins = [entry for entry, _ in entries("requirements-dev.lock")]
    installed = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    extras = {canonicalize_name(pin.name): pin.extras for pin in pins}
    missing = {
        str(requirement)
        for pin in installed
        for requirement in map(Requirement, requires(pin.name) or ())
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *pin.extras})
        if not requirement.extras <= extras[canonicalize_name(requirement.name)]
    }
    assert missing == set()


def test_both_locks_pin_the_same_versions() -> None:
    runtime, dev = (
        {(x.name, str(x.specifier)) for x, _ in entries(f)}
        for f in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime <= dev


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_host_and_no_path(name: str) -> None:
    assert not re.findall(
        r"://|^-|file:|--(?:extra-)?index-url|--find-links|/\w+/", (ROOT / name).read_text(), re.M
    )


def test_group_build_contains_the_build_requirements() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(BUILD)


@pytest.mark.program
@pytest.mark.parametrize("name", LOCKS)
def test_lock_was_written_for_these_requirements(name: str) -> None:
    script = [str(ROOT / "script" / "lock"), "--digest"]
    digest = subprocess.run(script, check=True, capture_output=True, text=True).stdout.strip()
    assert f"requirements {digest})" in (ROOT / name).read_text()[:200], "run `make lock`"
