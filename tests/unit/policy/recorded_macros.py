"""The macros of the small headers of the unit tests without m4: recorded expansions of the interfaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from selab.guest import Completed
from selab.policy import fc_source, interfaces

_ETC = "\n\trequire {\n\t\ttype etc_t;\n\t }\n"
_READ = f"{_ETC}\tallow $1 etc_t:file {{ getattr open read }};\n"
EXPANSIONS = {
    "all_kernel_class_perms": "class file { getattr open read write }; class process { signal transition };",
    "files_read_etc_files": _READ,
    "files_read_config": _READ,
    "files_etc_filetrans": f"{_ETC}\ttype_transition $1 etc_t:file $2 $3;\n",
    "files_broken": "\tfiles_no_such_interface($1)\n",
    "container_domain_template": """
	require {
		attribute domain;
	}
	type $1_t, domain;
	role r types $1_t;
	optional {
		require {
			type shared_t;
		}
		dontaudit $1_t shared_t:file *;
	}
	if (shiny) {
		allow $1_t self:process ~{ signal };
	}
""",
}
WARNING = "Warning: files_read_config($1) has been deprecated, please use files_read_etc_files() instead.\n"
_CALL = re.compile(r"(\w+)(?:\(([^()]*)\))?")
_OWN = re.compile(r"^interface\(`(\w+)',`(.*?)'\)$", re.MULTILINE | re.DOTALL)
_CONTEXT = re.compile(r"gen_context\(([^,()]*),s0[^()]*\)")


class RecordedMacros:
    """Has the methods of HeaderMacros that selab calls. Own interfaces may not call those of the headers."""

    def expand(self, workdir: Path, files: Sequence[str], own: Sequence[str], *, lines: bool) -> Completed:
        mine = {name: body for file in own for name, body in _OWN.findall((workdir / file).read_text())}
        (calls,) = files
        output = "".join(
            _expanded(line, EXPANSIONS | mine) for line in (workdir / calls).read_text().splitlines()
        )
        return Completed(("m4",), 0, output.encode(), WARNING.replace("$", "selabarg").encode())

    def expand_contexts(self, path: Path, *, lines: bool) -> Completed:
        text = _CONTEXT.sub(r"\1:s0", path.read_text())
        return Completed(("m4",), 0, f'#line 1 "{path}"\n{text}'.encode(), b"")


def _expanded(line: str, bodies: dict[str, str]) -> str:
    """Expand a line of calls; a line that begins a call's output stays as it is."""
    if line.startswith("#"):
        return f"{line}\n"
    call = _CALL.fullmatch(line)
    assert call is not None, line
    words = [word.strip() for word in (call[2] or "").split(",")]
    return re.sub(r"\$(\d)", lambda match: words[int(match[1]) - 1], bodies[call[1]]) + "\n"


def record_macros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recorded expansions take the place of m4."""
    for module in (interfaces, fc_source):
        monkeypatch.setattr(module, "header_macros", lambda base: RecordedMacros())
    monkeypatch.setattr(interfaces.shutil, "which", lambda name: name)
