"""The plan of script/setup on each family of distributions, with fakes of the programs that it runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from selab.host import distribution
from tests.unit.host.os_release import OS_RELEASE

pytestmark = pytest.mark.program

ROOT = Path(__file__).parents[2]
INSTALLERS = {
    "debian": "apt-get install -y",
    "fedora": "dnf -y install",
    "el": "dnf -y install",
    "suse": "zypper --non-interactive install",
}
NEEDS = (
    "bash",
    "cat",
    "cp",
    "dirname",
    "grep",
    "head",
    "mkdir",
    "mktemp",
    "realpath",
    "rm",
    "sed",
    "sha256sum",
    "tail",
    "tr",
)


class Setup:
    """A checkout on a machine that has only fakes and the programs that the script itself needs."""

    def __init__(self, top: Path) -> None:
        self.top, self.bin = top, top / "bin"
        shutil.copytree(ROOT / "selab/host/packages", top / "selab/host/packages")
        self.bin.mkdir()
        for name in (*NEEDS, "cut", "touch"):
            program = shutil.which(name)
            assert program is not None
            (self.bin / name).symlink_to(program)
        for name in ("apt-get", "env", "dnf", "zypper", "semanage", "restorecon", "pip"):
            self.program(name)
        self.program("rpm", "exit 1")
        self.program("id", "echo 0")
        self.program("python3", "case $2 in venv) mkdir -p .venv/bin; cp bin/pip .venv/bin ;; esac")
        for name in ("pyproject.toml", "selab/__init__.py", "requirements.lock"):
            (top / name).write_text("")

    def program(self, name: str, body: str = "") -> None:
        (self.bin / name).write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.top}/calls"\n{body}\n')
        (self.bin / name).chmod(0o755)

    def run(
        self, os_release: str, *words: str, answer: str = "", cache: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run the script with the file `os_release`; absolute paths of signs are below the checkout."""
        (self.top / "os-release").write_text(os_release)
        script = (ROOT / "script/setup").read_text()
        script = script.replace("/etc/os-release", f"{self.top}/os-release").replace('[ -e "$2" ]', "false")
        script = script.replace("/sys/fs/selinux", str(self.top))
        (self.top / "script").mkdir(exist_ok=True)
        (self.top / "script/setup").write_text(script)
        return subprocess.run(
            [self.bin / "bash", self.top / "script/setup", *words],
            env={
                "PATH": str(self.bin),
                "SELAB_CACHE": cache or str(self.top / "cache"),
                "TMPDIR": str(self.top),
            },
            input=answer,
            capture_output=True,
            text=True,
        )

    def selinux(self, mode: str = "1", uid: int = 0) -> None:
        """Give the machine SELinux, whose rules and labels the fakes keep in the files `rule` and `label`."""
        (self.top / "enforce").write_text(mode)
        (self.top / "rule").write_text("var_t")
        (self.top / "label").write_text("var_t")
        self.program("id", f"echo {uid}")
        self.program("sudo", '"$@"')
        self.program("matchpathcon", f'echo "system_u:object_r:$(cat {self.top}/rule):s0"')
        self.program("stat", f'echo "system_u:object_r:$(cat {self.top}/label):s0"')
        self.program("semanage", f'echo "$4" >{self.top}/rule')
        self.program("restorecon", f"cat {self.top}/rule >{self.top}/label")

    def box(self) -> Path:
        """Make a box in the cache, and return the directory of the boxes."""
        directory = self.top / "cache/boxes/debian13-1"
        directory.mkdir(parents=True)
        (directory / "vmlinuz").write_text("kernel")
        return directory.parent

    def called(self, *programs: str) -> list[str]:
        calls = self.top / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if line.split()[0] in programs]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@pytest.mark.parametrize("release", sorted(OS_RELEASE))
def test_the_plan_is_shown_and_nothing_is_done_without_consent(setup: Setup, release: str) -> None:
    text, family = OS_RELEASE[release]
    done = setup.run(text, answer="n\n")
    table = distribution.host_packages(family)
    assert done.returncode == 3
    assert INSTALLERS[family] in done.stderr
    assert set(table.packages.values()) - {table.packages["python"]} <= set(done.stderr.split())
    assert all(sentence in done.stderr for sentence in table.manual)
    assert setup.called("apt-get", "env", "dnf", "zypper", "semanage", "restorecon") == []


@pytest.mark.parametrize(
    ("release", "program"), [("debian12", "env"), ("fedora43", "dnf"), ("leap", "zypper")]
)
def test_the_plan_is_carried_out_with_consent(setup: Setup, release: str, program: str) -> None:
    done = setup.run(OS_RELEASE[release][0], answer="y\n")
    assert done.returncode == 0, done.stderr
    (install,) = [call for call in setup.called(program) if " install " in call]
    assert install.split()[-1] == "m4"


def test_a_package_manager_that_fails_ends_the_script(setup: Setup) -> None:
    setup.program("dnf", "exit 1")
    assert setup.run(OS_RELEASE["fedora43"][0], "-y").returncode == 3
    assert setup.called("pip") == []


def test_an_unknown_distribution_gets_a_list_and_no_command(setup: Setup) -> None:
    done = setup.run("ID=plan9\n", "-y")
    assert (done.returncode, "qemu-system-x86" in done.stderr) == (3, True)
    assert setup.called("apt-get", "env", "dnf", "zypper") == []


@pytest.mark.parametrize("release", ["centos9", "fedora43", "leap", "debian12"])
def test_the_boxes_are_labelled_if_selinux_is_enforcing(setup: Setup, release: str) -> None:
    setup.selinux()
    boxes = setup.box()
    done = setup.run(OS_RELEASE[release][0], "-y")
    assert done.returncode == 0, done.stderr
    rule = f"semanage fcontext -a -t virt_content_t {boxes}(/.*)?"
    assert setup.called("semanage", "restorecon") == [rule, f"restorecon -R -F {boxes}"]


@pytest.mark.parametrize(("mode", "uid"), [("0", 0), ("1", 1000)])
def test_nothing_is_labelled_if_selinux_is_permissive_or_for_a_plain_user(
    setup: Setup, mode: str, uid: int
) -> None:
    setup.selinux(mode, uid)
    setup.box()
    assert setup.run(OS_RELEASE["centos9"][0], "-y").returncode == 0
    assert setup.called("semanage", "restorecon", "matchpathcon") == []


def test_a_second_run_labels_nothing(setup: Setup) -> None:
    setup.selinux()
    setup.box()
    setup.run(OS_RELEASE["centos9"][0], "-y")
    first = setup.called("semanage", "restorecon")
    assert setup.run(OS_RELEASE["centos9"][0], "-y").returncode == 0
    assert setup.called("semanage", "restorecon") == first


def test_a_box_that_was_moved_into_the_cache_is_labelled_without_another_rule(setup: Setup) -> None:
    setup.selinux()
    (setup.top / "rule").write_text("virt_content_t")
    boxes = setup.box()
    done = setup.run(OS_RELEASE["centos9"][0], "-y")
    assert setup.called("semanage", "restorecon") == [f"restorecon -R -F {boxes}"]
    assert "semanage fcontext" not in done.stderr


def test_a_cache_without_boxes_gets_the_rule_only(setup: Setup) -> None:
    setup.selinux()
    assert setup.run(OS_RELEASE["centos9"][0], "-y").returncode == 0
    assert [call.split()[0] for call in setup.called("semanage", "restorecon")] == ["semanage"]


def test_the_rule_names_the_directory_and_nothing_else(setup: Setup) -> None:
    setup.selinux()
    done = setup.run(OS_RELEASE["centos9"][0], "-y", cache="/srv/c++ (a.b)/../lab")
    assert done.returncode == 0, done.stderr
    assert setup.called("semanage") == [r"semanage fcontext -a -t virt_content_t /srv/lab/boxes(/.*)?"]
    (setup.top / "rule").write_text("var_t")
    setup.run(OS_RELEASE["centos9"][0], "-y", cache="/srv/c++ (a.b)")
    assert setup.called("semanage")[1].endswith(r"-t virt_content_t /srv/c\+\+\s\(a\.b\)/boxes(/.*)?")


def test_labels_that_could_not_be_set_end_the_script(setup: Setup) -> None:
    setup.selinux()
    setup.program("semanage", "echo the store is locked >&2; exit 1")
    done = setup.run(OS_RELEASE["centos9"][0], "-y")
    assert (done.returncode, "the store is locked" in done.stderr) == (3, True)
    assert setup.called("pip") == []


def test_the_tools_for_labels_are_installed_if_they_are_needed(setup: Setup) -> None:
    setup.selinux()
    (setup.bin / "semanage").unlink()
    done = setup.run(OS_RELEASE["centos9"][0], answer="n\n")
    assert "policycoreutils-python-utils" in done.stderr
    (setup.top / "rule").write_text("virt_content_t")
    assert "policycoreutils-python-utils" not in setup.run(OS_RELEASE["centos9"][0], answer="n\n").stderr


def test_the_packages_of_the_tests_are_installed_on_demand_if_their_names_are_known(setup: Setup) -> None:
    assert "shellcheck" not in setup.run(OS_RELEASE["debian12"][0], answer="n\n").stderr
    assert "shellcheck" in setup.run(OS_RELEASE["debian12"][0], "--dev", answer="n\n").stderr
    assert "--dev" in setup.run(OS_RELEASE["fedora43"][0], "--dev", answer="n\n").stderr


def test_labels_are_set_only_with_consent(setup: Setup) -> None:
    setup.selinux()
    boxes = setup.box()
    done = setup.run(OS_RELEASE["centos9"][0], answer="n\n")
    assert done.returncode == 3
    assert (
        f"  semanage fcontext -a -t virt_content_t '{boxes}(/.*)?'\n  restorecon -R -F {boxes}" in done.stderr
    )
    assert setup.called("semanage", "restorecon") == []
