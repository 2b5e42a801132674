"""A project that contains every trick of a hostile repository at once, and the sandbox around it."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path

CALLED = "programs-that-were-called"
"""The name of the log, outside the watched directories, of the stand-ins for Vagrant and ssh."""
PROGRAMS = ("vagrant", "virsh", "docker", "podman", "ssh", "ssh-keygen", "scp")
"""The programs that no command may start for this project before the user allowed it."""
PYTHON_MODULES = ("selab", "click", "yaml", "json", "logging", "sitecustomize", "usercustomize", "conftest")
"""Modules whose names the interpreter would find in the working directory, if it looked there."""
STATE_FILES = (
    "console", "durations.json", "guest.json", "history.sqlite", "history.sqlite-shm", "history.sqlite-wal",
    "key", "provisioned.json", "selab.log", "store.json", "vagrant.log", "vm.holder", "vm.json",
    "vm.kept.json",
)  # fmt: skip
STATE_DIRECTORIES = ("compiled", "drafts", "policy", "vms")
"""What selab keeps below `.selab`."""


@dataclass(frozen=True)
class Sandbox:
    """The directories around the hostile project.

    root: directory of everything below.
    home: home directory of the user.
    outside: files that no command may change.
    project: hostile project.
    markers: directory in which each piece of hostile code leaves a file if it runs.
    programs: stand-ins for PROGRAMS, which record that they were called and fail.
    """

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def markers(self) -> Path:
        return self.root / "markers"

    @property
    def programs(self) -> Path:
        return self.root / "programs"

    @property
    def own(self) -> tuple[Path, ...]:
        """Return the directories of the home directory that belong to selab itself."""
        return tuple(
            self.home / name / "selab" for name in (".cache", ".config", ".local/state", ".local/share")
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a command, without the XDG directories of the real user."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SELAB_"))
        }
        temporary = str(self.root / "tmp")
        path = f"{self.programs}:{os.environ['PATH']}"
        return inherited | {"HOME": str(self.home), "TMPDIR": temporary, "PATH": path, "CI": ""}


def make_sandbox(root: Path) -> Sandbox:
    """Write the sandbox and the hostile project below `root`."""
    sandbox = Sandbox(root)
    for path in (
        sandbox.home,
        sandbox.outside,
        sandbox.project,
        sandbox.markers,
        sandbox.programs,
        root / "tmp",
    ):
        path.mkdir()
    _write_home(sandbox)
    _write_outside(sandbox)
    _write_programs(sandbox)
    _write_sources(sandbox)
    _write_code(sandbox)
    _write_git(sandbox)
    return sandbox


def _write_home(sandbox: Sandbox) -> None:
    for own in sandbox.own:
        own.parent.mkdir(parents=True, exist_ok=True)
    ssh = sandbox.home / ".ssh"
    ssh.mkdir(mode=0o700)
    (sandbox.home / ".bashrc").write_text("alias ll='ls -l'\n")
    (ssh / "known_hosts").write_text("lab.test ssh-ed25519 AAAA\n")
    (ssh / "config").write_text(
        f"Host lab\n  HostName 127.0.0.1\n  ProxyCommand touch {sandbox.markers}/proxy\n"
    )


def _write_outside(sandbox: Sandbox) -> None:
    (sandbox.outside / "thesis.txt").write_text("years of work\n")
    (sandbox.outside / "directory").mkdir()
    (sandbox.outside / "directory" / "notes.txt").write_text("more years of work\n")


def _write_programs(sandbox: Sandbox) -> None:
    for name in PROGRAMS:
        program = sandbox.programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{sandbox.root}/{CALLED}\nexit 1\n')
        program.chmod(0o755)


def _write_sources(sandbox: Sandbox) -> None:
    """Write what a project is expected to have, with a trick in each file."""
    project, mark = sandbox.project, sandbox.markers
    (project / "selab.yaml").write_text("vm: {box: debian13}\npolicies: {evil: {requires: [helper]}}\n")
    for name in ("policies", "scenarios", "images"):
        (project / name).mkdir()
    policies = project / "policies"
    (policies / "evil.te").write_text(
        "policy_module(evil, 1.0)\n"
        f"syscmd(`touch {mark}/syscmd')\n"
        f"esyscmd(`touch {mark}/esyscmd')\n"
        f"include(`{sandbox.home}/.bashrc')\n"
        f"divert(-1)undivert(`{sandbox.home}/.bashrc')divert(0)\n"
        f"maketemp(`{sandbox.outside}/XXXXXX')\n"
        "type evil_t;\n"
    )
    (policies / "evil.if").write_text(f"## <summary>evil</summary>\nsyscmd(`touch {mark}/interface')\n")
    (policies / "evil.fc").write_text("/(a+)+(b+)+x -- gen_context(system_u:object_r:evil_t,s0)\n")
    (policies / "helper.te").write_text("policy_module(helper, 1.0)\ntype helper_t;\n")
    (policies / "linked.te").symlink_to(sandbox.home / ".bashrc")
    os.mkfifo(policies / "pipe.te")
    _write_cil(sandbox)
    scenarios = project / "scenarios"
    (scenarios / "evil.yaml").write_text(
        "image: evil\npolicy: evil\n"
        "volumes:\n  - {target: /data, source: ../../home/.ssh}\n"
        "steps:\n  - log: {pattern: '(a+)+$'}\n  - guest: {argv: [touch, /tmp/guest]}\n"
    )
    (scenarios / "python.yaml").write_text(
        f"!!python/object/apply:os.system ['touch {mark}/yaml']\n",
    )
    (scenarios / "bomb.yaml").write_text(
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in itertools.pairwise("abcdefghi")
        )
    )
    (scenarios / "linked.yaml").symlink_to(sandbox.outside / "thesis.txt")
    (scenarios / "terminal.yaml").write_text('image: "\\x1b]0;owned\\x07"\n')
    (scenarios / "apache.yaml").write_text("image: httpd\npolicy: helper\n")
    image = project / "images" / "evil"
    image.mkdir()
    (image / "files").symlink_to(sandbox.home)
    (image / "packages").write_text(f"apache2\n--option=APT::Update::Pre-Invoke::=touch {mark}/apt\n")
    (image / "Dockerfile").write_text('FROM scratch\nCMD ["true"]\n')
    (project / "matrix.yaml").write_text(
        "policies: [evil, helper]\nscenarios: [evil, apache]\nguests: [debian13]\n"
    )
    (project / "compose.yaml").write_text(
        "services:\n  web:\n    image: httpd\n    volumes: ['../home/.ssh:/data']\n"
        "    env_file: ../home/.bashrc\n    extends: {file: ../outside/thesis.txt, service: web}\n"
    )


def _write_cil(sandbox: Sandbox) -> None:
    """Write policies in CIL, profiles and templates that lead out of the project, or grow without end."""
    policies = sandbox.project / "policies"
    blocks = "".join(
        f"(block b{new} (type t) (blockinherit b{old}) (blockinherit b{old}))\n"
        for old, new in itertools.pairwise(range(40))
    )
    (policies / "twice.cil").write_text(f"(block b0 (type t))\n{blocks}")
    (policies / "deep.cil").write_text("(block a " * 5000)
    (policies / "linked.cil").symlink_to(sandbox.home / ".bashrc")
    os.mkfifo(policies / "pipe.cil")
    (policies / "templates").mkdir()
    (policies / "templates" / "base_container.cil").symlink_to(sandbox.outside / "thesis.txt")
    profile = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: {}\nmetadata: {{name: {}}}\n"
    bomb = ",".join(["*a"] * 1000)
    (policies / "grown.yaml").write_text(
        profile.format("SelinuxProfile", "grown") + f"a: &a [x]\nb: [{bomb}]\n"
    )
    (policies / "python.yaml").write_text(
        f"!!python/object/apply:os.system ['touch {sandbox.markers}/profile']\n"
    )
    (policies / "raw.yaml").write_text(
        profile.format("RawSelinuxProfile", "raw") + "spec: {policy: '(blockinherit container) ) (type t'}\n"
    )


def _write_code(sandbox: Sandbox) -> None:
    """Write code into the places in which a program might look for code."""
    project, mark = sandbox.project, sandbox.markers
    (project / "Vagrantfile").write_text(f"File.write('{mark}/vagrantfile', 'ran')\n")
    for name in PYTHON_MODULES:
        (project / f"{name}.py").write_text(f"open({str(mark / name)!r}, 'w').close()\nraise SystemExit(0)\n")
    script = f"#!/bin/sh\ntouch {mark}/program-$(basename $0)\nexit 0\n"
    for name in (*PROGRAMS, "m4", "checkmodule", "secilc", "git", "make", "mmdebstrap"):
        program = project / name
        program.write_text(script)
        program.chmod(0o755)
    (project / "Makefile").write_text(f"$(shell touch {mark}/makefile)\nall: ;\n")
    (project / ".env").write_text(f"PATH={project}\nVAGRANT_HOME={project}\n")
    (project / ".vagrant.d").mkdir()
    (project / ".vagrant.d" / "Vagrantfile").write_text(f"File.write('{mark}/home-vagrantfile', 'ran')\n")


def _write_git(sandbox: Sandbox) -> None:
    """Write a repository whose configuration runs programs, as one that was unpacked from an archive can."""
    git, mark = sandbox.project / ".git", sandbox.markers
    (git / "objects").mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    (git / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n"
        f"\tfsmonitor = touch {mark}/git-fsmonitor\n\tpager = touch {mark}/git-pager\n"
        f"\tsshCommand = touch {mark}/git-ssh\n\thooksPath = {sandbox.project}\n"
        "[extensions]\n\tpartialClone = origin\n"
        f'[remote "origin"]\n\turl = ext::touch {mark}/git-remote\n\tpromisor = true\n'
        '[protocol "ext"]\n\tallow = always\n'
        f"[diff]\n\texternal = touch {mark}/git-diff\n"
    )


def link_state(sandbox: Sandbox) -> None:
    """Write a `.selab` and a `.vagrant` whose entries lead outside."""
    state = sandbox.project / ".selab"
    state.mkdir()
    for name in STATE_FILES:
        (state / name).symlink_to(sandbox.home / ".bashrc")
    (state / "known_hosts").symlink_to(sandbox.home / ".ssh" / "known_hosts")
    for name in STATE_DIRECTORIES:
        (state / name).symlink_to(sandbox.outside / "directory")
    os.mkfifo(state / "vm.lock")
    _write_vagrant(sandbox).joinpath("private_key").symlink_to(sandbox.home / ".ssh" / "known_hosts")


def link_whole_state(sandbox: Sandbox) -> None:
    """Make `.selab` and `.vagrant` themselves links."""
    (sandbox.project / ".selab").symlink_to(sandbox.outside / "directory")
    (sandbox.project / ".vagrant").symlink_to(sandbox.outside / "directory")


def forge_state(sandbox: Sandbox, port: int) -> None:
    """Write a `.selab` that claims results, and a guest that listens at `port`."""
    state = sandbox.project / ".selab"
    for name in ("compiled", "policy", "drafts"):
        (state / name).mkdir(parents=True)
        (state / name / "evil.cil").write_text("(type evil_t)(allow evil_t self (process (all)))\n")
    (state / "key").write_text("a key\n")
    (state / "known_hosts").write_text(f"[127.0.0.1]:{port} ssh-ed25519 AAAA\n")
    guest = {"host": "127.0.0.1", "port": port, "user": "root", "key": str(state / "key")}
    (state / "guest.json").write_text(json.dumps(guest | {"domain": "0" * 36, "provider": "libvirt"}))
    (state / "store.json").write_text(json.dumps({"fingerprint": "f" * 64}))
    (state / "vm.json").write_text(json.dumps({"box": "selab", "port": port}))
    _write_vagrant(sandbox).joinpath("private_key").write_text("a key\n")


def _write_vagrant(sandbox: Sandbox) -> Path:
    """Write the record of a machine that belongs to another project, and return its directory."""
    machine = sandbox.project / ".vagrant" / "machines" / "default" / "libvirt"
    machine.mkdir(parents=True)
    (machine / "id").write_text("00000000-0000-0000-0000-000000000000")
    (machine / "vagrant_cwd").write_text(str(sandbox.home))
    return machine
