"""Install in the guest what `selab export` writes, and run with a profile that it wrote."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selab.container.image import find_image
from selab.export.export import export
from selab.export.formats import FORMATS
from selab.policy.guest.load import Mode
from selab.progress import Progress
from selab.project import Project
from selab.run.experiment import Run
from selab.run.verdict import Verdict
from selab.vm.ssh import SshGuest

Runner = Callable[..., Run]
NAME = "exported"
PACKAGE = "exported-selinux"
TEXT = """\
(block exported
    (blockinherit container)
    (blockinherit restricted_net_container)
    (allow process http_port_t (tcp_socket (name_bind)))
    (allow process process (capability (setgid setuid)))
)
"""
TEMPLATES = ("base_container", "net_container")
"""The modules with the blocks that the policy inherits."""


@pytest.fixture(scope="module")
def proven(project: Project, session_run: Runner) -> Iterator[Project]:
    """The project with a policy that an enforcing run has proven."""
    source = project.policies / f"{NAME}.cil"
    source.write_text(TEXT)
    ended = session_run("apache", policy=NAME)
    assert ended.verdict is Verdict.PASS, ended.reasons
    yield project
    source.unlink(missing_ok=True)


def exported(project: Project, policy: str, form: str, directory: Path) -> Path:
    export(project, policy, FORMATS[form], directory, Progress())
    return directory


def domain_of_a_container(project: Project, guest: SshGuest, domain: str) -> str:
    """Return the label that the kernel shows for a container in `domain`, started without selab.

    It is empty if Docker could not start the container.
    """
    image = find_image(project, "httpd").reference
    words = ["docker", "run", "--rm", "--security-opt", f"label=type:{domain}", image]
    return guest.run([*words, "cat", "/proc/self/attr/current"], timeout=300).text.strip("\0\n")


@pytest.fixture(scope="module")
def package(
    proven: Project, session_guest: SshGuest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Install the Debian package in the guest, and return its path there."""
    directory = exported(proven, NAME, "deb", tmp_path_factory.mktemp("deb") / "out")
    (tree,) = directory.iterdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree], check=True, capture_output=True)
    (built,) = directory.glob("*.deb")
    there = f"/root/{built.name}"
    session_guest.put(built.read_bytes(), there)
    session_guest.run(["dpkg", "-i", there], timeout=600).expect("dpkg -i")
    yield there
    session_guest.run(["dpkg", "-P", PACKAGE], timeout=600)
    session_guest.run(["semodule", "-X", "200", "-r", *TEMPLATES], timeout=600)
    session_guest.run(["rm", "-f", there])


@pytest.mark.slow
def test_the_package_gives_the_guest_the_domain(package: str, proven: Project, guest: SshGuest) -> None:
    assert domain_of_a_container(proven, guest, f"{NAME}.process").split(":")[2:3] == [f"{NAME}.process"]


@pytest.mark.slow
def test_the_removed_package_takes_the_domain_with_it(package: str, proven: Project, guest: SshGuest) -> None:
    guest.run(["dpkg", "-r", PACKAGE], timeout=600).expect("dpkg -r")
    assert domain_of_a_container(proven, guest, f"{NAME}.process") == ""


@pytest.mark.slow
def test_the_policy_package_installs(
    project: Project, session_run: Runner, guest: SshGuest, tmp_path: Path
) -> None:
    policy = "selab_apache_full"
    assert session_run("apache", policy=policy).verdict is Verdict.PASS
    directory = exported(project, policy, "pp", tmp_path / "out")
    guest.put((directory / f"{policy}.pp").read_bytes(), f"/root/{policy}.pp")
    try:
        guest.run(["semodule", "-i", f"/root/{policy}.pp"], timeout=600).expect("semodule -i")
        assert domain_of_a_container(project, guest, f"{policy}_t").split(":")[2:3] == [f"{policy}_t"]
    finally:
        guest.run(["semodule", "-r", policy], timeout=600)
        guest.run(["rm", "-f", f"/root/{policy}.pp"])


def test_the_profile_passes_as_the_policy_does(proven: Project, run: Runner, tmp_path: Path) -> None:
    (profile,) = exported(proven, NAME, "spo", tmp_path / "out").glob("*.yaml")
    assert "kind: SelinuxProfile\n" in profile.read_text()
    (proven.policies / f"{NAME}.cil").unlink()
    (proven.policies / f"{NAME}.yaml").write_bytes(profile.read_bytes())
    try:
        ended = run("apache", policy=NAME)
    finally:
        (proven.policies / f"{NAME}.yaml").unlink()
    assert (ended.verdict, ended.plan.mode, ended.label.type) == (
        Verdict.PASS,
        Mode.ENFORCING,
        f"{NAME}.process",
    )
