"""Policy text, policy names and what a guest prints are data: this machine executes none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.guest import Completed
from selab.policy.module import load_module
from selab.policy.survey import _facts
from selab.policy.toolchain import M4
from selab.project import Project, find_project

STORE = (
    "signature s\ntype {}\npolicyvers 33\nmls 1\nexpand 0\nstore\nsignature\n"
    + "a" * 64
    + "  modules/100/base/cil\n"
)


def expanded(tmp_path: Path, text: str, m4: str = M4) -> str:
    """What the macro processor, as the distribution's Makefile calls it here, makes of a policy's text."""
    from selab.host.local import LocalHost

    (tmp_path / "web.te").write_text(text)
    return LocalHost().run(["sh", "-c", f'cd "$1" && {m4} -D enable_mcs -s web.te', "sh", str(tmp_path)]).text


ATTACKS = {
    "syscmd": "syscmd(`touch made')",
    "esyscmd": "esyscmd(`echo inner; touch made')",
    "by another name": "builtin(`syscmd', `touch made')",
    "indirectly": "indir(`syscmd', `touch made')",
    "by a definition": "define(`x', defn(`syscmd'))x(`touch made')",
    "a log of its own": "debugfile(`made')",
    "a temporary file": "maketemp(`made')mkstemp(`made')",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_a_policys_text_runs_no_command_and_writes_no_file(tmp_path: Path, text: str) -> None:
    expanded(tmp_path, text)
    assert [path.name for path in tmp_path.iterdir()] == ["web.te"]


def test_m4_by_itself_would_have_run_it(tmp_path: Path) -> None:
    expanded(tmp_path, ATTACKS["syscmd"], "m4")
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("word", ["include", "sinclude", "undivert"])
def test_a_policys_text_reads_no_other_file(tmp_path: Path, word: str) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    assert "swordfish" not in expanded(tmp_path, f"{word}(`secret')")
    assert "swordfish" in expanded(tmp_path, f"{word}(`secret')", "m4")


@pytest.mark.parametrize("name", ["-v", "--eval=x", "a b", "a;b", "$(id)", "a'b", "ü", "a\nb"])
def test_a_policys_name_is_a_word_that_make_does_not_read(project: Project, name: str) -> None:
    (project.policies / f"{name}.te").write_text(f"policy_module({name}, 1.0)\n")
    with pytest.raises(InputError, match="cannot be a policy's name"):
        load_module(project, name)


@pytest.mark.parametrize("name", ["../../x", "-v", "$(id)", "a b"])
def test_a_policy_that_another_requires_has_a_policys_name(project: Project, name: str) -> None:
    (project.root / "selab.yaml").write_text(f"policies:\n  web: {{requires: ['{name}']}}\n")
    with pytest.raises(InputError, match="selab.yaml is not valid"):
        find_project(project.root)


@pytest.mark.parametrize("ending", ["te", "fc", "if"])
def test_a_policy_is_not_read_from_outside_of_the_project(
    project: Project, tmp_path_factory: pytest.TempPathFactory, ending: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    elsewhere.write_text("policy_module(web, 1.0)\n")
    if ending != "te":
        (project.policies / "web.te").write_text("policy_module(web, 1.0)\n")
    (project.policies / f"web.{ending}").symlink_to(elsewhere)
    with pytest.raises(InputError, match="outside"):
        load_module(project, "web")


def test_the_guests_name_for_its_policy_is_a_name() -> None:
    assert _facts((), Completed((), 0, STORE.format("default").encode(), b"")).selinux_type == "default"


@pytest.mark.parametrize("name", ["$(shell touch made)", "../../x", "a;b", "-v x"])
def test_a_guest_cannot_have_make_expand_something(name: str) -> None:
    with pytest.raises(SelabError, match="which policy store"):
        _facts((), Completed((), 0, STORE.format(name).encode(), b""))
