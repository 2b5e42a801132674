"""Label selab's boxes with script/setup, on the VM as a machine of a user whose SELinux is enforcing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from selab.guest import Completed
from selab.vm.ssh import SshGuest
from tests.vm.conftest import CHECKOUT

pytestmark = pytest.mark.slow

HOME, CACHE = "/opt/selab-setup", "/var/cache/selab-setup"
BOXES = f"{CACHE}/boxes"
RULE = f"{BOXES}(/.*)?"
INSTALLED = ("pyproject.toml", "selab/__init__.py", "requirements.lock")
"""The files whose digest says that .venv is complete. The test leaves them empty."""
SEMANAGE_LIMIT = 600.0
"""Seconds for semanage in an emulated guest, which writes the module store and loads the policy."""
Setup = Callable[[], Completed]


@pytest.fixture(scope="module")
def setup(session_guest: SshGuest) -> Iterator[Setup]:
    """Return a function that runs script/setup in the guest, where only the labels are left to do."""
    table = (CHECKOUT / "selab/host/packages/debian.txt").read_text().splitlines(keepends=True)
    files = {
        "script/setup": (CHECKOUT / "script/setup").read_bytes(),
        "selab/host/packages/debian.txt": "".join(line for line in table if line.startswith("@")).encode(),
        f".venv/selab-{hashlib.sha256().hexdigest()[:16]}": b"",
        **dict.fromkeys(INSTALLED, b""),
    }
    for name, data in files.items():
        session_guest.run(["mkdir", "-p", f"{HOME}/{name}".rpartition("/")[0]]).expect("mkdir")
        session_guest.put(data, f"{HOME}/{name}")
    session_guest.run(["setenforce", "1"]).expect("setenforce")
    command = ["env", f"SELAB_CACHE={CACHE}", "bash", f"{HOME}/script/setup", "-y"]
    yield lambda: session_guest.run(command, timeout=SEMANAGE_LIMIT).expect("script/setup")
    session_guest.run(["semanage", "fcontext", "-d", RULE], timeout=SEMANAGE_LIMIT)
    session_guest.run(["rm", "-rf", HOME, CACHE])
    session_guest.run(["setenforce", "0"]).expect("setenforce")


@pytest.fixture
def make_box(guest: SshGuest) -> Callable[[str], str]:
    """Return a function that makes a box as selab does, in a directory beside the finished ones."""

    def make(name: str) -> str:
        half = f"{BOXES}/.half-{name}"
        guest.run(["mkdir", "-p", half]).expect("mkdir")
        guest.put(b"kernel", f"{half}/vmlinuz")
        guest.run(["mv", half, f"{BOXES}/{name}"]).expect("mv")
        return f"{BOXES}/{name}/vmlinuz"

    return make


def type_of(guest: SshGuest, path: str) -> str:
    return guest.run(["stat", "-c", "%C", path]).expect("stat").text.split(":")[2]


def local_rules(guest: SshGuest) -> str:
    return guest.run(["semanage", "fcontext", "-l", "-C"], timeout=SEMANAGE_LIMIT).expect("semanage").text


def may(guest: SshGuest, source: str, target: str, permission: str) -> bool:
    """Return whether a rule of the policy lets `source` do this with files of the type `target`."""
    words = ["sesearch", "-A", "-s", source, "-t", target, "-c", "file", "-p", permission]
    return "allow" in guest.run(words, timeout=SEMANAGE_LIMIT).expect("sesearch").text


def test_setup_adds_the_rule_and_labels_the_boxes_that_exist(
    guest: SshGuest, setup: Setup, make_box: Callable[[str], str]
) -> None:
    kernel = make_box("old")
    assert type_of(guest, kernel) == "var_t"
    assert f"semanage fcontext -a -t virt_content_t '{RULE}'" in setup().error_text
    assert [type_of(guest, path) for path in (BOXES, kernel)] == ["virt_content_t"] * 2
    assert RULE in local_rules(guest)


def test_a_second_setup_does_nothing(setup: Setup) -> None:
    assert setup().error_text == ""


def test_a_new_box_has_the_label_of_the_directory(guest: SshGuest, make_box: Callable[[str], str]) -> None:
    assert type_of(guest, make_box("new")) == "virt_content_t"


def test_a_kernel_that_was_moved_into_a_box_is_labelled_again(
    guest: SshGuest, setup: Setup, make_box: Callable[[str], str]
) -> None:
    kernel = make_box("moved")
    guest.run(["sh", "-c", 'echo kernel >/root/vmlinuz; mv /root/vmlinuz "$1"', "sh", kernel]).expect("mv")
    assert type_of(guest, kernel) != "virt_content_t"
    assert "semanage" not in setup().error_text
    assert type_of(guest, kernel) == "virt_content_t"


def test_libvirt_may_use_a_kernel_with_this_label_only(guest: SshGuest) -> None:
    """Debian's policy confines libvirt's daemon (virtd_t) and its VMs (svirt_t), as CentOS's does."""
    types = ("var_t", "virt_image_t", "virt_content_t")
    relabelled = [name for name in types if may(guest, "virtd_t", name, "relabelfrom")]
    read = [name for name in types if may(guest, "svirt_t", name, "read")]
    assert relabelled == ["virt_image_t", "virt_content_t"]
    assert read == ["var_t", "virt_content_t"]
