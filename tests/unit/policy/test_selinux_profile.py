"""Profiles of the security-profiles-operator as CIL.

The expected rules are those of the operator's own translation (obj2cil.go, its tests and its examples).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.errors import InputError
from selab.policy.language.cil_source import parse, walk
from selab.policy.module import load_module
from selab.policy.module_files import policy_names
from selab.policy.selinux_profile import refused_at, translated
from selab.project import Project, find_project

HEAD = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SelinuxProfile\nmetadata: {name: web}\n"
RAW = HEAD.replace("Selinux", "RawSelinux", 1)
LOG = {
    "dir": ["open", "read", "getattr", "lock", "search", "ioctl", "add_name", "remove_name", "write"],
    "file": ["getattr", "read", "write", "append", "ioctl", "lock", "map", "open", "create"],
    "sock_file": ["getattr", "read", "write", "append", "open"],
}
"""What the operator's example `errorlogger` may do with logs."""


def rules(text: str, name: str = "web") -> list[str]:
    """Return the statements in the block that a profile becomes."""
    cil = translated(text, Path(f"policies/{name}.yaml"))
    (block,) = parse(cil)
    assert block.words == ("block", name)
    return [" ".join(cil[each.begin : each.end].split()) for each in block.lists]


def example(kind: str, spec: dict[str, Any], version: str = "v1", name: str = "web") -> str:
    """Return a profile as JSON, which is YAML, and which is written faster."""
    return json.dumps({
        "apiVersion": f"security-profiles-operator.x-k8s.io/{version}",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    })  # fmt: skip


@pytest.mark.parametrize("version", ["v1", "v1alpha2"])
def test_the_operators_example_has_the_rules_that_the_operator_gives_it(version: str) -> None:
    spec = {"inherit": [{"name": "container"}], "allow": {"var_log_t": LOG}}
    assert sorted(rules(example("SelinuxProfile", spec, version))) == [
        f"(allow process var_log_t ({tclass} ({' '.join(sorted(permissions))})))"
        for tclass, permissions in sorted(LOG.items())
    ] + ["(blockinherit container)"]


def test_the_operators_raw_example_is_its_text_in_a_block() -> None:
    statements = [f"(allow process var_log_t ({tclass} ({' '.join(LOG[tclass])})))" for tclass in LOG]
    policy = "\n".join(["(blockinherit container)", *statements, ""])
    assert rules(example("RawSelinuxProfile", {"policy": policy})) == [
        "(blockinherit container)",
        *statements,
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", ["(blockinherit container)"]),
        ("{inherit: []}", ["(blockinherit container)"]),
        ("{inherit: [{kind: System, name: net}]}", ["(blockinherit container)", "(blockinherit net)"]),
        ("{inherit: [{kind: SelinuxProfile, name: base}]}", ["(blockinherit base)"]),
        (
            "{inherit: [{kind: SelinuxProfile, name: base}, {name: net}]}",
            ["(blockinherit base)", "(blockinherit net)"],
        ),
        ("{mode: Permissive}", ["(blockinherit container)", "(typepermissive process)"]),
        ("{permissive: true}", ["(blockinherit container)", "(typepermissive process)"]),
        ("{mode: Enforcing}", ["(blockinherit container)"]),
        (
            '{allow: {"@self": {tcp_socket: [listen, listen]}}}',
            ["(blockinherit container)", "(allow process web.process (tcp_socket (listen)))"],
        ),
    ],
)
def test_a_profile_inherits_and_allows_what_the_operator_says(spec: str, expected: list[str]) -> None:
    assert rules(f"{HEAD}spec: {spec}\n") == expected


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=3), max_size=3)))
def test_each_rule_of_a_profile_is_one_of_the_block(allow: dict[str, dict[str, list[str]]]) -> None:
    expected = [
        f"(allow process {target} ({tclass} ({' '.join(sorted(set(permissions)))})))"
        for target, classes in allow.items()
        for tclass, permissions in classes.items()
    ]
    assert sorted(rules(example("SelinuxProfile", {"allow": allow}))) == sorted(
        [*expected, "(blockinherit container)"]
    )


PROFILE = f"""{HEAD}spec:
  inherit:
    - name: container
    - name: net
  allow:
    http_port_t:
      tcp_socket:
        - name_bind
      udp_socket: [name_bind]
    "@self":
      fifo_file: [read]
"""


def test_each_statement_is_in_the_line_of_its_source() -> None:
    cil = translated(PROFILE, Path("web.yaml"))
    lines = PROFILE.splitlines()
    for statement in walk(parse(cil)):
        if statement.keyword == "allow":
            tclass = cil[statement.begin : statement.end].split("(")[2].strip()
            assert lines[statement.line - 1].strip().startswith(f"{tclass}:")
        if statement.words == ("blockinherit", "net"):
            assert lines[statement.line - 1].strip() == "- name: net"


def test_the_text_of_a_raw_profile_is_in_its_lines() -> None:
    text = f"{RAW}spec:\n  policy: |\n    (type a)\n\n    ; why\n    (type b)\n"
    places = {each.words: each.line for each in walk(parse(translated(text, Path("web.yaml"))))}
    assert (places["type", "a"], places["type", "b"]) == (6, 9)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD.replace("web", "other"), "different name"),
        (HEAD.replace("SelinuxProfile", "SeccompProfile"), "kind"),
        (HEAD.replace("/v1", "/v9"), "apiVersion"),
        (HEAD + "spec: {allows: {}}\n", "no such key"),
        (HEAD + "spec: {allow: {a: {file: [read)]}}}\n", "allow"),
        (HEAD + 'spec: {allow: {"a (b": {file: [read]}}}\n', "allow"),
        (HEAD + 'spec: {inherit: [{name: "x) (type y"}]}\n', "inherit"),
        (HEAD + "---\n" + HEAD, "YAML"),
        ("[", "YAML"),
    ],
)
def test_what_is_no_profile_of_that_name_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        translated(text, Path("policies/web.yaml"))
    assert problem in str(caught.value)


def test_what_the_operator_refuses_by_default_has_its_line() -> None:
    text = f"{HEAD}spec:\n  allow:\n    shadow_t:\n      capability: [setuid]\n      dir: [read, mounton]\n"
    assert sorted(refused_at(text, Path("web.yaml"))) == [
        (7, "class capability"),
        (7, "type shadow_t"),
        (8, "permission mounton"),
        (8, "type shadow_t"),
    ]


def test_a_profile_of_the_project_is_a_candidate(project: Project) -> None:
    (project.policies / "web.yaml").write_text(PROFILE)
    module = load_module(project, "web")
    assert policy_names(project) == ["web"]
    assert (module.language, module.path.name, module.domain) == ("cil", "web.yaml", "web.process")


def test_the_templates_of_a_profile_are_looked_up(project: Project) -> None:
    project.templates.mkdir()
    (project.templates / "base_container.cil").write_text("(block container (type process))")
    (project.policies / "web.yaml").write_text(HEAD)
    assert [each.name for each in load_module(project, "web").requires] == ["base_container"]


def test_a_profile_may_inherit_another_one_that_it_requires(project: Project) -> None:
    (project.root / "selab.yaml").write_text("policies: {web: {requires: [base]}}")
    (project.policies / "base.yaml").write_text(HEAD.replace("web", "base"))
    (project.policies / "web.yaml").write_text(
        HEAD + "spec: {inherit: [{kind: SelinuxProfile, name: base}]}\n"
    )
    module = load_module(find_project(project.root), "web")
    assert [each.name for each in module.requires] == ["base_container", "base"]
    assert module.domain == "web.process"


def test_a_profile_that_is_not_utf8_is_refused_at_its_line(project: Project) -> None:
    (project.policies / "web.yaml").write_bytes(HEAD.encode() + b"# \xff\n")
    with pytest.raises(InputError) as caught:
        load_module(project, "web")
    assert "web.yaml:4" in caught.value.detail


def test_another_text_of_a_profile_is_translated_too(project: Project) -> None:
    (project.policies / "web.yaml").write_text(HEAD)
    other = load_module(project, "web").with_main(PROFILE.encode())
    assert b"http_port_t" in other.texts["cil"]
