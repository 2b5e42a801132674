"""The table of what leads out of a container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.query import risk
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import Level, RiskRule, family_of, names_of, names_without_a_type, risk_of
from tests import centos_like

DEBIAN_NAMES = Path(__file__).with_name("debian_names.txt")

BASE = """
(typeattribute security_file_type)
(typeattribute unconfined_domain_type)
(typeattribute configfile)
(type secret_t)
(type boss_t)
(type conf_t)
(type http_port_t)
(type container_file_t)
(typeattributeset security_file_type (secret_t))
(typeattributeset unconfined_domain_type (boss_t))
(typeattributeset configfile (conf_t own_t))
"""


@pytest.mark.parametrize(
    ("target", "tclass", "permission", "level"),
    [
        ("app_t", "capability", "sys_admin", Level.HIGH),
        ("app_t", "capability2", "mac_admin", Level.HIGH),
        ("app_t", "capability", "dac_read_search", Level.HIGH),
        ("app_t", "process", "execmem", Level.HIGH),
        ("app_t", "process", "ptrace", Level.LOW),
        ("app_t", "bpf", "map_create", Level.HIGH),
        ("app_t", "perf_event", "open", Level.HIGH),
        ("app_t", "io_uring", "sqpoll", Level.HIGH),
        ("boss_t", "process", "ptrace", Level.HIGH),
        ("boss_t", "process", "transition", Level.HIGH),
        ("secret_t", "file", "read", Level.HIGH),
        ("shadow_t", "file", "write", Level.HIGH),
        ("container_var_run_t", "sock_file", "write", Level.HIGH),
        ("dockerd_t", "unix_stream_socket", "connectto", Level.HIGH),
        ("fixed_disk_device_t", "blk_file", "read", Level.HIGH),
        ("kernel_t", "system", "module_load", Level.HIGH),
        ("etc_t", "file", "write", Level.HIGH),
        ("conf_t", "file", "write", Level.MEDIUM),
        ("app_t", "capability", "net_admin", Level.MEDIUM),
        ("conf_t", "file", "read", Level.LOW),
        ("own_t", "file", "write", Level.LOW),
        ("own_t", "process", "ptrace", Level.HIGH),
        ("own_t", "process", "transition", Level.MEDIUM),
        ("container_file_t", "file", "write", Level.LOW),
        ("app_t", "capability", "setuid", Level.LOW),
        ("http_port_t", "tcp_socket", "name_bind", Level.LOW),
    ],
)
def test_the_risk_of(target: str, tclass: str, permission: str, level: Level) -> None:
    base = read_flat(BASE)
    index = PolicyIndex(base, read_candidates(["(type app_t) (type own_t)"], base))
    assert risk_of(index, "app_t", target, tclass, [permission]).level is level


TABLE = """
[[rule]]
level = "medium"
classes = ["file", "dir"]
permissions = ["read", "open"]
refpolicy = { types = ["secret_t"] }
fedora = { attributes = ["configfile"] }
own = false
reason = "a reason"

[[rule]]
level = "high"
classes = ["bpf"]
permissions = ["*"]
reason = "another reason"
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RiskRule, ...]]:
    """The rows of TABLE instead of those that selab has."""
    (tmp_path / "risk.toml").write_text(TABLE)
    monkeypatch.setattr(risk, "TABLE", tmp_path / "risk.toml")
    for cache in (risk._table, risk._rules):
        cache.cache_clear()
    yield risk._table()
    for cache in (risk._table, risk._rules):
        cache.cache_clear()


def test_a_row_has_what_the_table_says(rows: tuple[RiskRule, ...]) -> None:
    first = RiskRule(
        Level.MEDIUM,
        "a reason",
        frozenset({"file", "dir"}),
        frozenset({"read", "open"}),
        {"refpolicy": frozenset({"secret_t"}), "fedora": frozenset({"configfile"})},
        own=False,
    )
    second = RiskRule(Level.HIGH, "another reason", frozenset({"bpf"}), frozenset({"*"}))
    assert rows == (first, second)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("source", "target", "tclass", "permission", "level"),
    [
        ("boss_t", "secret_t", "file", "open", Level.MEDIUM),
        ("boss_t", "conf_t", "dir", "read", Level.MEDIUM),
        ("boss_t", "boss_t", "bpf", "anything", Level.HIGH),
        ("secret_t", "secret_t", "file", "open", Level.LOW),
        ("boss_t", "boss_t", "file", "open", Level.LOW),
        ("boss_t", "secret_t", "file", "write", Level.LOW),
        ("boss_t", "secret_t", "sock_file", "open", Level.LOW),
    ],
)
def test_a_row_matches_if_all_of_it_does(
    source: str, target: str, tclass: str, permission: str, level: Level
) -> None:
    index = PolicyIndex(read_flat(BASE))
    assert risk_of(index, source, target, tclass, [permission]).level is level


@pytest.mark.parametrize("level", list(Level))
def test_a_level_is_named_in_small_letters(level: Level) -> None:
    assert str(level) in {"low", "medium", "high"}


def test_the_worst_permission_counts_and_says_why() -> None:
    risk = risk_of(
        PolicyIndex(read_flat(BASE)), "app_t", "app_t", "capability", ["setuid", "net_admin", "sys_admin"]
    )
    assert (risk.level, "container" in risk.reason) == (Level.HIGH, True)


def test_a_rule_about_an_attribute_is_as_dangerous_as_its_worst_member() -> None:
    harmless = [f"a{number}_t" for number in range(100)]
    types = "".join(f"(type {name})\n" for name in [*harmless, "shadow_t"])
    text = f"(typeattribute many)\n{types}(typeattributeset many ({' '.join(harmless)} shadow_t))\n"
    assert risk_of(PolicyIndex(read_flat(text)), "app_t", "many", "file", ["read"]).level is Level.HIGH


def test_a_rule_about_every_type_is_as_dangerous_as_the_worst() -> None:
    assert risk_of(PolicyIndex(read_flat(BASE)), "app_t", "*", "file", ["read"]).level is Level.HIGH


@pytest.fixture(scope="module")
def centos() -> PolicyIndex:
    return PolicyIndex(read_flat(centos_like.flat_base()))


@pytest.fixture(scope="module")
def debian() -> PolicyIndex:
    """The names of Debian's policy, each as a type."""
    lines = DEBIAN_NAMES.read_text().splitlines()
    names = [name for line in lines if not line.startswith("#") for name in line.split()]
    return PolicyIndex(read_flat("".join(f"(type {name})\n" for name in names)))


@pytest.mark.parametrize("policy", ["centos", "debian"])
def test_each_name_of_the_table_matches_a_type_in(policy: str, request: pytest.FixtureRequest) -> None:
    assert names_without_a_type(request.getfixturevalue(policy)) == []


@pytest.mark.parametrize(("policy", "family"), [("centos", "fedora"), ("debian", "refpolicy")])
def test_a_policy_belongs_to_the_family_whose_names_it_has(
    policy: str, family: str, request: pytest.FixtureRequest
) -> None:
    assert family_of(request.getfixturevalue(policy)) == family


def test_each_row_about_types_names_some_for_each_family() -> None:
    rows = [rule.names for rule in risk._table() if rule.names]
    assert [names for names in rows if "both" not in names and {"refpolicy", "fedora"} - names.keys()] == []


def test_a_name_that_only_another_family_has_is_not_missing(centos: PolicyIndex) -> None:
    assert "systemdunit" in names_of("refpolicy")
    assert centos.members("systemdunit") == frozenset()


@pytest.mark.parametrize(
    ("target", "tclass", "permission", "level"),
    [
        ("systemd_unit_file_t", "file", "write", Level.HIGH),
        ("container_unit_file_t", "file", "create", Level.HIGH),
        ("container_ro_file_t", "file", "write", Level.HIGH),
        ("container_share_t", "dir", "add_name", Level.HIGH),
        ("container_ro_file_t", "file", "execute", Level.LOW),
        ("container_file_t", "file", "write", Level.LOW),
        ("init_t", "service", "start", Level.HIGH),
        ("container_unit_file_t", "service", "start", Level.HIGH),
        ("container_unit_file_t", "service", "status", Level.LOW),
        ("container_runtime_t", "process", "transition", Level.HIGH),
        ("kubelet_t", "process", "transition", Level.HIGH),
        ("container_engine_t", "process", "transition", Level.HIGH),
        ("init_t", "process", "transition", Level.HIGH),
        ("unconfined_service_t", "process", "transition", Level.HIGH),
        ("container_t", "process", "transition", Level.MEDIUM),
        ("container_runtime_t", "unix_stream_socket", "connectto", Level.HIGH),
        ("container_var_run_t", "sock_file", "write", Level.HIGH),
        ("init_t", "dbus", "send_msg", Level.HIGH),
        ("httpd_t", "dbus", "send_msg", Level.MEDIUM),
        ("container_var_lib_t", "file", "write", Level.HIGH),
        ("kubelet_var_lib_t", "file", "read", Level.MEDIUM),
        ("usermodehelper_t", "file", "write", Level.HIGH),
        ("udev_rules_t", "file", "create", Level.HIGH),
        ("binfmt_misc_fs_t", "file", "write", Level.HIGH),
        ("bootloader_etc_t", "file", "write", Level.HIGH),
        ("kdump_etc_t", "file", "append", Level.HIGH),
        ("system_conf_t", "file", "create", Level.HIGH),
        ("rpm_var_lib_t", "file", "write", Level.HIGH),
        ("rpm_var_lib_t", "file", "read", Level.LOW),
        ("selinux_config_t", "file", "read", Level.LOW),
        ("file_context_t", "dir", "open", Level.LOW),
        ("kmsg_device_t", "chr_file", "read", Level.MEDIUM),
        ("kernel_t", "system", "syslog_read", Level.MEDIUM),
        ("ssh_home_t", "file", "read", Level.HIGH),
        ("passwd_file_t", "file", "write", Level.HIGH),
        ("httpd_t", "file", "write", Level.HIGH),
        ("httpd_t", "file", "read", Level.MEDIUM),
        ("httpd_t", "process", "sigkill", Level.MEDIUM),
        ("httpd_t", "process2", "nnp_transition", Level.MEDIUM),
        ("httpd_sys_content_t", "file", "write", Level.MEDIUM),
        ("cert_t", "file", "read", Level.MEDIUM),
        ("vfio_device_t", "chr_file", "open", Level.HIGH),
        ("dri_device_t", "chr_file", "open", Level.LOW),
        ("http_port_t", "tcp_socket", "name_connect", Level.LOW),
    ],
)
def test_the_risk_on_centos_of(
    centos: PolicyIndex, target: str, tclass: str, permission: str, level: Level
) -> None:
    assert risk_of(centos, "rsync_t", target, tclass, [permission]).level is level


@pytest.mark.parametrize(
    ("target", "reason"), [("selinux_config_t", "SELinux policy"), ("shadow_t", "password hashes")]
)
def test_a_security_file_has_the_reason_of_its_own_kind(
    centos: PolicyIndex, target: str, reason: str
) -> None:
    assert reason in risk_of(centos, "rsync_t", target, "file", ["write"]).reason
