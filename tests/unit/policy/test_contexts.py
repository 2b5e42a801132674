"""File contexts: which line counts, and where something to label may lie."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import CompiledModule
from selab.policy.contexts import FileContexts, file_contexts, never_matching
from selab.policy.filecon import FileSpec
from tests import centos_like

USUAL = """
/.*\t\tsystem_u:object_r:default_t:s0
/srv/.*\t\tsystem_u:object_r:var_t:s0
/srv/web/a\\.sock\t-s\tsystem_u:object_r:sock_t:s0
"""


def merged(base: BasePolicy, text: str, local: str = "") -> FileContexts:
    files = base.directory / "contexts" / "files"
    files.mkdir(parents=True)
    (files / "file_contexts").write_text(USUAL)
    (files / "file_contexts.local").write_text(local, errors="surrogateescape")
    return file_contexts(base, [CompiledModule("web", text, frozenset())])


def filecon(pattern: str, name: str = "web_t", kind: str = "any") -> str:
    return f'(filecon "{pattern}" {kind} (system_u object_r {name} ((s0) (s0))))\n'


def test_a_candidates_line_stands_after_less_specific_ones(base: BasePolicy) -> None:
    text = merged(base, filecon("/srv/web(/.*)?")).text
    assert [line.split()[0] for line in text.splitlines()] == [
        "/.*",
        "/srv/.*",
        "/srv/web(/.*)?",
        "/srv/web/a\\.sock",
    ]


@pytest.mark.parametrize(
    ("kind", "line"),
    [("any", "/a/b\tsystem_u:object_r:web_t:s0"), ("socket", "/a/b\t-s\tsystem_u:object_r:web_t:s0")],
)
def test_a_line_as_setfiles_reads_it(base: BasePolicy, kind: str, line: str) -> None:
    assert line in merged(base, filecon("/a/b", kind=kind)).text.splitlines()


def test_no_label_at_all_is_none(base: BasePolicy) -> None:
    assert "/a/b\t<<none>>" in merged(base, '(filecon "/a/b" any ())\n').text.splitlines()


def test_a_candidates_line_takes_the_place_of_the_same_one_of_the_base(base: BasePolicy) -> None:
    assert "var_t" not in merged(base, filecon("/srv/.*")).text


def test_what_the_machines_owner_has_set_comes_last(base: BasePolicy) -> None:
    local = "/srv/web(/.*)?\tu:object_r:mine_t:s0\n"
    *others, last = merged(base, filecon("/srv/web(/.*)?"), local).text.splitlines()
    assert last.endswith("mine_t:s0") and not any(line.startswith("/srv/web(") for line in others)


def test_a_local_line_with_a_path_that_is_not_utf_8_reaches_setfiles_as_it_is(base: BasePolicy) -> None:
    contexts = merged(base, filecon("/srv/web(/.*)?"), local="/srv/\udce9\tu:object_r:mine_t:s0\n")
    assert contexts.data.splitlines()[-1] == b"/srv/\xe9\tu:object_r:mine_t:s0"
    assert len(contexts.digest) == 20


def test_without_lines_of_a_candidate_there_is_nothing_to_do(base: BasePolicy) -> None:
    assert merged(base, "(type web_t)\n" + filecon("HOME_DIR/web")) == FileContexts((), "")


def test_a_place_within_another_is_not_looked_through_twice() -> None:
    specs = tuple(
        FileSpec(pattern, "", "c") for pattern in ("/srv/web(/.*)?", "/srv/web/log(/.*)?", "/srv/webby/x")
    )
    assert FileContexts(specs, "").places == ("/srv/web", "/srv/webby/x")


@pytest.mark.parametrize("pattern", ["/.*", "/usr/.*", ".*\\.conf", "/var(/.*)?"])
def test_a_pattern_that_may_match_anywhere_is_named_and_not_looked_for(pattern: str) -> None:
    contexts = FileContexts((FileSpec(pattern, "", "c"),), "")
    assert (contexts.places, contexts.too_wide) == ((), (pattern,))


@pytest.mark.parametrize("pattern", ["-r/etc/web(/.*)?", "--help/x/y", "a/b/c", "../../x/y"])
def test_a_path_that_a_program_could_take_for_an_option_is_not_looked_for(pattern: str) -> None:
    own = FileContexts((FileSpec(pattern, "", "u:object_r:web_t:s0"),), "")
    assert (own.places, own.too_wide) == ((), (pattern,))


def test_a_pattern_under_an_equivalence_never_matches(base: BasePolicy) -> None:
    contexts = merged(
        base, filecon("/bin/web") + filecon("/sbin/x") + filecon("/usr/sbin/x") + filecon("/srv/a")
    )
    subs = base.directory / "contexts" / "files" / "file_contexts.subs_dist"
    subs.write_text("/bin /usr/bin\n/sbin /usr/sbin\n")
    assert never_matching(base, contexts) == [("/bin/web", "/usr/bin/web")]


@pytest.fixture
def centos(tmp_path: Path) -> BasePolicy:
    return centos_like.write_base(tmp_path / "centos")


def test_files_with_another_name_for_a_candidates_path_are_labelled(centos: BasePolicy) -> None:
    text = filecon("/var/run/web(/.*)?") + filecon("/usr/lib/web(/.*)?") + filecon("/usr/bin/web")
    contexts = file_contexts(centos, [CompiledModule("web", text, frozenset())])
    assert {"/run/web", "/usr/lib64/web", "/bin/web"} <= set(contexts.places)


def test_a_directory_is_covered_by_the_line_for_the_path_that_is_looked_up(centos: BasePolicy) -> None:
    text = filecon("/var/run/web(/.*)?") + filecon("/run/wrong(/.*)?")
    contexts = file_contexts(centos, [CompiledModule("web", text, frozenset())])
    assert (contexts.cover("/run/web"), contexts.cover("/run/wrong")) == (True, False)


@pytest.mark.parametrize(
    ("path", "labelled"),
    [
        ("/data/right", True),
        ("/data/wrong", False),
        ("/run/lock/right", True),
        ("/run/lock/wrong", False),
        ("/run/right", True),
        ("/var/run/right", True),
        ("/run/wrong", False),
        ("/usr/lib64/right", True),
        ("/usr/lib64/wrong", False),
        ("/bin/right", True),
        ("/bin/wrong", False),
    ],
)
def test_libselinux_labels_what_selab_says_it_does(
    centos: BasePolicy, tmp_path: Path, path: str, labelled: bool
) -> None:
    """Equivalences of `semanage fcontext -e` apply first, and those of the distribution to the result."""
    right, wrong = ("/var/run", "/usr/lib", "/usr/bin"), ("/run", "/usr/lib64", "/bin", "/data", "/var/lock")
    files = centos.directory / "contexts/files"
    (files / "file_contexts.subs").write_text("/data /bin\n/run/lock /usr/lib64\n")
    text = "".join(filecon(f"{each}/right") for each in right) + "".join(
        filecon(f"{each}/wrong") for each in wrong
    )
    contexts = file_contexts(centos, [CompiledModule("web", text, frozenset())])
    file = tmp_path / "contexts"
    file.write_bytes(contexts.data)
    for suffix in ("subs", "subs_dist"):
        shutil.copy(files / f"file_contexts.{suffix}", f"{file}.{suffix}")
    done = subprocess.run(
        ["matchpathcon", "-n", "-f", file, path], capture_output=True, text=True, timeout=20, check=False
    )
    assert ("web_t" in done.stdout, contexts.cover(path)) == (labelled, labelled)
