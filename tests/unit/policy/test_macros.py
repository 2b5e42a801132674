"""Compile here with a guest's headers: the result is the Makefile's, and nothing from the guest runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module, package
from selab.policy.interfaces import interface_table
from selab.policy.macros import build_options, header_macros
from selab.policy.module import PolicyModule
from selab.policy.toolchain import PP, Toolchain
from tests.unit.headers import CENTOS, DEBIAN, write_headers

POLICIES = {"debian": DEBIAN, "centos": CENTOS}
DOMAIN = "policy_module(web, 1.0)\ntype web_t;\nrole r types web_t;\n"
LIBRARY = {
    "te": b"policy_module(library, 1.0)\n",
    "if": b"interface(`library_read',`files_read_etc_files($1)')\n",
}
DEFINITIONS = (
    "enable_mcs",
    "enable_mls",
    "distro_debian",
    "distro_redhat",
    "init_systemd",
    "direct_sysadm_daemon",
    "enable_ubac",
    "hide_broken_symptoms",
)
SHOWN = "".join(f"ifdef(`{name}',`type has_{name}_t;')\n" for name in DEFINITIONS)
MODULES = {
    "a domain": {"te": DOMAIN + "files_read_etc_files(web_t)\n"},
    "a template": {"te": "policy_module(web, 1.0)\ncontainer_domain_template(web)\nbool shiny true;\n"},
    "file contexts": {
        "te": DOMAIN,
        "fc": "/web -- gen_context(u:object_r:web_t,s0)\n"
        "ifdef(`distro_redhat',`/x gen_context(u:object_r:web_t,s0)')\n",
    },
    "own interfaces": {
        "te": DOMAIN + "web_read(web_t)\n",
        "if": "interface(`web_read',`\n\tfiles_read_etc_files($1)\n')\n",
    },
    "another module's": {"te": DOMAIN + "library_read(web_t)\n"},
    "an interface of the headers": {
        "te": DOMAIN + "files_read_etc_files(web_t)\n",
        "if": "interface(`files_read_etc_files',`allow $1 self:file write;')\n",
    },
    "each definition": {"te": DOMAIN + SHOWN + "type cats_`'mcs_num_cats`'_sens_`'mls_num_sens`'_t;\n"},
    "an optional block": {"te": DOMAIN + "optional_policy(`files_read_config(web_t)')\n"},
}


def web(texts: dict[str, str]) -> PolicyModule:
    return PolicyModule("web", Path("/p"), {ending: text.encode() for ending, text in texts.items()})


def built_by_make(modules: tuple[PolicyModule, ...], base: BasePolicy, workdir: Path) -> bytes:
    """The package that the headers' Makefile builds of the first of the modules."""
    workdir.mkdir()
    for module in modules:
        for ending in ("te", "fc", "if"):
            (workdir / f"{module.name}.{ending}").write_bytes(module.texts.get(ending, b""))
    include = base.headers / "include"
    subprocess.run(
        ["make", "-f", f"{include}/Makefile", f"HEADERDIR={include}", f"{modules[0].name}.pp"],
        cwd=workdir,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return (workdir / f"{modules[0].name}.pp").read_bytes()


def whole(module: PolicyModule, *required: PolicyModule) -> PolicyModule:
    return PolicyModule(module.name, module.directory, module.texts, required)


@pytest.mark.toolchain
@pytest.mark.parametrize("texts", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize("settings", POLICIES.values(), ids=POLICIES)
def test_the_package_and_the_cil_are_those_of_the_makefile(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, settings: str, texts: dict[str, str]
) -> None:
    write_headers(base.headers, settings)
    library = PolicyModule("library", Path("/p"), LIBRARY)
    module = whole(web(texts), library)
    theirs = built_by_make((module, library), base, tmp_path / "make")
    pp = next(path for path in PP if Path(path).exists())
    (tmp_path / "theirs.pp").write_bytes(theirs)
    cil = subprocess.run([pp, str(tmp_path / "theirs.pp")], check=True, capture_output=True).stdout.decode()
    assert package(module, module, base, tools) == theirs
    assert compile_module(module, base, tools, [library]).cil == cil


@pytest.mark.toolchain
def test_the_macros_are_expanded_once_for_all_modules(base: BasePolicy, tools: Toolchain) -> None:
    write_headers(base.headers)
    states = set()
    for texts in MODULES.values():
        compile_module(web(texts), base, tools, [PolicyModule("library", Path("/p"), LIBRARY)])
        states |= {(path.name, path.stat().st_ino) for path in base.directory.glob("*.m4f")}
    assert len(states) == 2


@pytest.mark.toolchain
def test_the_comment_of_an_expansion_names_the_arguments(base: BasePolicy, tmp_path: Path) -> None:
    write_headers(base.headers)
    (tmp_path / "calls.m4").write_text("files_read_etc_files(web_t)\n")
    done = header_macros(base).expand(tmp_path, ["calls.m4"], [], lines=False)
    assert "# begin files_read_etc_files(web_t)\n" in done.text


@pytest.mark.parametrize(
    ("settings", "definitions"),
    [
        (
            DEBIAN,
            "enable_mcs distro_debian init_systemd direct_sysadm_daemon enable_ubac mls_num_sens=16 "
            "mls_num_cats=1024 mcs_num_cats=1024",
        ),
        (
            CENTOS,
            "enable_mcs distro_redhat hide_broken_symptoms mls_num_sens=16 "
            "mls_num_cats=1024 mcs_num_cats=1024",
        ),
        (
            "TYPE = mls\nMCS_CATS := 256 # fewer\nMCS_CATS ?= 7\n",
            "enable_mls hide_broken_symptoms mls_num_sens=16 mls_num_cats=1024 mcs_num_cats=256",
        ),
        (
            "",
            "hide_broken_symptoms mls_num_sens=16 mls_num_cats=1024 mcs_num_cats=1024",
        ),
    ],
    ids=["debian", "centos", "mls", "empty"],
)
def test_the_settings_are_read_as_data(base: BasePolicy, settings: str, definitions: str) -> None:
    write_headers(base.headers, settings)
    options = build_options(base.headers)
    assert (" ".join(options.definitions), options.mls) == (definitions, "TYPE" in settings)


@pytest.mark.parametrize(
    "line",
    [
        "DISTRO := $(shell touch made)",
        "MCS_CATS = `syscmd(touch made)'",
        "TYPE = mcs -D x",
        "DISTRO = x;id",
        "UBAC = -U",
    ],
)
def test_a_setting_that_is_no_word_is_an_error(base: BasePolicy, line: str) -> None:
    write_headers(base.headers, f"{line}\n")
    with pytest.raises(SelabError, match="build setting"):
        build_options(base.headers)


ATTACKS = {
    "the Makefile": ("Makefile", "$(shell touch {made})\nall: ; touch {made}\n%.pp: ; touch {made}\n"),
    "the macros": ("support/macros.spt", "syscmd(`touch {made}')esyscmd(`touch {made}')\n"),
    "the macros, by another name": ("support/macros.spt", "builtin(`syscmd',`touch {made}')\n"),
    "the macros, by a definition": ("support/macros.spt", "define(`x',defn(`syscmd'))x(`touch {made}')\n"),
    "an interface": ("kernel/files.if", "syscmd(`touch {made}')\n"),
    "an interface that is called": (
        "kernel/files.if",
        "interface(`files_read_etc_files',`syscmd(`touch {made}')')\n",
    ),
    "a log of m4's": ("support/macros.spt", "debugfile(`{made}')\n"),
    "a file's name": ("kernel/$(touch {made}).if", "x\n"),
    "an option as a file's name": ("kernel/-D x.if", "x\n"),
}


@pytest.mark.toolchain
@pytest.mark.parametrize(("name", "text"), ATTACKS.values(), ids=ATTACKS)
def test_nothing_in_the_headers_runs(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, name: str, text: str
) -> None:
    write_headers(base.headers)
    made = tmp_path / "made"
    path = base.headers / "include" / name.format(made="made")
    before = path.read_text() if path.exists() else ""
    path.write_text(before + text.replace("{made}", str(made)))
    try:
        interface_table(base)
        compile_module(web(MODULES["a domain"]), base, tools)
    except SelabError:
        pass
    assert not made.exists()


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["include", "sinclude", "undivert"])
def test_the_headers_read_no_other_file(base: BasePolicy, tmp_path: Path, name: str) -> None:
    write_headers(base.headers)
    (tmp_path / "secret").write_text("swordfish\n")
    path = base.headers / "include" / "support" / "macros.spt"
    path.write_text(path.read_text() + f"define(`stolen',{name}(`{tmp_path}/secret'))\n")
    (tmp_path / "calls.m4").write_text("stolen\n")
    done = header_macros(base).expand(tmp_path, ["calls.m4"], [], lines=False)
    assert b"swordfish" not in done.stdout


@pytest.mark.toolchain
@pytest.mark.parametrize("name", ["definitions", "interfaces"])
def test_macros_in_the_cache_that_were_changed_are_not_used(
    base: BasePolicy, tmp_path: Path, name: str
) -> None:
    write_headers(base.headers)
    header_macros(base)
    state = next(base.directory.glob(f"{name}-*.m4f"))
    state.write_text(state.read_text().replace("V1\n", "V1\nF4,6\nboomsyscmd\n", 1))
    call = f"boom(`touch {tmp_path}/made')\n"
    (tmp_path / "web.if").write_text(call)
    (tmp_path / "calls.m4").write_text(call)
    header_macros(base).expand(tmp_path, ["calls.m4"], ["web.if"], lines=False)
    assert not (tmp_path / "made").exists()


@pytest.mark.toolchain
def test_an_own_interface_with_an_open_quote_names_the_users_file(base: BasePolicy, tools: Toolchain) -> None:
    write_headers(base.headers)
    with pytest.raises(InputError) as caught:
        compile_module(web({"te": DOMAIN, "if": "interface(`web_read',`\n"}), base, tools)
    assert "/p/web.if:1: end of file in string" in caught.value.detail


@pytest.mark.toolchain
def test_an_unknown_type_names_the_users_line(base: BasePolicy, tools: Toolchain) -> None:
    write_headers(base.headers)
    with pytest.raises(InputError) as caught:
        compile_module(web({"te": DOMAIN + "allow web_t no_t:file read;\n"}), base, tools)
    assert caught.value.detail.startswith("/p/web.te:4: unknown type no_t")
