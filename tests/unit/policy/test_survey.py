"""What the survey reports about a guest's policy store, and its fingerprint."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from selab.errors import CommandFailed, SelabError
from selab.guest import script, script_argv
from selab.policy.survey import (
    MAX_FACTS,
    StoreChanged,
    StoreFacts,
    keep_facts,
    same_store,
    stored_facts,
    survey,
)
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import PolicyGuest

HEAD = "type test\npolicyvers 33\nmls 1\nexpand 0\n"
STORE = {"modules/100/base/cil": "a", "modules/100/web/cil": "b", "ports.local": "c"}


def facts(store: dict[str, str], without: tuple[str, ...] = (), head: str = HEAD) -> StoreFacts:
    guest = FakeGuest()
    guest.answer(
        script("policy/survey"),
        out=head + "store\nseen\n" + "".join(f"{digest}  {path}\n" for path, digest in store.items()),
    )
    return survey(without).of(guest)


@pytest.mark.parametrize(
    "change",
    [
        {"modules/100/web/cil": "x"},
        {"ports.local": "x"},
        {"modules/400/new/cil": "x"},
        {"modules/disabled/web": "x"},
    ],
)
def test_the_fingerprint_changes_with(change: dict[str, str]) -> None:
    assert facts(STORE | change).fingerprint != facts(STORE).fingerprint


@pytest.mark.parametrize("path", ["modules/50/web/cil", "modules/disabled/other"])
def test_the_fingerprint_does_not_change_with(path: str) -> None:
    assert facts(STORE | {path: "x"}).fingerprint == facts(STORE).fingerprint


def test_a_module_that_is_installed_and_left_out_is_as_if_it_was_not_installed() -> None:
    assert (
        facts(STORE | {"modules/400/mine/cil": "x"}, ("mine",)).fingerprint
        == facts(STORE, ("mine",)).fingerprint
    )


@pytest.mark.parametrize(
    ("path", "replaced"),
    [
        ("modules/100/mine/cil", ("mine",)),
        ("modules/200/mine/cil", ("mine",)),
        ("modules/400/mine/cil", ()),
        ("modules/100/other/cil", ()),
    ],
)
def test_a_module_of_the_distribution_with_a_candidates_name_is_replaced(
    tmp_path: Path, path: str, replaced: tuple[str, ...]
) -> None:
    surveyed = facts(STORE | {path: "x"}, ("mine",))
    assert surveyed.replaced == replaced
    keep_facts(surveyed, tmp_path / "store.json")
    assert stored_facts(tmp_path / "store.json") == (surveyed,)


def test_a_disabled_module_of_the_distribution_is_not_replaced() -> None:
    store = STORE | {"modules/100/mine/cil": "x", "modules/disabled/mine": "x"}
    assert facts(store, ("mine",)).replaced == ()


@pytest.mark.parametrize("output", ["", "type test\nstore\nseen\n", HEAD + "store\nseen\n"])
def test_an_answer_without_a_store_is_an_error(output: str) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/survey"), out=output)
    with pytest.raises(SelabError, match="which policy store"):
        survey().of(guest)


def test_facts_are_kept_for_each_candidate_the_latest_first(tmp_path: Path) -> None:
    apache, redis = facts(STORE, ("apache",)), facts(STORE, ("redis",))
    for each in (apache, redis, replace(apache, signature="later")):
        keep_facts(each, tmp_path / "store.json")
    assert stored_facts(tmp_path / "store.json") == (replace(apache, signature="later"), redis)


def test_facts_of_few_candidates_are_kept(tmp_path: Path) -> None:
    for number in range(MAX_FACTS + 1):
        keep_facts(facts(STORE, (f"web{number}",)), tmp_path / "store.json")
    assert [each.without for each in stored_facts(tmp_path / "store.json")] == [
        (f"web{number}",) for number in range(MAX_FACTS, 0, -1)
    ]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"facts": [{}]}', '{"facts": [{"without": 1}]}', '{"facts": 1}']
)
def test_invalid_facts_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    assert stored_facts(tmp_path / "store.json") == ()


# --- the scripts, run on a file system that represents the guest --------------------------------------------

FILES = {
    "etc/selinux/config": b"SELINUXTYPE=test\n",
    "etc/selinux/semanage.conf": b"expand-check=0\n",
    "etc/selinux/test/contexts/files/file_contexts.subs": b"/data /srv\n",
    "etc/selinux/test/contexts/files/file_contexts.subs_dist": b"/bin /usr/bin\n",
    "etc/selinux/test/contexts/lxc_contexts": b"x",
    "sys/fs/selinux/policyvers": b"33",
    "sys/fs/selinux/mls": b"1",
    "usr/share/selinux/devel/include/a.if": b"x",
    "usr/share/udica/templates/base_container.cil": b"x",
    "var/lib/selinux/test/active/modules/100/base/cil": b"x",
    "var/lib/selinux/test/active/modules/disabled/off": b"",
    "var/lib/selinux/test/active/ports.local": b"x",
}
"""The files of a guest that a survey reads."""
MORE = (
    "var/lib/selinux/test/active/disable_dontaudit",
    "var/lib/selinux/test/active/modules/400/base/cil",
    "var/lib/selinux/test/active/modules/disabled/base",
    "var/lib/selinux/test/active/booleans.local",
    "usr/share/selinux/devel/include/b.if",
    "usr/share/udica/templates/net_container.cil",
)
"""Files that the guest may get."""


@pytest.fixture
def guest(tmp_path: Path) -> PolicyGuest:
    guest = PolicyGuest(tmp_path)
    guest.holds(FILES)
    return guest


@pytest.mark.program
def test_the_signature_changes_with_each_file_even_if_its_size_and_time_stay(guest: PolicyGuest) -> None:
    unnoticed, before = [], survey().of(guest).signature
    for name in (*FILES, *MORE):
        path = guest.path(f"/{name}")
        stat = path.stat() if path.exists() else None
        guest.put(b"0" if name.startswith("sys/") else FILES.get(name, b""), f"/{name}")
        if stat:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        signature = survey().of(guest).signature
        unnoticed += [name] if signature == before else []
        before = signature
    assert unnoticed == []


def test_a_store_that_did_not_change_is_the_same_and_is_not_read_again(guest: PolicyGuest) -> None:
    first = survey().of(guest)
    stored = guest.path("/run/selab/store")
    stored.write_text(stored.read_text().replace(" modules/100/base/cil", " modules/100/other/cil"))
    second = survey().of(guest)
    assert (second.signature, second.fingerprint != first.fingerprint) == (first.signature, True)
    same_store(first).of(guest)


def test_a_store_that_changed_is_read_again(guest: PolicyGuest) -> None:
    first = survey().of(guest)
    guest.put(b"other", "/var/lib/selinux/test/active/modules/100/base/cil")
    second = survey().of(guest)
    assert second.fingerprint != first.fingerprint
    with pytest.raises(StoreChanged):
        same_store(first).of(guest)
    assert not guest.path("/run/selab/store.half").exists()


@pytest.mark.parametrize("selinux_type", ["absent", ""])
def test_a_store_that_does_not_exist_is_not_the_same(guest: PolicyGuest, selinux_type: str) -> None:
    done = guest.run(script_argv("policy/same-store", selinux_type, survey().of(guest).signature))
    assert done.returncode == 8


def test_a_guest_without_a_store_of_its_type_is_an_error(guest: PolicyGuest) -> None:
    guest.put(b"SELINUXTYPE=absent\n", "/etc/selinux/config")
    with pytest.raises(CommandFailed, match="^The guest's policy store cannot be read") as caught:
        survey().of(guest)
    assert caught.value.returncode == 3


@pytest.mark.parametrize(
    "config",
    [
        "SELINUXTYPE = test \n",
        "SELINUXTYPE=absent\nSELINUXTYPE=test\n",
        "# SELINUXTYPE=absent\nSELINUXTYPE\t=test",
    ],
)
def test_the_last_setting_of_the_configuration_counts(guest: PolicyGuest, config: str) -> None:
    guest.put(f"{config}\n# the end\n".encode(), "/etc/selinux/config")
    assert survey().of(guest).selinux_type == "test"


def test_the_survey_reports_the_settings_of_the_store(guest: PolicyGuest) -> None:
    facts = survey().of(guest)
    assert (facts.policyvers, facts.mls, facts.expand_check, facts.dontaudit, facts.system) == (
        *(33, True, False, True),
        "",
    )


def test_the_survey_reports_that_dontaudit_rules_are_switched_off(guest: PolicyGuest) -> None:
    guest.put(b"", "/var/lib/selinux/test/active/disable_dontaudit")
    assert not survey().of(guest).dontaudit


def digests_of(guest: PolicyGuest) -> dict[str, str]:
    """The digests in the survey of a guest, by path."""
    lines = guest.run(script_argv("policy/survey")).text.partition("\nstore\n")[2].splitlines()[1:]
    return dict(reversed(line.split("  ")) for line in lines)  # type: ignore[misc]


def test_the_survey_has_a_digest_of_each_module_and_of_each_local_modification(guest: PolicyGuest) -> None:
    guest.put(b"", "/var/lib/selinux/test/active/empty.local")
    guest.put(b"", "/var/lib/selinux/test/active/modules/100/base/lang_ext")
    assert digests_of(guest).keys() == {
        *("modules/100/base/cil", "modules/disabled/off", "ports.local"),
        *("devel", "contexts", "templates"),
    }


def test_headers_contexts_and_templates_that_do_not_exist_have_the_digest_of_nothing(
    guest: PolicyGuest,
) -> None:
    shutil.rmtree(guest.path("/usr/share/selinux"))
    shutil.rmtree(guest.path("/usr/share/udica"))
    shutil.rmtree(guest.path("/etc/selinux/test"))
    nothing = hashlib.sha256(b"").hexdigest()
    digests = digests_of(guest)
    assert {digests[part] for part in ("devel", "contexts", "templates")} == {nothing}


def test_a_changed_template_leads_to_another_base_policy(guest: PolicyGuest) -> None:
    first = survey().of(guest)
    guest.put(b"y", "/usr/share/udica/templates/base_container.cil")
    with pytest.raises(StoreChanged):
        same_store(first).of(guest)
    assert survey().of(guest).fingerprint != first.fingerprint


def test_a_header_with_a_blank_in_its_name_counts(guest: PolicyGuest) -> None:
    guest.put(b"x", "/usr/share/selinux/devel/include/a b.if")
    first = digests_of(guest)["devel"]
    guest.put(b"y", "/usr/share/selinux/devel/include/a b.if")
    assert digests_of(guest)["devel"] not in (first, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize("name", ["README", "a b.cil", "below/a.cil"])
def test_what_is_no_template_changes_no_base_policy(guest: PolicyGuest, name: str) -> None:
    first = survey().of(guest)
    guest.put(b"y", f"/usr/share/udica/templates/{name}")
    assert survey().of(guest).fingerprint == first.fingerprint


@pytest.mark.parametrize(("name", "value"), [("policyvers", "34"), ("mls", "0")])
def test_the_signature_changes_with_the_kernels_policy_format(
    guest: PolicyGuest, name: str, value: str
) -> None:
    first = survey().of(guest).signature
    guest.path(f"/sys/fs/selinux/{name}").write_text(value)
    assert survey().of(guest).signature != first


def test_a_survey_of_an_older_selab_is_not_used(guest: PolicyGuest) -> None:
    """Its signature had no version, and it has no line for the templates."""
    signed = 'echo "2 $policyvers $mls"'
    older = guest.run(["sh", "-c", script("policy/survey").replace(signed, signed.replace("2 ", "")), "sh"])
    assert survey().of(guest).signature not in older.text
