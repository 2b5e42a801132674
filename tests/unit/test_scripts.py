"""Tests of script/setup and script/audit with fakes of the programs that they run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.program

ROOT = Path(__file__).parents[2]
PIP = '#!/bin/sh\necho "$@" >>pip.log\n'
PYTHON = """#!/bin/sh
# Stands in for `python3 -m venv .venv`: pip only records its arguments.
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp fakes/pip "$3/bin/" ;;
  "-c import ensurepip"*) ;;
  *) echo "unexpected: python3 $*" >&2; exit 99 ;;
esac
"""
NOTHING = "#!/bin/sh\nexit 0\n"
"""Stands in for apt-get, which script/setup calls if this machine lacks a package."""
AUDIT = """#!/bin/sh
# Stands in for pip-audit: writes the report of the test, if there is one, and says what pip-audit says.
while [ "$1" != --output ]; do shift; done
[ ! -e report.json ] || cp report.json "$2"
echo "No known vulnerabilities found" >&2
exit "$(cat status)"
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the scripts and the files that they read; fakes come before the real programs."""
    for name in ("script/setup", "script/audit", "pyproject.toml", "selab/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "selab/host/packages", tmp_path / "selab/host/packages")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "fakes").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'fakes'}:{os.environ['PATH']}")
    return tmp_path


def fake(checkout: Path, name: str, text: str) -> None:
    (checkout / "fakes" / name).write_text(text)
    (checkout / "fakes" / name).chmod(0o755)


@pytest.fixture
def pip(checkout: Path) -> Path:
    """The log of pip's arguments. pip installs nothing."""
    fake(checkout, "pip", PIP)
    fake(checkout, "python3", PYTHON)
    fake(checkout, "apt-get", NOTHING)
    fake(checkout, "sudo", NOTHING)
    (checkout / "pip.log").touch()
    return checkout / "pip.log"


def setup(checkout: Path, *words: str) -> None:
    subprocess.run([checkout / "script" / "setup", "-y", *words], check=True, capture_output=True)


@pytest.mark.parametrize(("words", "lock"), [([], "requirements.lock"), (["--dev"], "requirements-dev.lock")])
def test_setup_installs_the_lock_with_hashes_and_nothing_else(
    checkout: Path, pip: Path, words: list[str], lock: str
) -> None:
    setup(checkout, *words)
    install = "install --quiet --disable-pip-version-check"
    assert pip.read_text().splitlines() == [
        f"{install} --require-hashes -r {lock}",
        f"{install} --no-deps --no-build-isolation -e .",
    ]


def test_setup_installs_once(checkout: Path, pip: Path) -> None:
    setup(checkout)
    pip.write_text("")
    setup(checkout)
    assert pip.read_text() == ""


def test_setup_installs_again_after_the_lock_has_changed_and_changed_back(checkout: Path, pip: Path) -> None:
    lock = checkout / "requirements.lock"
    before = lock.read_text()
    setup(checkout)
    lock.write_text("another version\n")
    setup(checkout)
    lock.write_text(before)
    pip.write_text("")
    setup(checkout)
    assert "-r requirements.lock" in pip.read_text()


PACKAGE = {"name": "left", "version": "1.0", "vulns": []}
SKIPPED = {"name": "right", "skip_reason": "unknown to the service"}
FAULT = {**PACKAGE, "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("packages", "status", "expected", "text"),
    [
        ([PACKAGE], 0, 0, "No known fault in 1 packages."),
        ([FAULT], 1, 1, "left 1.0: CVE-1, fixed in 1.1"),
        ([PACKAGE, SKIPPED], 0, 3, "Not checked: 1 of 2 packages. right"),
        ([FAULT, SKIPPED], 1, 1, "Not checked: 1 of 2 packages. right"),
        ([], 0, 3, "Not checked: 0 of 0 packages."),
        (None, 1, 3, "Not checked: pip-audit wrote no report"),
    ],
)
def test_audit_reports_what_it_did_not_check(
    checkout: Path, packages: list[dict[str, object]] | None, status: int, expected: int, text: str
) -> None:
    fake(checkout, "pip-audit", AUDIT)
    fake(checkout, "python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (checkout / "status").write_text(str(status))
    if packages is not None:
        (checkout / "report.json").write_text(json.dumps({"dependencies": packages}))
    audit = subprocess.run([checkout / "script" / "audit"], capture_output=True, text=True, check=False)
    assert audit.returncode == expected, audit.stderr
    assert text in audit.stdout + audit.stderr


def test_audit_says_nothing_of_no_faults_if_nothing_was_checked(checkout: Path) -> None:
    fake(checkout, "pip-audit", AUDIT)
    (checkout / "status").write_text("0")
    (checkout / "report.json").write_text(json.dumps({"dependencies": [SKIPPED]}))
    audit = subprocess.run([checkout / "script" / "audit"], capture_output=True, text=True, check=False)
    assert "No known" not in audit.stdout + audit.stderr
