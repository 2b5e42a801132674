"""The scripts that prepare and check a guest, run with sh in a sandbox with fake programs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from .vm_guest import ENFORCE, VmGuest

KEYS = "/root/.ssh/authorized_keys"
USERS_KEYS = "/home/vagrant/.ssh/authorized_keys"


@pytest.fixture
def guest(tmp_path: Path) -> VmGuest:
    return VmGuest(tmp_path)


# --- logins ---------------------------------------------------------------------------------------


def test_root_accepts_the_keys_of_vagrants_user_as_well(guest: VmGuest) -> None:
    guest.environment["SUDO_USER"] = "vagrant"
    guest.write(USERS_KEYS, "ssh-ed25519 new\n")
    guest.write(KEYS, "ssh-ed25519 old\n")
    assert guest.runs("accept-key-as-root").ok
    assert guest.read(KEYS) == "ssh-ed25519 old\nssh-ed25519 new\n"
    assert guest.calls_of("restorecon") == [f"restorecon -RF {guest.path('/root/.ssh')}"]


def test_the_keys_of_root_are_readable_by_root_alone(guest: VmGuest) -> None:
    guest.environment["SUDO_USER"] = "vagrant"
    guest.write(USERS_KEYS, "ssh-ed25519 new\n")
    guest.runs("accept-key-as-root")
    modes = [stat.S_IMODE(guest.path(place).stat().st_mode) for place in ("/root/.ssh", KEYS)]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize(("program", "code"), [("restorecon", 7), ("cat", 1)])
def test_a_key_that_root_does_not_accept_is_an_error(guest: VmGuest, program: str, code: int) -> None:
    guest.environment["SUDO_USER"] = "vagrant"
    guest.write(USERS_KEYS, "ssh-ed25519 new\n")
    guest.program(program, f"exit {code}")
    assert guest.runs("accept-key-as-root").returncode == code


def test_a_key_is_added_for_root_and_for_vagrants_user(guest: VmGuest) -> None:
    guest.program("chown")
    guest.write(KEYS, "old\n")
    assert guest.runs("add-key", input=b"new\n").ok
    assert (guest.read(KEYS), guest.read(USERS_KEYS)) == ("old\nnew\n", "new\n")
    assert [call.split()[:3] for call in guest.calls_of("chown")] == [
        ["chown", "-R", "root:"],
        ["chown", "-R", "vagrant:"],
    ]
    modes = [stat.S_IMODE(guest.path(place).stat().st_mode) for place in ("/home/vagrant/.ssh", USERS_KEYS)]
    assert modes == [0o700, 0o600]


def test_a_guest_without_vagrants_user_gets_the_key_for_root(guest: VmGuest) -> None:
    guest.program("chown")
    guest.environment["SUDO_USER"] = "unknown"
    assert guest.runs("add-key", input=b"new\n").ok
    assert (guest.read(KEYS), len(guest.calls_of("chown"))) == ("new\n", 1)


def test_a_key_that_vagrants_user_does_not_accept_is_an_error(guest: VmGuest) -> None:
    guest.program("chown", "exit 1")
    assert not guest.runs("add-key", input=b"new\n").ok


@pytest.mark.parametrize(
    ("failing", "ok", "calls"),
    [
        ("", True, ["sshd -t", "systemctl reload sshd"]),
        ("sshd", True, ["sshd -t", "systemctl reload sshd", "systemctl reload ssh"]),
        ("sshd|ssh", False, ["sshd -t", "systemctl reload sshd", "systemctl reload ssh"]),
        ("-t", False, ["sshd -t"]),
    ],
)
def test_sshd_accepts_only_keys_once_its_configuration_is_valid(
    guest: VmGuest, failing: str, ok: bool, calls: list[str]
) -> None:
    guest.write("/etc/ssh/sshd_config.d/x", "")
    for program, word in (("sshd", "$1"), ("systemctl", "$2")):
        guest.program(program, f"case {word} in {failing or 'none'}) exit 1 ;; esac")
    assert guest.runs("allow-keys-only").ok is ok
    assert guest.calls_of("sshd", "systemctl") == calls
    lines = set(guest.read("/etc/ssh/sshd_config.d/05-selab.conf").splitlines())
    assert lines == {
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AllowAgentForwarding no",
        "X11Forwarding no",
        "UseDNS no",
    }


INSECURE = "AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8"


@pytest.mark.parametrize("code", [0, 1])
def test_only_vagrants_well_known_key_is_removed(guest: VmGuest, code: int) -> None:
    """A policy that does not know a file's label is no reason to accept the key."""
    guest.program("restorecon", f"exit {code}")
    own = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me\n"
    for place in (KEYS, USERS_KEYS, "/home/other/.ssh/authorized_keys"):
        guest.write(place, f"ssh-rsa {INSECURE} x\n{own}ssh-rsa AAAA vagrant insecure public key\n")
    guest.path("/home/empty").mkdir(parents=True)
    assert guest.runs("remove-vagrant-key").ok
    for place in (KEYS, USERS_KEYS, "/home/other/.ssh/authorized_keys"):
        assert guest.read(place) == own
    homes = str(guest.path("/home"))
    assert guest.calls_of("restorecon") == [f"restorecon -RF {guest.path('/root/.ssh')} {homes}"]


def test_a_guest_without_keys_has_no_well_known_key(guest: VmGuest) -> None:
    done = guest.runs("remove-vagrant-key")
    assert (done.returncode, done.error_text) == (0, "")


# --- packages and services ------------------------------------------------------------------------


@pytest.mark.parametrize(("update", "install", "code"), [(0, 0, 0), (0, 100, 100), (5, 0, 5)])
def test_apt_updates_its_lists_and_installs_without_questions(
    guest: VmGuest, update: int, install: int, code: int
) -> None:
    guest.program(
        "apt-get",
        f'case "$*" in *update) exit {update} ;; esac\n'
        f'[ "$DEBIAN_FRONTEND" = noninteractive ] && exit {install}',
    )
    assert guest.runs("install-apt", "m4", "tar").returncode == code
    installs = ["apt-get -qy install --no-install-recommends m4 tar"] if not update else []
    assert guest.called == ["apt-get -q update", *installs]


RHEL = "codeready-builder-for-rhel-9-x86_64"


@pytest.mark.parametrize(
    ("first", "second", "disabled", "builder", "code"),
    [
        (0, 9, "crb", "", 0),
        (1, 0, "crb", "crb", 0),
        (1, 3, "crb", "crb", 3),
        (1, 0, f"{RHEL}-source-rpms x\n{RHEL}-rpms", f"{RHEL}-rpms", 0),
        (4, 0, "crb-source", "", 4),
    ],
)
def test_dnf_tries_the_repository_for_developers_if_there_is_a_disabled_one(
    guest: VmGuest, first: int, second: int, disabled: str, builder: str, code: int
) -> None:
    answer = f"printf 'repo id  repo name\\n{disabled}  CentOS Stream 9 - CRB\\n'"
    guest.program(
        "dnf", f'case "$*" in *repolist*) {answer} ;; *enablerepo*) exit {second} ;; *) exit {first} ;; esac'
    )
    assert guest.runs("install-dnf", "m4", "tar").returncode == code
    calls = [
        "dnf -y install m4 tar",
        *(["dnf -q repolist --disabled"] if first else []),
        *([f"dnf -y --enablerepo={builder} install m4 tar"] if builder else []),
    ]
    assert guest.called == calls
    assert list(guest.path("/tmp").iterdir()) == []


DNF4 = """Error:
 Problem: problem with installed package podman-docker-5
  - package podman-docker-5 conflicts with docker-ce
  - conflicting requests
"""
DNF5 = """Failed to resolve the transaction:
Problem: conflicting requests
  - package podman-docker-5 conflicts with docker-ce
You can try to add to command line:
  --allowerasing to allow erasing of installed packages
"""
MISSING = """Failed to resolve the transaction:
No match for argument: secilc
You can try to add to command line:
  --skip-unavailable to skip unavailable packages
"""


@pytest.mark.parametrize(
    ("errors", "last"),
    [
        (DNF4, "package podman-docker-5 conflicts with docker-ce"),
        (DNF5, "package podman-docker-5 conflicts with docker-ce"),
        (MISSING, "No match for argument: secilc"),
        ("Error: No space left\n", "Error: No space left"),
    ],
)
def test_the_last_line_of_dnf_is_the_reason_and_not_a_proposal(
    guest: VmGuest, errors: str, last: str
) -> None:
    guest.program("dnf", f"case \"$*\" in *repolist*) ;; *) cat >&2 <<'END'\n{errors}END\nexit 1 ;; esac")
    done = guest.runs("install-dnf", "docker-ce")
    assert (done.returncode, done.error_text.splitlines()[-1]) == (1, last)
    assert done.error_text.startswith(errors)


def test_the_reason_is_also_the_last_line_if_the_repository_for_developers_does_not_help(
    guest: VmGuest,
) -> None:
    answer = "printf 'repo id  repo name\\ncrb  CRB\\n'"
    guest.program(
        "dnf", f"case \"$*\" in *repolist*) {answer} ;; *) cat >&2 <<'END'\n{MISSING}END\nexit 1 ;; esac"
    )
    done = guest.runs("install-dnf", "secilc")
    assert (done.returncode, done.error_text.splitlines()[-1]) == (1, "No match for argument: secilc")


@pytest.mark.parametrize(
    ("extra", "kernel", "load", "code", "calls"),
    [
        (0, 9, 0, 0, ["dnf -y install kernel-modules-extra-6.1-x", "modprobe xt_addrtype"]),
        (0, 9, 4, 4, ["dnf -y install kernel-modules-extra-6.1-x", "modprobe xt_addrtype"]),
        (
            1,
            0,
            9,
            1,
            ["dnf -y install kernel-modules-extra-6.1-x", "dnf -y install kernel kernel-modules-extra"],
        ),
        (
            1,
            3,
            9,
            3,
            ["dnf -y install kernel-modules-extra-6.1-x", "dnf -y install kernel kernel-modules-extra"],
        ),
    ],
)
def test_modules_of_another_kernel_need_a_restart(
    guest: VmGuest, extra: int, kernel: int, load: int, code: int, calls: list[str]
) -> None:
    guest.program("uname", '[ "$*" = -r ] && echo 6.1-x || echo Linux')
    guest.program("dnf", f'case "$*" in *"install kernel "*) exit {kernel} ;; esac; exit {extra}')
    guest.program("modprobe", f"exit {load}")
    done = guest.runs("install-kernel-modules")
    assert (done.returncode, guest.calls_of("dnf", "modprobe")) == (code, calls)
    assert ("restart the guest" in done.error_text) is (code == 1)


@pytest.mark.parametrize("loads", [True, False])
@pytest.mark.parametrize("loaded", [True, False])
def test_the_guard_starts_under_the_base_policy(guest: VmGuest, loaded: bool, loads: bool) -> None:
    """If the base policy cannot be loaded, the record of the candidate remains for the guard."""
    guest.path("/etc/systemd/system").mkdir(parents=True)
    guest.program("load_policy", f"exit {0 if loads else 1}")
    if loaded:
        guest.write("/run/selab/loaded", "digest 7\n")
    assert guest.runs("install-guard").ok
    verbs = ["daemon-reload", "enable selab-guard", "restart selab-guard"]
    calls = [*(["load_policy"] if loaded else []), *(f"systemctl {verb}" for verb in verbs)]
    assert [call.rstrip() for call in guest.called] == calls
    assert guest.path("/run/selab/loaded").exists() is (loaded and not loads)


def test_the_guard_is_restarted_without_an_end_and_killed_last(guest: VmGuest) -> None:
    guest.path("/etc/systemd/system").mkdir(parents=True)
    guest.runs("install-guard")
    unit = guest.read("/etc/systemd/system/selab-guard.service").splitlines()
    assert set(unit) >= {
        "StartLimitIntervalSec=0",
        "ExecStart=/usr/bin/python3 /usr/local/lib/selab/guard",
        "Restart=always",
        "OOMScoreAdjust=-1000",
        "WantedBy=multi-user.target",
    }


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "restart"])
def test_a_guard_that_does_not_start_is_an_error(guest: VmGuest, verb: str) -> None:
    guest.path("/etc/systemd/system").mkdir(parents=True)
    guest.program("systemctl", f'[ "$1" != {verb} ] || exit 5')
    assert guest.runs("install-guard").returncode == 5
    assert guest.called[-1].split()[1] == verb


@pytest.mark.parametrize(
    ("before", "active"),
    [(None, True), ("", False), ('{"data-root": "/srv", "selinux-enabled": false}', True)],
)
def test_docker_labels_containers_and_keeps_its_other_settings(
    guest: VmGuest, before: str | None, active: bool
) -> None:
    if before is not None:
        guest.write("/etc/docker/daemon.json", before)
    guest.program("systemctl", f'[ "$*" != "-q is-active docker" ] || exit {0 if active else 3}')
    assert guest.runs("label-docker-containers").ok
    settings = json.loads(guest.read("/etc/docker/daemon.json"))
    assert settings == {**json.loads(before or "{}"), "selinux-enabled": True}
    assert [path.name for path in guest.path("/etc/docker").iterdir()] == ["daemon.json"]
    assert guest.calls_of("restorecon") == [f"restorecon -F {guest.path('/etc/docker/daemon.json')}"]
    assert ("systemctl restart docker" in guest.called) is active


def test_the_package_managers_of_a_guest_are_found(guest: VmGuest) -> None:
    guest.environment["PATH"] = str(guest.path("/bin"))
    guest.program("dnf")
    assert guest.runs("package-tools", "dnf", "apt-get").text == f"{guest.path('/bin/dnf')}\n"


def test_each_probe_has_a_shell_of_its_own(guest: VmGuest) -> None:
    guest.program("tool")
    probes = [
        "exit 0",
        "exit 1",
        "cd /nowhere",
        "have tool sh",
        "have tool no-such-tool",
        "echo x; cat",
        "a=b; :",
    ]
    done = guest.runs("probe", *probes, '[ -z "$a" ]', input=b"text")
    states = ["present", "missing", "missing", "present", "missing", "present", "present", "present"]
    assert (done.returncode, done.text.split(), done.error_text) == (0, states, "")


# --- checks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "enabled", "text"),
    [(0, True, ""), (1000, True, "do not run as root"), (0, False, "SELinux is not enabled")],
)
def test_an_existing_host_needs_root_and_selinux(guest: VmGuest, uid: int, enabled: bool, text: str) -> None:
    guest.program("id", f"echo {uid}")
    if enabled:
        guest.path("/sys/fs/selinux/booleans").mkdir()
    done = guest.runs("check-existing")
    assert (done.returncode, text in done.text, bool(done.text)) == (1 if text else 0, True, bool(text))


@pytest.mark.parametrize(
    ("now", "home", "ok"),
    [("1", None, True), ("0", "", True), ("1", "1", True), ("1", "0", False), ("0", "1", False)],
)
def test_a_guest_in_another_mode_than_its_own_is_not_in_order(
    guest: VmGuest, now: str, home: str | None, ok: bool
) -> None:
    guest.write(ENFORCE, now)
    if home is not None:
        guest.write("/run/selab/mode", f"{home}\n" if home else "")
    done = guest.runs("check-guest")
    assert (done.returncode, "another mode" in done.text) == ((0, False) if ok else (1, True))


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({}, ""),
        ({"is-active engine": 3}, "engine does not run\n"),
        ({"is-active docker": 3}, "docker does not run\n"),
        ({"is-active engine": 3, "is-enabled engine": 1}, ""),
        ({"is-active auditd": 3}, "the audit daemon does not run\n"),
    ],
    ids=str,
)
def test_a_guest_is_in_order_if_the_enabled_services_of_runtimes_run(
    guest: VmGuest, answers: dict[str, int], text: str
) -> None:
    guest.write(ENFORCE, "0\n")
    cases = "".join(f"'-q {words}') exit {code} ;; " for words, code in answers.items())
    guest.program("systemctl", f'case "$*" in {cases} esac')
    done = guest.runs("check-guest", "docker", "engine")
    assert (done.text, done.returncode) == (text, 1 if text else 0)
