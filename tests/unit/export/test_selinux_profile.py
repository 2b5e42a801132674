"""The format spo: what the operator makes of a profile has the rules of the policy.

`translated` does what the operator does, after its internal/pkg/translator/obj2cil.go and
internal/pkg/daemon/selinuxprofile/rawselinuxprofile.go.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from selab.errors import InputError
from selab.export.material import Material
from selab.export.selinux_profile import MAX_POLICY, spo
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule, link
from selab.policy.compile_cil import compile_cil
from selab.policy.language.cil import statements, text_of
from selab.policy.module import PolicyModule
from selab.policy.toolchain import Toolchain

from .conftest import BOX, CIL, TE, MaterialOf, cil, paths, te


def profile_of(material: Material) -> dict[str, Any]:
    (file,) = spo(material).files
    profile: dict[str, Any] = yaml.safe_load(file.data)
    assert profile["apiVersion"] == "security-profiles-operator.x-k8s.io/v1alpha2"
    return profile


def translated(profile: dict[str, Any]) -> str:
    """Return the CIL that the operator makes of a profile."""
    name, spec = profile["metadata"]["name"], profile["spec"]
    if profile["kind"] == "RawSelinuxProfile":
        return f"(block {name}\n{spec['policy']})\n"
    lines = [f"(block {name}", "(blockinherit container)"]
    lines += [f"(blockinherit {each['name']})" for each in spec["inherit"] if each["name"] != "container"]
    for target, classes in spec["allow"].items():
        label = f"{name}.process" if target == "@self" else target
        for tclass, permissions in classes.items():
            lines.append(f"(allow process {label} ({tclass} ({' '.join(permissions)})))")
    return "\n".join([*lines, ")"])


def rules(compiled: CompiledModule, domain: str) -> set[str]:
    """Return the statements of a policy, with its domain called DOMAIN and each permission by itself."""
    result = set()
    for statement in statements(compiled.cil):
        text = text_of(statement).replace(domain, "DOMAIN").replace(" self ", " DOMAIN ")
        match statement:
            case ["allow", *_, [str(tclass), [*permissions]]]:
                head = text.partition(f" ({tclass} ")[0]
                result |= {f"{head} {tclass} {permission}" for permission in permissions}
            case _:
                result.add(text)
    return {each for each in result if "cil_gen_require" not in each}


def read_back(profile: dict[str, Any], base: BasePolicy, tmp_path: Path) -> CompiledModule:
    """Compile what the operator makes of a profile, with a template of its own."""
    tools = Toolchain(LocalHost(), str(tmp_path / "operator"))
    module = PolicyModule("operator", Path("policies"), {"cil": translated(profile).encode()})
    compiled = compile_cil(module, base, tools, cil().requires)
    link(base, [compiled], tools)
    return compiled


@pytest.mark.toolchain
def test_what_udica_writes_is_read_back_to_the_same_rules(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path
) -> None:
    material = proven(cil())
    profile = profile_of(material)
    assert profile["kind"] == "SelinuxProfile"
    assert profile["spec"] == {
        "inherit": [{"kind": "System", "name": "container"}],
        "allow": {
            "@self": {"fifo_file": ["read", "write"]},
            "http_port_t": {"tcp_socket": ["name_bind"]},
        },
    }
    compiled = read_back(profile, centos, tmp_path)
    assert rules(compiled, "web.process") == rules(material.compiled["web"], "web.process")


@pytest.mark.toolchain
def test_a_te_has_its_rules_without_those_of_the_container_template(proven: MaterialOf) -> None:
    profile = profile_of(proven(te()))
    assert profile["kind"] == "SelinuxProfile"
    assert profile["spec"]["inherit"] == [{"kind": "System", "name": "container"}]
    assert profile["spec"]["allow"] == {
        "etc_t": {"file": ["getattr", "read"]},
        "http_port_t": {"tcp_socket": ["name_bind"]},
    }


@pytest.mark.toolchain
@pytest.mark.parametrize(
    "text",
    [
        CIL.replace(b"(blockinherit container)", BOX.partition(b"(blockabstract container)")[2][:-2]),
        CIL.replace(b"(fifo_file (read write))", b"(fifo_file (all))"),
        CIL.replace(b"(allow process self", b"(dontaudit process self"),
        CIL.replace(
            b"(blockinherit container)", b"(blockinherit container) (type data) (roletype object_r data)"
        ),
        CIL + b"(type web_data) (allow web.process web_data (file (read)))",
        CIL.replace(b"self (fifo_file", b"self (file (not (write)))) (allow process self (fifo_file"),
    ],
    ids=["own domain", "all permissions", "dontaudit", "own type", "outside of the block", "expression"],
)
def test_what_a_profile_cannot_express_is_raw_and_read_back_to_the_same_rules(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path, text: bytes
) -> None:
    material = proven(cil(text))
    profile = profile_of(material)
    assert profile["kind"] == "RawSelinuxProfile"
    compiled = read_back(profile, centos, tmp_path)
    original = {
        each.replace("web.data", "web.web_data").replace(" web_data", " web.web_data")
        for each in rules(material.compiled["web"], "web.process")
    }
    assert {each.replace("(type web_data)", "(type web.web_data)") for each in original} == rules(
        compiled, "web.process"
    )


@pytest.mark.toolchain
@pytest.mark.parametrize(
    "more",
    [
        b"optional_policy(`gen_require(`type shadow_t;') allow web_t shadow_t:file read;')\n",
        b"type web_data_t;\nfiles_type(web_data_t)\nallow web_t web_data_t:file read;\n",
        b"dontaudit web_t etc_t:file write;\n",
        b"allow etc_t web_t:file read;\n",
    ],
    ids=["optional", "own type", "dontaudit", "rule of another type"],
)
def test_a_te_with_more_than_rules_of_its_domain_is_raw(
    proven: MaterialOf, centos: BasePolicy, tmp_path: Path, more: bytes
) -> None:
    material = proven(te(te=TE + more))
    profile = profile_of(material)
    assert profile["kind"] == "RawSelinuxProfile"
    compiled = read_back(profile, centos, tmp_path)
    assert "web.process" in compiled.types


@pytest.mark.toolchain
def test_a_rule_of_the_template_that_the_author_wrote_again_stays(proven: MaterialOf) -> None:
    again = b"allow web_t container_file_t:file { read getattr open execute map entrypoint };\n"
    assert "container_file_t" in profile_of(proven(te(te=TE + again)))["spec"]["allow"]


@pytest.mark.toolchain
def test_a_te_without_a_container_template_is_raw(proven: MaterialOf) -> None:
    text = b"policy_module(web, 1.0)\ngen_require(`type etc_t;')\ntype web_t;\nallow web_t etc_t:file read;\n"
    assert profile_of(proven(te(te=text)))["kind"] == "RawSelinuxProfile"


def test_what_the_operator_refuses_by_default_is_noted(proven: MaterialOf) -> None:
    text = CIL.replace(
        b"(fifo_file (read write))", b"(capability (setuid)) ) (allow process proc_t (dir (mounton))"
    )
    notes = " ".join(spo(proven(cil(text))).notes)
    assert "class capability, permission mounton" in notes


def test_a_policy_that_requires_another_one_is_refused(proven: MaterialOf) -> None:
    other = PolicyModule("db", Path("policies"), {"te": b"policy_module(db, 1.0)\n"})
    with pytest.raises(InputError, match="cannot be a single profile") as caught:
        spo(proven(replace(te(), requires=(other,))))
    assert caught.value.detail == "It requires db."


@pytest.mark.toolchain
def test_a_policy_without_a_domain_of_its_name_is_refused(proven: MaterialOf) -> None:
    with pytest.raises(InputError, match="does not declare the type web_t"):
        spo(proven(cil(b"(type other_t) (allow other_t etc_t (file (read)))")))


def test_cil_that_cannot_be_read_is_refused_at_its_line(proven: MaterialOf) -> None:
    with pytest.raises(InputError) as caught:
        spo(proven(cil(CIL + b")")))
    assert "web.cil:5" in caught.value.detail


@pytest.mark.toolchain
def test_two_names_that_would_become_one_are_refused(proven: MaterialOf) -> None:
    with pytest.raises(InputError, match="cannot be those of one block"):
        spo(proven(cil(CIL[:-2] + b"(type data))\n(type web_data)")))


@pytest.mark.toolchain
def test_a_text_that_the_api_refuses_is_refused(proven: MaterialOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selab.export.selinux_profile.MAX_POLICY", 10)
    with pytest.raises(InputError, match="too large"):
        spo(proven(cil(CIL + b"(type x_t)")))
    assert MAX_POLICY == 500_000


def test_the_profiles_name_is_one_of_kubernetes(proven: MaterialOf) -> None:
    module = replace(cil(CIL.replace(b"block web", b"block my_web")), name="my_web")
    assert paths(spo(proven(module))) == ["my-web.yaml"]
