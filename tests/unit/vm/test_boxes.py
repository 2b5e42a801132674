"""The CentOS profiles, which no machine of CI can boot: every command and file that is made for them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.guest import shell_argv
from selab.progress import Progress
from selab.project import Project, ProjectConfig, VmConfig
from selab.vm import boxes, provision
from selab.vm.boxes import profiles
from tests.unit.shells import refused

from .conftest import FakeVm

IMAGES = "https://cloud.centos.org/centos/{0}-stream/x86_64/images/CentOS-Stream-Vagrant-{0}-{1}.x86_64.vagrant-{2}.box"
SUM = "5" * 64
LEVELS = {  # the x86-64 psABI's levels, by libvirt's names, without what QEMU's qemu64 has
    "centos9": {"ssse3", "sse4.1", "sse4.2", "popcnt"},
    "centos10": {
        "ssse3",
        "sse4.1",
        "sse4.2",
        "popcnt",
        "avx",
        "avx2",
        "bmi1",
        "bmi2",
        "f16c",
        "fma",
        "abm",
        "movbe",
        "xsave",
    },
}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The pages of the download site, by URL; the others are not there."""
    pages: dict[str, str] = {}

    def urlopen(url: Any, timeout: float) -> io.BytesIO:
        url = url if isinstance(url, str) else url.full_url
        if url not in pages:
            raise urllib.error.URLError("not found")
        return io.BytesIO(pages[url].encode())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(boxes, "in_store", lambda name, provider: False)
    return pages


def box_of(lab: FakeVm, profile: str, provider: str) -> boxes.Choice:
    config = ProjectConfig.model_validate({"vm": {"box": profile}})
    return boxes.choose(replace(lab.project, config=config), provider, Progress())


@pytest.mark.parametrize(
    ("profile", "provider"), [("centos9", "libvirt"), ("centos9", "virtualbox"), ("centos10", "libvirt")]
)
def test_a_box_comes_by_url_with_the_sum_beside_it(
    lab: FakeVm, site: dict[str, str], profile: str, provider: str
) -> None:
    url = IMAGES.format(profile.removeprefix("centos"), "latest", provider)
    site[f"{url}.SHA256SUM"] = f"# {url}: 1 bytes\nSHA256 ({url}) = {SUM}\n"
    box = box_of(lab, profile, provider)
    assert (box.url, box.sha256, box.profile) == (url, SUM, profile)


def test_a_user_is_told_that_the_sum_beside_a_box_is_not_signed(lab: FakeVm, site: dict[str, str]) -> None:
    url = IMAGES.format("9", "latest", "libvirt")
    site[f"{url}.SHA256SUM"] = SUM
    assert "checksum comes from the same site and has no signature" in box_of(lab, "centos9", "libvirt").why


def test_virtualbox_gets_the_newest_of_the_dated_boxes(lab: FakeVm, site: dict[str, str]) -> None:
    dated = [
        IMAGES.format(10, date, "virtualbox")
        for date in ("20250113.0", "20250630.9", "20250630.10", "20240101.0")
    ]
    index = "https://cloud.centos.org/centos/10-stream/x86_64/images/"
    site[index] = "".join(
        f'<a href="{url.removeprefix(index)}.SHA256SUM">x</a>\n<a href="{url.removeprefix(index)}">x</a>'
        for url in dated
    )
    site[f"{dated[2]}.SHA256SUM"] = f"{SUM}  x\n"
    box = box_of(lab, "centos10", "virtualbox")
    assert (box.url, box.sha256) == (dated[2], SUM)


def test_a_site_that_no_longer_lists_the_box_is_an_error(lab: FakeVm, site: dict[str, str]) -> None:
    site["https://cloud.centos.org/centos/10-stream/x86_64/images/"] = (
        "<a href='CentOS-Stream-Vagrant-10-20250113.0.x86_64.vagrant-libvirt.box'>"
    )
    with pytest.raises(SelabError, match="does not list it"):
        box_of(lab, "centos10", "virtualbox")


@pytest.mark.parametrize("page", ["", "no sum"])
def test_a_box_without_a_sum_is_refused(lab: FakeVm, site: dict[str, str], page: str) -> None:
    if page:
        site[IMAGES.format(9, "latest", "libvirt") + ".SHA256SUM"] = page
    with pytest.raises(SelabError, match="checksum") as caught:
        box_of(lab, "centos9", "libvirt")
    assert "vm.source" in caught.value.hint


def test_a_box_that_is_in_the_store_needs_no_network(
    lab: FakeVm, site: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "in_store", lambda name, provider: True)
    assert [box_of(lab, "centos10", provider).sha256 for provider in ("libvirt", "virtualbox")] == ["", ""]


def test_a_provider_without_a_box_is_wrong_input(lab: FakeVm) -> None:
    with pytest.raises(InputError, match="no debian13 box for virtualbox"):
        boxes._downloaded(profiles()["debian13"], "virtualbox", "")


@pytest.mark.parametrize("profile", sorted(LEVELS))
def test_an_emulated_cpu_has_the_level_that_the_distribution_is_built_for(profile: str) -> None:
    assert set(profiles()[profile].cpu) == LEVELS[profile]


# --- what Vagrant is told -------------------------------------------------------------------------


def parameters_of(lab: FakeVm, site: dict[str, str], profile: str) -> dict[str, Any]:
    url = IMAGES.format(profile.removeprefix("centos"), "latest", "libvirt")
    site[f"{url}.SHA256SUM"] = SUM
    lab.set_state("not_created")
    lab.project = Project(
        lab.project.root, ProjectConfig(vm=VmConfig(box=profile, memory=3072)), lab.project.root
    )  # type: ignore[arg-type]
    lab.machine.ensure(Progress())
    return dict(json.loads(lab.machine.files.parameters.read_text()))


@pytest.mark.program
@pytest.mark.parametrize("profile", sorted(LEVELS))
def test_vagrant_is_told_of_the_box_and_the_cpu(lab: FakeVm, site: dict[str, str], profile: str) -> None:
    parameters = parameters_of(lab, site, profile)
    assert (parameters["box"], parameters["profile"], parameters["memory"], parameters["accel"]) == (
        f"selab-{profile}",
        profile,
        3072,
        "qemu",
    )
    assert parameters["checksums"] == {"libvirt": SUM}
    assert parameters["cpu_features"] == list(profiles()[profile].cpu)
    assert not parameters["agent"] and not {"kernel", "initrd", "cmdline"} & parameters.keys()


def vagrantfile(tmp_path: Path, provider: str, parameters: dict[str, Any]) -> list[list[Any]]:
    """What the Vagrantfile tells Vagrant, in its order."""
    if not shutil.which("ruby"):
        pytest.skip("there is no ruby")
    (tmp_path / "vm.json").write_text(json.dumps(parameters))
    command = ["ruby", str(Path(__file__).with_name("recorder.rb")), str(ROOT / "Vagrantfile"), provider]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "SELAB_VM": str(tmp_path / "vm.json")},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.program
@pytest.mark.parametrize("profile", sorted(LEVELS))
def test_the_vagrantfile_makes_an_emulated_vm_without_an_agent(
    tmp_path: Path, lab: FakeVm, site: dict[str, str], profile: str
) -> None:
    settings = vagrantfile(tmp_path, "libvirt", parameters_of(lab, site, profile))
    features = {
        options["name"] for word, *rest in settings if word == "provider.cpu_feature" for options in rest
    }
    assert features == LEVELS[profile]
    assert ["config.vm.box_download_checksum=", SUM] in settings
    assert ["address", "127.0.0.1"] in settings
    assert not [line for line in settings if line[0] in ("provider.qemu_use_agent=", "provider.kernel=")]
    (outside,) = [options for word, *rest in settings if word == "config.vm.network" for options in rest[1:]]
    (ssh,) = [
        rest[0]["value"]
        for word, *rest in settings
        if word == "provider.qemuargs" and "netdev=ssh" in rest[0]["value"]
    ]
    assert int(outside["slot"], 16) > int(ssh.rpartition("=")[2], 16)


@pytest.mark.program
def test_a_box_with_an_agent_uses_it_but_not_for_the_address(tmp_path: Path) -> None:
    """The agent's address would be that of the outer interface, whose link is down."""
    settings = vagrantfile(tmp_path, "libvirt", {"agent": True})
    assert ["provider.qemu_use_agent=", True] in settings and ["address", "127.0.0.1"] in settings


@pytest.mark.program
@pytest.mark.parametrize("agent", [False, True])
def test_the_network_of_ssh_is_restricted_and_the_link_of_the_outer_interface_is_down(
    tmp_path: Path, agent: bool
) -> None:
    settings = vagrantfile(tmp_path, "libvirt", {"agent": agent, "port": 2229})
    (network,) = [
        rest[0]["value"]
        for word, *rest in settings
        if word == "provider.qemuargs" and rest[0]["value"].startswith("user,")
    ]
    assert network == "user,id=ssh,net=10.0.3.0/24,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:2229-:22"
    assert ["interface", "<interface type='user'><link state='down'/></interface>"] in settings


@pytest.mark.program
@pytest.mark.parametrize(("parameters", "closes"), [({}, True), ({"close_loopback": False}, False)])
def test_virtualbox_closes_the_way_to_the_loopback_if_it_can(
    tmp_path: Path, parameters: dict[str, Any], closes: bool
) -> None:
    settings = vagrantfile(tmp_path, "virtualbox", parameters)
    changes = [rest[0][2:] for word, *rest in settings if word == "provider.customize"]
    assert (["--natlocalhostreachable1", "off"] in changes) is closes


@pytest.mark.program
def test_virtualbox_forwards_ssh_to_the_loopback(tmp_path: Path) -> None:
    settings = vagrantfile(
        tmp_path,
        "virtualbox",
        {"urls": {"virtualbox": "https://x/y.box"}, "checksums": {"virtualbox": SUM}, "port": 2223},
    )
    forward = {"guest": 22, "host": 2223, "host_ip": "127.0.0.1", "id": "ssh", "auto_correct": True}
    assert ["config.network", "forwarded_port", forward] in [
        [word.replace(".vm.", "."), *rest] for word, *rest in settings
    ]
    assert ["config.vm.box_url=", "https://x/y.box"] in settings


# --- provisioning ---------------------------------------------------------------------------------


def test_the_steps_for_dnf_come_in_this_order() -> None:
    assert [step.name for step in provision.steps("dnf")] == [
        "Docker's repository",
        "Kernel modules that Docker's firewall rules need (EL 10)",
        "Docker",
        "EPEL, the repository that has secilc for EL 9",
        "SELinux and audit tools",
        "Docker labels containers",
        "Docker running",
        "Audit daemon running",
        "Root by the VM's own key",
        "Root's session at boot",
        "SSH by key only",
        "No well-known keys",
        "No password that a box came with",
        "A login on the serial console",
        "The guard against a policy that locks selab out",
    ]


SCRIPTS = {
    f"{step.name}: {kind}": getattr(step, kind)
    for family in ("dnf", "apt")
    for step in provision.steps(family)
    for kind in ("probe", "apply")
}


@pytest.mark.parametrize("shell", ["sh -n", "bash --posix -n"])
def test_the_shells_of_both_distributions_can_parse_each_step(shell: str) -> None:
    assert refused(shell, SCRIPTS) == ""


def applied(tmp_path: Path, step: str, release: str, fails: str = "") -> tuple[int, list[str]]:
    """Return a step's exit code and the commands that it ran; the programs are fakes that record their calls.

    `fails`: what a command line begins with that is to fail.
    """
    calls = tmp_path / "calls"
    for name in ("dnf", "modprobe"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{calls}\n'
            f'case "{name} $*" in "{fails or "none"}"*) exit 1 ;; esac\n'
        )
        program.chmod(0o755)
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho {release}\n")
    (tmp_path / "uname").chmod(0o755)
    matching = next(each for each in provision.steps("dnf") if each.name.startswith(step))
    done = subprocess.run(
        shell_argv(matching.apply, *matching.packages),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        timeout=20,
    )
    return done.returncode, calls.read_text().splitlines()


def test_the_running_kernels_modules_are_installed(tmp_path: Path) -> None:
    code, calls = applied(tmp_path, "Kernel modules", "6.12.0-1.el10.x86_64")
    assert (code, calls) == (
        0,
        ["dnf -y install kernel-modules-extra-6.12.0-1.el10.x86_64", "modprobe xt_addrtype"],
    )


def test_a_kernel_whose_modules_are_gone_is_replaced_and_needs_a_start(tmp_path: Path) -> None:
    code, calls = applied(
        tmp_path, "Kernel modules", "6.12.0-1.el10.x86_64", fails="dnf -y install kernel-modules-extra-"
    )
    assert (code, calls[1:]) == (1, ["dnf -y install kernel kernel-modules-extra"])


PACKAGES = (
    "container-selinux selinux-policy-devel policycoreutils policycoreutils-devel "
    "policycoreutils-python-utils checkpolicy secilc "
    "setools-console audit make m4 tar python3"
)


def test_the_policy_tools_are_these_packages(tmp_path: Path) -> None:
    assert applied(tmp_path, "SELinux and audit", "x")[1] == [f"dnf -y install {PACKAGES}"]


@pytest.mark.parametrize(
    ("system", "directory"), [("centos", "centos"), ('"rhel"', "centos"), ("fedora", "fedora")]
)
def test_dockers_repository_is_the_one_for_the_system(tmp_path: Path, system: str, directory: str) -> None:
    (script,) = [step.apply for step in provision.steps("dnf") if step.name == "Docker's repository"]
    (tmp_path / "os-release").write_text(f"NAME=x\nID={system}\n")
    script = script.replace("/etc/os-release", f"{tmp_path}/os-release").replace("&&", "#")
    argv = shell_argv(f'curl() {{ echo "$*"; }}; {script}')
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.stdout.split()[-1] == f"https://download.docker.com/linux/{directory}/docker-ce.repo"


def test_docker_comes_from_docker() -> None:
    docker = {step.name: step for step in provision.steps("dnf")}
    assert docker["Docker"].packages == ("docker-ce", "docker-ce-cli", "containerd.io")
