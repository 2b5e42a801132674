"""The table of what leads out of a container."""

from __future__ import annotations

import pytest

from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.query.index import PolicyIndex
from selab.policy.query.risk import Level, risk_of

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
        ("container_file_t", "file", "write", Level.LOW),
        ("app_t", "capability", "setuid", Level.LOW),
        ("http_port_t", "tcp_socket", "name_bind", Level.LOW),
    ],
)
def test_the_risk_of(target: str, tclass: str, permission: str, level: Level) -> None:
    base = read_flat(BASE)
    index = PolicyIndex(base, read_candidates(["(type app_t) (type own_t)"], base))
    assert risk_of(index, "app_t", target, tclass, [permission]).level is level


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
