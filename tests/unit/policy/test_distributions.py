"""What differs between the policies of distributions: read from the guest, and said to the tools as it is."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.guest import Completed, script
from selab.policy import base as base_policy
from selab.policy import toolchain
from selab.policy.base import BasePolicy, ensure_base, keep_base
from selab.policy.compile import CompiledModule, compile_module, link
from selab.policy.flat import flatten
from selab.policy.module import PolicyModule
from selab.policy.survey import StoreFacts, survey
from selab.policy.toolchain import GUEST_WORKDIR, PP, Demands, Toolchain, missing_on_host
from selab.progress import Progress
from tests import centos_like
from tests.unit.conftest import module
from tests.unit.fakes import FakeGuest
from tests.unit.policy.store import FILES, archive, fingerprint_of_files

CENTOS = """\
# comment
module-store = direct
expand-check=0
usepasswd=False
bzip-small=true
bzip-blocksize=5
ignoredirs=/root
optimize-policy=true
"""
DEBIAN = "module-store = direct\n# expand-check = 0\nusepasswd=false\n"
CONFIG = "# SELINUXTYPE= can take one of these values:\nSELINUX=enforcing\nSELINUXTYPE={0}\n"


def surveyed(root: Path, selinux_type: str, semanage: str) -> StoreFacts:
    """The survey's own script, over a file system below `root`."""
    for path, text in {
        "etc/selinux/config": CONFIG.format(selinux_type),
        "etc/selinux/semanage.conf": semanage,
        "sys/fs/selinux/policyvers": "33",
        "sys/fs/selinux/mls": "1",
        f"var/lib/selinux/{selinux_type}/active/modules/100/base/cil": "x",
        "etc/os-release": 'ID=x\nPRETTY_NAME="CentOS Stream 10 (Coughlan)"\n',
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    ask = survey()
    script = ask.script
    for place in ("/etc/selinux", "/sys/fs/selinux", "/var/lib/selinux", "/run/selab", "/etc/os-release"):
        script = script.replace(place, f"{root}{place}")
    done = subprocess.run(["sh", "-c", script, "sh"], capture_output=True, timeout=20)
    return ask.read(Completed(("sh",), done.returncode, done.stdout, done.stderr))


@pytest.mark.parametrize(
    ("selinux_type", "semanage", "expands"), [("targeted", CENTOS, False), ("default", DEBIAN, True)]
)
def test_the_guest_says_how_its_store_is_linked(
    tmp_path: Path, selinux_type: str, semanage: str, expands: bool
) -> None:
    store_facts = surveyed(tmp_path, selinux_type, semanage)
    assert (store_facts.selinux_type, store_facts.policyvers, store_facts.mls, store_facts.expand_check) == (
        selinux_type,
        33,
        True,
        expands,
    )


def test_the_guest_says_which_distribution_it_is(tmp_path: Path) -> None:
    assert surveyed(tmp_path, "targeted", CENTOS).system == "CentOS Stream 10 (Coughlan)"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (StoreFacts("targeted", 33, True, False, "f"), "secilc -m -M 1 -c 33 -N -Q -o"),
        (StoreFacts("default", 33, True, True, "f"), "secilc -m -M 1 -c 33 -Q -o"),
        (StoreFacts("targeted", 34, False, False, "f", dontaudit=False), "secilc -m -M 0 -c 34 -N -D -Q -o"),
    ],
)
def test_a_policy_is_linked_as_the_guests_own_is(base: BasePolicy, facts: StoreFacts, words: str) -> None:
    guest = FakeGuest()
    guest.answer("test", "-s")
    guest.answer("secilc")
    guest.files[f"{GUEST_WORKDIR}/policy"] = b"x"
    link(replace(base, facts=facts), [module("web", "")], Toolchain(guest, GUEST_WORKDIR))
    assert " ".join(guest.commands[-1]).startswith(words)


def test_a_module_is_compiled_for_the_guests_kind_of_policy(base: BasePolicy) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
    guest.answer(script("policy/clear-sources"))
    guest.answer(script("policy/compile"))
    web = PolicyModule("web", Path("/p"), {"te": b"policy_module(web, 1.0)\n"})
    compile_module(
        web, replace(base, facts=replace(base.facts, selinux_type="targeted")), Toolchain(guest, "/w")
    )
    assert guest.commands[-1][5:9] == ("/w/build/web", "web", "/usr/share/selinux/devel", "targeted")


TEMPLATE = """\
## <summary>A container's domain.</summary>
## <param name="prefix"><summary>Of the domain.</summary></param>
## <param name="prefix"><summary>Of the files.</summary></param>
template(`container_domain_template',`
	allow $1_t $2_file_t:file entrypoint;
')
"""


def test_a_template_with_too_few_arguments_says_how_many_it_takes(base: BasePolicy) -> None:
    (base.headers / "container.if").write_text(TEMPLATE)
    guest = FakeGuest()
    guest.answer(
        script("policy/compile"),
        code=1,
        err="web.te:2:ERROR 'unknown type _file_t' at token ';' on line 9:\n",
    )
    guest.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
    guest.answer(script("policy/clear-sources"))
    web = PolicyModule(
        "web", Path("/p"), {"te": b"policy_module(web, 1.0)\ncontainer_domain_template(web)\n"}
    )
    with pytest.raises(InputError) as caught:
        compile_module(web, base, Toolchain(guest, "/w"))
    assert caught.value.hint.startswith(
        "The installed policy's 'container_domain_template' takes 2 arguments (prefix, prefix)"
    )


# --- a base policy that is newer than the host's tools --------------------------------------------

DENY = b"(deny domain shared_t (file (write)))\n"


def too_old(demands: Demands) -> list[str]:
    return ["secilc 3.6"] if demands.denies else []


def test_deny_rules_stay_in_the_flat_base() -> None:
    assert flatten("(optional a\n    (deny x y (file (write)))\n)\n") == "(deny x y (file (write)))\n"


def test_a_store_that_the_hosts_tools_cannot_read_is_flattened_in_the_guest(
    tmp_path: Path, tools: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_policy, "missing_on_host", too_old)
    guest = FakeGuest()
    guest.answer("secil2tree", out="(type a_t)\n(deny a_t a_t (file (write)))\n")
    guest.answer("rm")
    name = "var/lib/selinux/test/active/modules/400/container-af-alg-deny/cil"
    keep_base(archive(FILES | {name: DENY}), "test", tools, tmp_path, newer=Toolchain(guest, GUEST_WORKDIR))
    (directory,) = (tmp_path / "bases").iterdir()
    assert "(deny a_t a_t (file (write)))" in (directory / "flat.cil").read_text()
    assert guest.commands[0] == ("secil2tree", f"{GUEST_WORKDIR}/store.cil")


@pytest.mark.toolchain
def test_a_base_policy_remembers_what_it_demands(tmp_path: Path, tools: Toolchain) -> None:
    keep_base(archive(FILES), "test", tools, tmp_path)
    facts = StoreFacts("test", 34, True, False, fingerprint_of_files())
    assert ensure_base(FakeGuest(), facts, tools, tmp_path, Progress()).demands == Demands(False, 34)


@pytest.mark.parametrize("demands", [Demands(denies=True), Demands(policyvers=34)])
def test_tools_that_are_too_old_count_as_missing(monkeypatch: pytest.MonkeyPatch, demands: Demands) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(toolchain, "knows_deny", lambda: False)
    monkeypatch.setattr(toolchain, "_newest_policyvers", lambda: 33)
    assert len(missing_on_host(demands)) == len(missing_on_host()) + 1


@pytest.mark.toolchain
def test_the_hosts_compiler_states_its_newest_policy_version() -> None:
    if missing_on_host():
        pytest.skip("no policy tools here")
    assert 30 <= toolchain._newest_policyvers() < 100


@pytest.mark.toolchain
@pytest.mark.parametrize("refused", ["neverallow", "deny"])
def test_a_compiler_reads_deny_rules_unless_it_refuses_one(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "secil2tree"
    program.write_text(f'#!/bin/sh\nfor file; do :; done\n! grep -q "({refused} " "$file"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert toolchain.knows_deny.__wrapped__() is (refused != "deny")


@pytest.mark.toolchain
def test_a_candidate_links_with_the_policy_that_has_centos_names(tmp_path: Path, tools: Toolchain) -> None:
    if missing_on_host():
        pytest.skip("no policy tools here")
    base = centos_like.write_base(tmp_path / "centos", denies=False)
    cil = "(type web_t) (roletype system_r web_t) (typeattributeset container_domain (web_t))\n"
    assert link(base, [CompiledModule("web", cil, frozenset({"web_t"}))], tools).binary
