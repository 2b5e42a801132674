"""Compile errors in the user's words, and linking with real tools."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selab.errors import InputError, SelabError
from selab.guest import Completed, script, script_argv
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module, link, policy_digest
from selab.policy.module import PolicyModule
from selab.policy.toolchain import PP, Toolchain
from tests.unit.conftest import module, seal
from tests.unit.fakes import FakeGuest
from tests.unit.policy.sandbox import PolicyGuest

MODULE = PolicyModule(
    "web",
    Path("/p/policies"),
    {"te": b"policy_module(web, 1.0)\nfiles_red_etc(web_t)\nallow web_t x_t:file read;\n"},
)


def compile_error(base: BasePolicy, output: str, code: int = 1) -> SelabError:
    guest = FakeGuest()
    guest.answer(script("policy/compile"), code=code, err=output)
    guest.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
    guest.answer(script("policy/clear-sources"))
    with pytest.raises(SelabError) as caught:
        compile_module(MODULE, base, Toolchain(guest, "/w"))
    return caught.value


def test_an_error_names_the_users_file_line_and_text(base: BasePolicy) -> None:
    error = compile_error(
        base,
        "web.te:3:ERROR 'unknown type x_t' at token ';' on line 3391:\nallow ...\ncheckmodule:  error(s)",
    )
    assert isinstance(error, InputError)
    assert error.detail == "/p/policies/web.te:3: unknown type x_t at ';': allow web_t x_t:file read;"


def test_an_unknown_interface_is_answered_with_the_nearest(base: BasePolicy) -> None:
    (base.headers / "files.if").write_text("interface(`files_read_etc_files',`\n')\n")
    error = compile_error(base, "web.te:2:ERROR 'syntax error' at token 'files_red_etc' on line 3391:")
    assert "no interface 'files_red_etc'" in error.hint and "files_read_etc_files" in error.hint


def test_a_guests_error_of_another_form_is_shown_as_it_is(base: BasePolicy) -> None:
    error = compile_error(base, "make: x\nsomething else broke\n")
    assert (error.exit_code, error.detail) == (3, "The compiler exited with status 1: something else broke")


@pytest.mark.parametrize(
    ("code", "last"),
    [
        (137, ""),
        (-1, ""),
        (1, "make: *** [Makefile:9: tmp/web.mod] Killed"),
        (1, "make[1]: *** [Makefile:9: tmp/web.mod] Error 137"),
        (1, "/bin/sh: 1: checkmodule: not found"),
        (1, "sh: line 3: make: command not found"),
        (1, "m4: write error: No space left on device"),
    ],
)
def test_a_compiler_that_failed_is_not_the_users_input(base: BasePolicy, code: int, last: str) -> None:
    assert compile_error(base, f"web.te:3:ERROR 'x' at token ';' on line 3:\n{last}\n", code).exit_code == 3


def test_a_guest_without_a_translator_is_an_error(base: BasePolicy) -> None:
    guest = FakeGuest()
    guest.answer(script("policy/clear-sources"))
    guest.answer(script("policy/find-translator"), out="/pp\n")
    with pytest.raises(SelabError, match="no program that translates"):
        compile_module(MODULE, base, Toolchain(guest, "/w"))


class Compiler(FakeGuest):
    """Compiles a module to `cil`. Of its answer, `arriving` returns what selab gets."""

    def __init__(self, cil: str, arriving: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._arriving = arriving
        self.answer(script("policy/compile"), out=cil)
        self.answer(script("policy/find-translator"), out=f"{PP[0]}\n")
        self.answer(script("policy/clear-sources"))

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        done = super().run(argv, **options)
        return replace(done, stdout=self._arriving(done.stdout)) if "make -f" in argv[2] else done


def test_compiled_policy_of_a_guest_that_is_no_text_is_an_error(base: BasePolicy) -> None:
    guest = Compiler("(type web_t)\n", lambda answer: answer.replace(b"web_t", b"\xff"))
    with pytest.raises(SelabError, match="not UTF-8"):
        compile_module(MODULE, base, Toolchain(guest, "/w"))


def test_compiled_policy_of_a_guest_that_ends_early_is_an_error(base: BasePolicy) -> None:
    cil, results = "(type web_t)\n(allow web_t self (file (read)))\n", set()
    for length in range(len(cil) + 40):
        guest = Compiler(cil, lambda answer, length=length: answer[:length])  # type: ignore[misc]
        with contextlib.suppress(SelabError):
            results.add(compile_module(MODULE, base, Toolchain(guest, "/w")).cil)
    assert results == {cil}


@pytest.mark.parametrize(
    ("code", "err"), [(137, "Failed to resolve AST"), (127, "sh: secilc: not found"), (1, "")]
)
def test_a_linker_that_failed_is_not_the_users_input(base: BasePolicy, code: int, err: str) -> None:
    guest = FakeGuest()
    guest.answer("test -s")
    guest.answer("secilc", code=code, err=err)
    with pytest.raises(SelabError) as caught:
        link(base, [module("web", "")], Toolchain(guest, "/w"))
    assert caught.value.exit_code == 3 and "cannot be linked" not in caught.value.what


@pytest.mark.toolchain
def test_a_candidate_is_linked_with_the_flat_base(base: BasePolicy, tools: Toolchain) -> None:
    policy = link(base, [module("web", "(allow web_t etc_t (file (read)))")], tools)
    assert (policy.binary[:4], policy.slow_because) == (b"\x8c\xff\x7c\xf9", "")


@pytest.mark.toolchain
def test_a_type_that_an_optional_of_the_base_waits_for_takes_the_whole_store(
    base: BasePolicy, tools: Toolchain
) -> None:
    assert "optional blocks of the base policy" in link(base, [module("dangling", "")], tools).slow_because


@pytest.mark.toolchain
def test_a_macro_takes_the_whole_store(base: BasePolicy, tools: Toolchain) -> None:
    (base.directory / "cil" / "base.cil").write_text(
        base.flat.read_text() + "(macro m ((type T)) (allow T etc_t (file (open))))"
    )
    seal(base.directory)
    assert link(base, [module("web", "(call m (web_t))")], tools).slow_because == "it uses CIL's 'call'"


@pytest.mark.toolchain
def test_what_cannot_be_linked_is_wrong_input(base: BasePolicy, tools: Toolchain) -> None:
    with pytest.raises(InputError, match="cannot be linked"):
        link(base, [module("web", "(allow web_t nobody_t (file (read)))")], tools)


def test_the_digest_tells_policies_apart(base: BasePolicy) -> None:
    web, other = module("web", ""), module("web", "(allow web_t etc_t (file (read)))")
    digests = {
        policy_digest(base, [web]),
        policy_digest(base, [other]),
        policy_digest(base, [web], permissive=("web_t",)),
        policy_digest(base, [web], dontaudit=False),
        policy_digest(base, []),
        policy_digest(replace(base, imported="d" * 64), [web]),
    }
    assert len(digests) == 6


@pytest.mark.toolchain
def test_the_digest_is_the_linked_policys(base: BasePolicy, tools: Toolchain) -> None:
    web = module("web", "")
    assert link(base, [web], tools, permissive=("web_t",)).digest == policy_digest(
        base, [web], permissive=("web_t",)
    )


def test_a_macro_that_is_there_is_not_called_unknown(base: BasePolicy) -> None:
    (base.headers / "loadable_module.spt").write_text("define(`files_red_etc',`x')\n")
    assert (
        compile_error(base, "web.te:2:ERROR 'syntax error' at token 'files_red_etc' on line 3391:").hint == ""
    )


# --- the scripts, run on a directory that represents the guest ----------------------------------------------

BUILD = "/var/lib/selab/build/web"
TRANSLATOR = "/usr/share/selinux/pp"


@pytest.fixture
def builder(tmp_path: Path) -> PolicyGuest:
    """A guest whose make writes the package, and whose translator prints it."""
    guest = PolicyGuest(tmp_path)
    guest.path(f"{BUILD}/tmp").mkdir(parents=True)
    guest.program("make", "echo made >&2; printf '(type web_t)' >web.pp")
    guest.program("pp", 'cat "$1"')
    guest.path(TRANSLATOR).symlink_to(guest.path("/bin/pp"))
    return guest


def build(guest: PolicyGuest, directory: str = BUILD) -> Completed:
    words = (directory, "web", "/usr/share/selinux/devel", "targeted", TRANSLATOR, "m4 -U syscmd")
    return guest.run(script_argv("policy/compile", *words))


def test_the_guests_makefile_builds_the_package_that_is_translated(builder: PolicyGuest) -> None:
    done = build(builder)
    assert (done.returncode, done.text, done.error_text) == (0, "(type web_t)", "made\n")
    include = f"{builder.path('/usr/share/selinux/devel')}/include"
    assert builder.called == [
        f"make -f {include}/Makefile HEADERDIR={include} NAME=targeted AWK=awk M4=m4 -U syscmd web.pp",
        "pp web.pp",
    ]


def test_no_package_of_an_earlier_build_is_translated(builder: PolicyGuest) -> None:
    builder.put(b"(type old_t)", f"{BUILD}/web.pp")
    builder.program("make")
    builder.program("pp", '[ -e "$1" ] || exit 9')
    assert build(builder).returncode == 9


@pytest.mark.parametrize(("code", "reported"), [(1, 1), (2, 1), (126, 4), (127, 4), (137, 4)])
def test_a_build_that_failed_leaves_no_half_written_file(
    builder: PolicyGuest, code: int, reported: int
) -> None:
    builder.program("make", f"touch tmp/web.mod tmp/web.mod.fc; exit {code}")
    assert build(builder).returncode == reported
    assert list(builder.path(f"{BUILD}/tmp").iterdir()) == []
    assert len(builder.called) == 1


def test_the_files_of_a_build_that_succeeded_stay_for_the_next_one(builder: PolicyGuest) -> None:
    builder.put(b"", f"{BUILD}/tmp/web.mod")
    assert build(builder).ok and builder.path(f"{BUILD}/tmp/web.mod").exists()


@pytest.mark.parametrize(("text", "stays"), [(b"x\ndivert\n", True), (b"x\ndive", False), (b"", False)])
def test_macros_that_were_written_to_their_end_stay(builder: PolicyGuest, text: bytes, stays: bool) -> None:
    builder.put(text, f"{BUILD}/tmp/all_interfaces.conf")
    build(builder)
    assert builder.path(f"{BUILD}/tmp/all_interfaces.conf").exists() is stays


def test_a_build_without_a_directory_has_an_exit_code_of_its_own(builder: PolicyGuest) -> None:
    assert (build(builder, "/srv/absent").returncode, builder.called) == (3, [])


def test_the_failure_of_the_translator_is_that_of_the_build(builder: PolicyGuest) -> None:
    builder.program("pp", "exit 7")
    assert build(builder).returncode == 7


def test_only_the_sources_of_this_build_stay(builder: PolicyGuest) -> None:
    for name in ("web.te", "web.fc", "old.te", "old.fc", "old.if", "eb.te", "old.pp", "tmp/old.te"):
        builder.put(b"", f"{BUILD}/{name}")
    done = builder.run(script_argv("policy/clear-sources", BUILD, "web.te", "web.fc", "web.if"))
    files = {path.name for path in builder.path(BUILD).rglob("*") if path.is_file()}
    assert (done.returncode, files) == (0, {"web.te", "web.fc", "old.pp", "old.te"})
    assert builder.path(f"{BUILD}/tmp/old.te").exists()


def test_a_build_directory_that_does_not_exist_is_clear(builder: PolicyGuest) -> None:
    assert builder.run(script_argv("policy/clear-sources", "/srv/absent", "web.te")).returncode == 0


@pytest.mark.parametrize(("there", "first"), [((1,), 1), ((0, 1), 0), ((), None)])
def test_the_first_translator_that_can_run_is_found(
    builder: PolicyGuest, there: tuple[int, ...], first: int | None
) -> None:
    paths = [builder.path(f"/srv/{name}") for name in ("a", "b")]
    for number, path in enumerate(paths):
        path.touch(mode=0o755 if number in there else 0o644)
    done = builder.run(script_argv("policy/find-translator", "/srv/a", "/srv/b"))
    assert (done.returncode, done.text) == ((1, "") if first is None else (0, f"{paths[first]}\n"))
