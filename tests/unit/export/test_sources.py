"""The formats te, cil and pp."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from selab.errors import InputError
from selab.export import sources
from selab.policy.toolchain import PP

from .conftest import MaterialOf, cil, paths, te, text_of, written


def test_te_has_every_source(proven: MaterialOf) -> None:
    exported = sources.te(proven(te(fc=b"", **{"if": b""})))
    assert paths(exported) == ["web.fc", "web.if", "web.te"]


@pytest.mark.parametrize("form", [sources.te, sources.pp])
def test_a_policy_in_cil_is_refused_with_the_form_to_use(proven: MaterialOf, form: object) -> None:
    assert callable(form)
    with pytest.raises(InputError, match="is not a .te") as caught:
        form(proven(cil()))
    assert "--as cil" in caught.value.hint


def test_cil_is_installed_with_its_templates_in_one_transaction(proven: MaterialOf) -> None:
    exported = sources.cil(proven(cil()))
    assert exported.commands == ("semodule -X 400 -i base_container.cil web.cil",)


@pytest.mark.toolchain
def test_semodules_own_reader_reads_the_package(proven: MaterialOf, tmp_path: Path) -> None:
    exported = sources.pp(proven(te(fc=b"/srv/web gen_context(system_u:object_r:etc_t,s0)\n")))
    out = written(exported, tmp_path / "out")
    translator = next(path for path in PP if Path(path).exists())
    done = subprocess.run([translator, out / "web.pp"], capture_output=True, text=True, check=True)
    assert "(allow web_t http_port_t (tcp_socket (name_bind)))" in done.stdout
    subprocess.run(
        ["semodule_unpackage", out / "web.pp", tmp_path / "mod", tmp_path / "contexts"], check=True
    )
    assert (tmp_path / "contexts").read_text().strip() == "/srv/web system_u:object_r:etc_t:s0"


@pytest.mark.toolchain
def test_a_text_beside_the_package_has_the_header(proven: MaterialOf) -> None:
    material = proven(te())
    assert text_of(sources.pp(material), "web.pp.txt").splitlines() == list(material.proof.header)
