"""`selab base`, and the commands that an imported base policy answers on a machine without a guest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selab.__main__ import run
from selab.history import History
from selab.policy.base import BasePolicy
from selab.policy.known_bases import known_bases
from selab.policy.portable import digest_of
from selab.policy.toolchain import Toolchain
from selab.project import find_project
from tests.unit.conftest import BASE
from tests.unit.policy.store import ACTIVE, FILES, Resolver, in_cache
from tests.unit.test_history import finished

Capture = pytest.CaptureFixture[str]
Use = Callable[[str], Path]
SYSTEM = "CentOS Stream 9"
MACROS = """\
define(`policy_module',`module $1 $2; require { role r; class file { read }; sensitivity s0; category c0; }')
define(`gen_require',`require { $1 }')
"""
STORE = {name: data for name, data in FILES.items() if "/web/" not in name} | {
    f"{ACTIVE}/modules/100/base/cil": (BASE + "(role object_r) (roleattribute cil_gen_require)\n").encode(),
    "usr/share/selinux/devel/include/build.conf": b"TYPE = mcs\n",
    "usr/share/selinux/devel/include/support/a.spt": MACROS.encode(),
    "usr/share/selinux/devel/include/kernel/a.if": b"",
}
POLICY = """\
policy_module(web, 1.0)
gen_require(`
\ttype etc_t;
\tclass file { read };
')
type web_t;
allow web_t etc_t:file read;
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, which is no project."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Change to the cache of a machine: use("theirs") or use("mine")."""

    def use(machine: str) -> Path:
        monkeypatch.setenv("SELAB_CACHE", str(tmp_path / machine))
        return tmp_path / machine

    return use


@pytest.fixture
def theirs(use: Use) -> BasePolicy:
    """A base policy in the cache of the machine `theirs`, which commands now use."""
    return in_cache(use("theirs"), Toolchain(Resolver(), "/work"), STORE, system=SYSTEM)


@pytest.fixture
def file(theirs: BasePolicy, use: Use, here: Path, capsys: Capture) -> Path:
    """The exported file. The commands now use the empty cache of the machine `mine`."""
    assert run(["base", "export", "centos9", "file"]) == 0
    use("mine")
    capsys.readouterr()
    return here / "file"


def test_a_base_policy_is_listed_with_its_distribution_and_where_it_is_from(
    theirs: BasePolicy, capsys: Capture
) -> None:
    assert run(["base", "list"]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row == ["centos9", theirs.facts.fingerprint[:12], *SYSTEM.split(), "test", "1", "a", "guest"]


def test_an_imported_base_policy_is_listed_as_such(file: Path, capsys: Capture) -> None:
    assert run(["base", "import", str(file)]) == 0
    capsys.readouterr()
    assert run(["base", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (base,) = known_bases(Path(document["bases"][0]["directory"]).parents[1])
    assert document == {
        "schema": 1,
        "bases": [
            {
                "name": "centos9",
                "fingerprint": base.facts.fingerprint,
                "distribution": SYSTEM,
                "policy": "test",
                "policy_version": 33,
                "modules": 1,
                "imported": True,
                "directory": str(base.directory),
            }
        ],
    }


def test_an_empty_cache_is_reported_with_what_adds_a_base_policy(use: Use, capsys: Capture) -> None:
    use("mine")
    assert run(["base", "list"]) == 0
    assert "selab base import" in capsys.readouterr().out
    assert run(["base", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "bases": []}


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_a_damaged_base_policy_is_named_beside_the_list(
    theirs: BasePolicy, capsys: Capture, output: tuple[str, ...]
) -> None:
    theirs.flat.write_text("(type evil_t)\n")
    assert run(["base", "list", *output]) == 0
    captured = capsys.readouterr()
    assert (str(theirs.directory) in captured.err, str(theirs.directory) in captured.out) == (True, False)


def test_a_base_policy_is_shown_with_its_modules_and_digest(theirs: BasePolicy, capsys: Capture) -> None:
    assert run(["base", "show", "centos9"]) == 0
    text = capsys.readouterr().out
    shown = [theirs.facts.fingerprint, SYSTEM, digest_of(theirs), str(theirs.directory), "1 modules"]
    assert [part for part in shown if part not in text] == []


def test_a_base_policy_is_shown_as_json(theirs: BasePolicy, capsys: Capture) -> None:
    assert run(["base", "show", theirs.facts.fingerprint[:8], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fingerprint"] == theirs.facts.fingerprint
    assert document["module_names"] == ["base"]
    assert (document["digest"], document["mls"], document["deny_rules"]) == (digest_of(theirs), True, False)


@pytest.mark.parametrize("words", [("show", "x"), ("export", "x")])
def test_an_unknown_base_policy_is_wrong_input(
    theirs: BasePolicy, capsys: Capture, words: tuple[str, ...]
) -> None:
    assert run(["base", *words]) == 2
    assert "centos9" in capsys.readouterr().err


def test_an_exported_file_is_named_after_the_base_policy(
    theirs: BasePolicy, here: Path, capsys: Capture
) -> None:
    assert run(["base", "export", "centos9"]) == 0
    (path,) = here.iterdir()
    assert path.name == f"centos9-{theirs.facts.fingerprint[:12]}.selab-base"
    assert path.name in (text := capsys.readouterr().out) and digest_of(theirs) in text


def test_a_second_export_changes_nothing(theirs: BasePolicy, here: Path) -> None:
    assert run(["base", "export", "centos9", "file"]) == 0
    inode = (here / "file").stat().st_ino
    assert run(["base", "export", "centos9", "file"]) == 0
    assert (here / "file").stat().st_ino == inode


@pytest.mark.parametrize("link", [False, True])
def test_an_export_replaces_no_other_file(
    theirs: BasePolicy, here: Path, capsys: Capture, link: bool
) -> None:
    path = here / "file"
    path.symlink_to("nowhere") if link else path.write_text("mine")
    assert run(["base", "export", "centos9", "file"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert path.is_symlink() if link else path.read_text() == "mine"


def test_an_import_reports_the_digest_that_the_export_reported(
    theirs: BasePolicy, file: Path, capsys: Capture
) -> None:
    assert run(["base", "import", str(file), "--digest", digest_of(theirs).upper()]) == 0
    text = capsys.readouterr().out
    assert text.startswith("imported centos9") and digest_of(theirs) in text
    assert run(["base", "import", str(file)]) == 0
    assert capsys.readouterr().out.startswith("already known")


def test_a_file_without_the_expected_digest_is_not_imported(file: Path, use: Use, capsys: Capture) -> None:
    assert run(["base", "import", str(file), "--digest", "f" * 64]) == 2
    assert "expected digest" in capsys.readouterr().err
    assert known_bases(use("mine")) == []


def test_a_truncated_file_is_refused_before_anything_changes(file: Path, use: Use, capsys: Capture) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    assert run(["base", "import", str(file)]) == 2
    assert "truncated" in capsys.readouterr().err
    assert not use("mine").exists()


@pytest.fixture
def lab(here: Path) -> Path:
    """A project that names the base policy, with a policy and a log of what its domain was denied."""
    (here / "policies").mkdir()
    (here / "selab.yaml").write_text("vm: {base: centos9}\n")
    (here / "policies" / "web.te").write_text(POLICY)
    rows = [
        f"type=AVC msg=audit(1700000000.{number}:{number}): avc:  denied  {{ {access} }} for  pid=1 "
        'comm="x" name="x" dev="vda" ino=1 scontext=u:r:web_t:s0:c1 tcontext=u:r:etc_t:s0 tclass=file '
        "permissive=0\n"
        for number, access in enumerate(("read", "write"), 100)
    ]
    (here / "audit.log").write_text("".join(rows))
    return here


@pytest.fixture
def ended(lab: Path) -> Path:
    """The project with a run that another machine made."""
    History.of(find_project(lab)).add(finished(1))
    return lab


QUESTIONS = {
    "check": ("check", "--json"),
    "audit": ("audit", "web", "--json"),
    "replay": ("replay", "audit.log", "--policy", "web", "--json"),
    "explain": ("explain", "--json"),
    "suggest": ("suggest", "--json"),
}


@pytest.mark.toolchain
@pytest.mark.parametrize("question", QUESTIONS)
def test_an_imported_base_policy_answers_as_the_one_of_the_guest(
    file: Path, ended: Path, use: Use, capsys: Capture, question: str
) -> None:
    assert run(["base", "import", str(file)]) == 0
    answers = []
    for machine in ("mine", "theirs"):
        use(machine)
        capsys.readouterr()
        assert run([*QUESTIONS[question]]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_base_policy_that_does_not_exist_is_an_error_of_three_lines(
    ended: Path, use: Use, capsys: Capture, question: str
) -> None:
    use("mine")
    assert run([*QUESTIONS[question]]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "'centos9', which vm.base in selab.yaml names" in lines[0]
