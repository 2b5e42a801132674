"""Policies of kind UdicaPolicy: each becomes what udica 0.2.2 itself writes for the same facts."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selab.errors import InputError
from selab.policy.language.cil_source import parse, walk
from selab.policy.module import load_module
from selab.policy.module_files import policy_names
from selab.policy.udica_policy import CAPABILITIES, KIND, MOST, kind_of, laid_out, translated
from selab.project import Project

PATH = Path("policies/web.yaml")
PORTS = {("tcp", 80): "http_port_t", ("tcp", 8080): "http_cache_port_t", ("udp", 53): "dns_port_t"}
CONTEXTS = {
    "/srv/web(/.*)?": "web_content_t",
    "/srv/webdav(/.*)?": "dav_content_t",
    "/srv/web/log(/.*)?": "web_log_t",
    "/dev/fuse": "fuse_device_t",
    "/.*": "default_t",
}
LOOKED_UP = {"/srv/web": "web_content_t", "/srv/other": "default_t", "/dev/fuse": "fuse_device_t"}
"""What libselinux answers with these file contexts."""


class Labels:
    """A base policy with PORTS and CONTEXTS."""

    def port_type(self, protocol: str, number: int) -> str:
        return PORTS[protocol, number]

    def types_of(self, path: str) -> tuple[str, ...]:
        if path not in LOOKED_UP:
            return ()
        return (LOOKED_UP[path], *(name for text, name in CONTEXTS.items() if text.startswith(path)))


Rules = tuple[set[str], dict[tuple[str, str], set[str]]]


def rules(cil: str) -> Rules:
    """Return the inherited blocks, and the permissions of the domain by target and class."""
    (block,) = parse(cil)
    assert block.words == ("block", "web")
    allowed: dict[tuple[str, str], set[str]] = {}
    for rule in block.lists:
        if rule.keyword == "allow":
            keyword, source, target = rule.words
            assert source == "process"
            (access,) = rule.lists
            allowed.setdefault((target, access.words[0]), set()).update(access.lists[0].words)
    return {each.name for each in block.lists if each.keyword == "blockinherit"}, allowed


def mine(facts: dict[str, Any]) -> Rules:
    return rules(block_of(facts))


def block_of(facts: dict[str, Any]) -> str:
    """Return the block that a UdicaPolicy with these facts becomes; its file is JSON, which is YAML too."""
    return translated(json.dumps({"kind": KIND} | facts), PATH, Labels())


@dataclass
class Udica:
    """udica itself, on a system with PORTS and CONTEXTS."""

    policy: ModuleType
    parse: ModuleType
    options: dict[str, Any] = field(default_factory=dict)

    def rules(self, facts: dict[str, Any]) -> Rules:
        """Return what it writes for the inspection of a container of podman with these facts."""
        inspected = [
            {
                "Config": {"Env": ["container=podman"]},
                "EffectiveCaps": facts.get("capabilities", []),
                "Mounts": [
                    {"Source": each["path"], "RW": each["access"] == "rw"} for each in facts.get("mounts", [])
                ],
                "NetworkSettings": {
                    "Ports": {
                        f"1/{each['protocol']}/{number}": [{"HostPort": str(each["port"])}]
                        for number, each in enumerate(facts.get("ports", []))
                    }
                },
            }
        ]
        options = {
            "ContainerName": "web",
            "Caps": None,
            "FullNetworkAccess": facts.get("full_network_access", False),
            "VirtAccess": facts.get("virt_access", False),
            "XAccess": facts.get("x_access", False),
            "TtyAccess": facts.get("tty_access", False),
            "StreamConnect": facts.get("stream_connect"),
        }
        self.policy.create_policy(
            options,
            self.parse.get_caps(inspected, options, "podman"),
            self.parse.get_mounts(inspected, "podman"),
            self.parse.get_ports(inspected, "podman"),
            None,
            "podman",
        )
        return rules(Path("web.cil").read_text())


def semanage() -> SimpleNamespace:
    """The part of libsemanage that udica uses."""
    first: Callable[[Any], Any] = lambda entry: entry[0]  # noqa: E731
    return SimpleNamespace(
        semanage_handle_create=lambda: None,
        semanage_connect=lambda handle: 0,
        semanage_fcontext_list=lambda handle: (0, list(CONTEXTS.items())),
        semanage_fcontext_list_local=lambda handle: (0, []),
        semanage_fcontext_list_homedirs=lambda handle: (0, []),
        semanage_fcontext_get_expr=first,
        semanage_fcontext_get_con=lambda entry: entry[1],
        semanage_context_get_type=lambda context: context,
        semanage_port_list=lambda handle: (0, list(PORTS.items())),
        semanage_port_list_local=lambda handle: (0, []),
        semanage_port_get_con=lambda entry: entry[1],
        semanage_port_get_proto=lambda entry: entry[0][0],
        semanage_port_get_proto_str=lambda name: name,
        semanage_port_get_low=lambda entry: entry[0][1],
        semanage_port_get_high=lambda entry: entry[0][1],
    )


@pytest.fixture
def udica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Udica:
    """udica writes into the current directory, and its libraries read the running system's policy."""
    selinux = SimpleNamespace(
        SELABEL_CTX_FILE=0,
        selabel_open=lambda *_: None,
        selabel_lookup=lambda handle, path, mode: (0, f"system_u:object_r:{LOOKED_UP[path]}:s0"),
    )
    monkeypatch.setitem(sys.modules, "selinux", selinux)
    monkeypatch.setitem(sys.modules, "semanage", semanage())
    monkeypatch.delitem(sys.modules, "udica.policy", raising=False)
    monkeypatch.chdir(tmp_path)
    return Udica(importlib.import_module("udica.policy"), importlib.import_module("udica.parse"))


ACCESS = st.sampled_from(["ro", "rw"])
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "capabilities": st.lists(
            st.sampled_from(sorted(CAPABILITIES["capability"])).map(lambda name: f"CAP_{name.upper()}")
        ),
        "ports": st.lists(
            st.sampled_from(sorted(PORTS)).map(lambda key: {"protocol": key[0], "port": key[1]}), max_size=3
        ),
        "mounts": st.lists(
            st.fixed_dictionaries(
                {
                    "path": st.sampled_from(["/srv/web", "/srv/other", "/etc", "/home", "/tmp", "/var/log"]),
                    "access": ACCESS,
                }
            ),
            max_size=3,
        ),
        "stream_connect": st.just("other"),
        "full_network_access": st.booleans(),
        "virt_access": st.booleans(),
        "x_access": st.booleans(),
        "tty_access": st.booleans(),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FACTS)
def test_it_grants_what_udica_grants_for_the_same_facts(udica: Udica, facts: dict[str, Any]) -> None:
    assert mine(facts) == udica.rules(facts)


@pytest.mark.parametrize("written", ["CHOWN", "CAP_CHOWN", "chown", "cap_chown"])
def test_a_capability_may_be_written_as_engines_and_policies_write_it(written: str) -> None:
    assert mine({"capabilities": [written]})[1] == {("process", "capability"): {"chown"}}


def test_a_capability_of_the_second_class_is_of_that_class() -> None:
    """udica writes it into the first class, which has no such permission."""
    assert mine({"capabilities": ["SYSLOG"]})[1] == {("process", "capability2"): {"syslog"}}


def test_the_capabilities_are_those_that_udica_knows_and_three_newer_ones() -> None:
    perms = importlib.import_module("udica.perms")
    known = {name.strip() for name in perms.cap.values()}
    assert CAPABILITIES["capability"] | CAPABILITIES["capability2"] == known | {
        *("bpf", "checkpoint_restore", "perfmon"),
    }


def test_a_device_may_be_used_as_a_block_device_and_as_a_character_device() -> None:
    """The permissions are those of udica's versions with the option --devices."""
    permissions = {"append", "getattr", "ioctl", "lock", "open", "read", "write"}
    assert mine({"devices": ["/dev/fuse"]})[1] == {
        ("fuse_device_t", tclass): permissions for tclass in ("blk_file", "chr_file")
    }


def test_a_template_is_inherited_once() -> None:
    text = f"kind: {KIND}\ntemplates: [container, net_container, net_container]\nfull_network_access: true\n"
    blocks = [each.name for each in walk(parse(translated(text, PATH))) if each.keyword == "blockinherit"]
    assert sorted(blocks) == ["container", "net_container"]


def test_a_rule_is_written_once() -> None:
    mounts = [{"path": "/srv/web", "access": "rw"}] * 3
    assert block_of({"mounts": mounts}).count("web_log_t (dir") == 1


@pytest.mark.parametrize("key", ["templates", "capabilities", "ports", "mounts", "devices"])
def test_a_list_has_a_limit(key: str) -> None:
    entry = {"templates": "a", "capabilities": "chown", "ports": {"port": 80}, "mounts": {"path": "/tmp"}}
    values = [entry.get(key, "/dev/fuse")] * (MOST + 1)
    mine({key: values[1:]})
    with pytest.raises(InputError, match=f"{key}: "):
        mine({key: values})


def test_the_block_can_be_laid_out_with_a_line_for_each_statement() -> None:
    cil = translated(WHOLE, PATH, Labels())
    text = laid_out(cil)
    assert rules(text) == rules(cil)
    first, *statements, last = text.splitlines()
    assert (first, last) == ("(block web", ")")
    assert [line.startswith("    (") for line in statements] == [True] * len(parse(cil)[0].lists)


WHOLE = f"""\
kind: {KIND}
templates:
  - log_container
capabilities: [chown]
ports:
  - port: 8080
    protocol: tcp
mounts:
  - {{path: /srv/web, access: rw}}
  - {{path: /tmp}}
devices: [/dev/fuse]
stream_connect: other
tty_access: true
"""


def test_each_statement_is_in_the_line_of_its_source() -> None:
    (block,) = parse(translated(WHOLE, PATH, Labels()))
    lines = {" ".join((each.keyword, *each.words[-1:])): each.line for each in block.lists}
    assert lines == {
        "blockinherit container": 1,
        "blockinherit log_container": 3,
        "allow process": 4,
        "blockinherit restricted_net_container": 5,
        "allow http_cache_port_t": 6,
        "allow web_content_t": 9,
        "allow dav_content_t": 9,
        "allow web_log_t": 9,
        "blockinherit tmp_container": 10,
        "allow fuse_device_t": 11,
        "allow other.process": 12,
        "allow other.socket": 12,
        "blockinherit tty_container": 13,
    }


def test_without_a_base_policy_the_rules_about_its_types_are_missing() -> None:
    inherited, allowed = rules(translated(WHOLE, PATH))
    assert inherited == rules(translated(WHOLE, PATH, Labels()))[0]
    assert {target for target, _ in allowed} == {"process", "other.process", "other.socket"}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("port: []", 2, "port: there is no such key"),
        ("ports: 80", 2, "ports"),
        ("ports:\n  - {port: 80}\n  - {port: 0}", 4, "ports.1.port"),
        ("ports: [{port: true}]", 2, "ports.0.port"),
        ("ports: [{port: 80, protocol: icmp}]", 2, "ports.0.protocol"),
        ("ports: [{protocol: tcp}]", 2, "ports.0.port: is required"),
        ("mounts: [/srv/web]", 2, "mounts.0"),
        ("mounts: [{path: srv}]", 2, "mounts.0.path"),
        ("mounts: [{path: /srv/}]", 2, "write it as /srv"),
        ("mounts: [{path: /srv/../etc}]", 2, "write it as /etc"),
        ("mounts: [{path: /srv/web, access: wo}]", 2, "mounts.0.access"),
        ("mounts:\n  - {path: /srv/lost}", 3, "no context for '/srv/lost'"),
        ("devices:\n  - /dev/fuse\n  - /dev/lost", 4, "no context for '/dev/lost'"),
        ("capabilities:\n  - chown\n  - chwon", 4, "There is no capability 'chwon'"),
        ('capabilities: ["a) (type b"]', 2, "capabilities.0"),
        ('templates: ["a) (type b"]', 2, "templates.0"),
        ('stream_connect: "a.process (file"', 2, "stream_connect"),
        ("tty_access: 1", 2, "tty_access"),
        ("kind: UdicaPolicy", 2, "kind"),
    ],
)
def test_what_is_wrong_is_refused_at_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        translated(f"kind: {KIND}\n{text}\n", PATH, Labels())
    assert (caught.value.detail, problem in caught.value.what) == (f"{PATH}:{line}", True)


def test_a_misspelt_capability_gets_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        mine({"capabilities": ["CAP_SETUDI"]})
    assert "'setuid'" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"kind: {KIND}", (KIND, 1)),
        ("a: [1]\nkind: b", ("b", 2)),
        ("\nkind: [a]", ("", 2)),
        ("a: 1", ("", 1)),
        ("", ("", 1)),
    ],
)
def test_the_kind_of_a_file_is_known_before_its_other_keys(text: str, kind: tuple[str, int]) -> None:
    assert kind_of(text, PATH) == kind


def test_a_udica_policy_of_the_project_is_a_candidate(project: Project) -> None:
    (project.policies / "web.yaml").write_text(WHOLE)
    module = load_module(project, "web")
    assert policy_names(project) == ["web"]
    assert (module.language, module.path.name, module.domain) == ("cil", "web.yaml", "web.process")
    assert [each.name for each in module.templates] == [
        *("base_container", "log_container", "net_container", "tmp_container", "tty_container"),
    ]


def test_the_example_of_the_documentation_is_a_udica_policy() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/cil.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert kind_of(example, PATH)[0] == KIND
    assert rules(translated(example, PATH))[0] == {
        *("container", "restricted_net_container", "log_container", "tty_container"),
    }
