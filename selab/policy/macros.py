"""Expand policy text on this machine with the macros of a base policy's headers.

The headers come from a guest, so they are data: m4 reads them without the builtins that run commands or touch
files, and build.conf only sets definitions that are known here. The Makefile beside them never runs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selab.errors import SelabError
from selab.guest import Completed
from selab.host.local import LocalHost
from selab.policy.base import BasePolicy
from selab.policy.integrity import read_with_digest, write_with_digest
from selab.policy.toolchain import M4

FORMAT = 1
"""Part of the names of the cached files. Raise it if their meaning changes."""
EXPAND_TIMEOUT = 120.0
"""Seconds for m4 over all headers: a tenth of one natively; a loop in a macro never ends."""
_SETTING = re.compile(r"^[ \t]*(?:override[ \t]+)?(\w+)[ \t]*([:?]?)=[ \t]*([^#\n]*)", re.MULTILINE)
_WORD = re.compile(r"\w{1,64}", re.ASCII)
_INTERFACE = re.compile(r"^[^\S\n]*(?:interface|template|define)\(`([\w]+)'", re.MULTILINE)
_STATE_END = b"# End of frozen state file\n"
_SWITCHES = {
    "init_systemd": ("SYSTEMD", "n"),
    "direct_sysadm_daemon": ("DIRECT_INITRC", "n"),
    "enable_ubac": ("UBAC", "n"),
}
"""Definitions of the distributions' Makefiles, each with the setting that switches it on and its default."""
_NUMBERS = {
    "mls_num_sens": ("MLS_SENS", "16"),
    "mls_num_cats": ("MLS_CATS", "1024"),
    "mcs_num_cats": ("MCS_CATS", "1024"),
}
_ALWAYS = "hide_broken_symptoms"
"""Red Hat's Makefile always defines this, and Debian's never does."""


@dataclass(frozen=True)
class BuildOptions:
    """How a distribution builds modules for its policy.

    definitions: m4's definitions, such as `enable_mcs` or `mls_num_sens=16`.
    mls: whether modules have MLS levels.
    """

    definitions: tuple[str, ...]
    mls: bool

    @property
    def m4(self) -> list[str]:
        return [word for definition in self.definitions for word in ("-D", definition)]


def build_options(headers: Path) -> BuildOptions:
    """Read the settings in build.conf, and which of the known definitions the Makefile's text contains.

    Raises SelabError if a setting is not a plain word.
    """
    settings = _settings(headers / "include" / "build.conf")
    makefile = _text(headers / "include" / "Makefile")
    kind = settings.get("TYPE", "standard")
    definitions = [f"enable_{kind}"] if kind in ("mls", "mcs") else []
    if distribution := settings.get("DISTRO"):
        definitions.append(f"distro_{distribution}")
    for definition, (setting, default) in _SWITCHES.items():
        if settings.get(setting, default) == "y" and definition in makefile:
            definitions.append(definition)
    if "CUSTOM_BUILDOPT" in makefile:
        definitions += settings.get("CUSTOM_BUILDOPT", "").split()
    if f"-D {_ALWAYS}" in makefile:
        definitions.append(_ALWAYS)
    definitions += [f"{name}={settings.get(key) or default}" for name, (key, default) in _NUMBERS.items()]
    return BuildOptions(tuple(definitions), kind in ("mls", "mcs"))


def _settings(path: Path) -> dict[str, str]:
    settings: dict[str, str] = {}
    for name, operator, value in _SETTING.findall(_text(path)):
        if operator != "?" or name not in settings:
            settings[name] = value.strip()
    switches, numbers = _SWITCHES.values(), _NUMBERS.values()
    known = {"TYPE", "DISTRO", "CUSTOM_BUILDOPT", *(name for name, _ in (*switches, *numbers))}
    for name in sorted(known & settings.keys()):
        words = settings[name].split()
        if not all(_WORD.fullmatch(word) for word in words) or (len(words) > 1 and name != "CUSTOM_BUILDOPT"):
            raise SelabError(
                "The policy headers have a build setting that selab does not know.",
                f"build.conf: {name} is {settings[name][:100]!r}.",
                "Install the distribution's headers again in the guest.",
            )
    return settings


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


@dataclass(frozen=True)
class HeaderMacros:
    """The macros of a base policy's headers, as files in which m4 froze its state.

    options: how modules are built.
    support: files with support macros.
    definitions: state after the headers' interfaces were expanded once, which turns them into definitions.
    interfaces: state in which the interfaces can be called.
    """

    options: BuildOptions
    support: tuple[str, ...]
    definitions: Path
    interfaces: Path

    def expand(self, workdir: Path, files: Sequence[str], own: Sequence[str], *, lines: bool) -> Completed:
        """Expand `files` of `workdir`, which may call the interfaces in the .if files `own` there.

        With `lines`, m4 marks from which line of which file its output comes.
        """
        paths, messages = [str(workdir / name) for name in files], b""
        if own:
            done = _m4("-R", str(self.definitions), *(str(workdir / name) for name in own))
            if not done.ok:
                return done
            (workdir / "own.m4").write_bytes(_diverted(done.stdout))
            paths, messages = [str(workdir / "own.m4"), *paths], done.stderr
        done = _m4("-R", str(self.interfaces), *(["-s"] if lines else []), *paths)
        return replace(done, stderr=messages + done.stderr)

    def expand_contexts(self, path: Path, *, lines: bool = False) -> Completed:
        """Expand a .fc file, which may call support macros only.

        With `lines`, m4 marks from which line of which file its output comes.
        """
        return _m4(*self.options.m4, *(["-s"] if lines else []), *self.support, str(path))


def header_macros(base: BasePolicy) -> HeaderMacros:
    """Return the macros of the headers of `base`, whose expansion is cached beside it."""
    include = base.headers / "include"
    support = tuple(str(path) for path in _files(include / "support", ".spt"))
    options = build_options(base.headers)
    names = ("definitions", "interfaces")
    definitions, interfaces = (base.directory / f"{name}-v{FORMAT}.m4f" for name in names)
    if read_with_digest(definitions) is None or read_with_digest(interfaces) is None:
        layers = sorted(path for path in include.glob("*") if path.is_dir() and path.name != "support")
        headers = [str(path) for layer in layers for path in _files(layer, ".if")]
        with tempfile.TemporaryDirectory(prefix="selab-macros-") as name:
            conf = Path(name) / "all_interfaces.conf"
            conf.write_bytes(_diverted(_freeze([*support, *headers], Path(name) / "half", definitions)))
            _freeze([*options.m4, *support, str(conf)], Path(name) / "half", interfaces)
    return HeaderMacros(options, support, definitions, interfaces)


def interfaces(base: BasePolicy) -> list[str]:
    """Return the names of all interfaces, templates and macros in the installed headers."""
    files = [path for path in base.headers.rglob("*") if path.suffix in (".if", ".spt")]
    return sorted({name for path in files for name in _INTERFACE.findall(path.read_text(errors="replace"))})


def _files(directory: Path, suffix: str) -> list[Path]:
    return sorted(path for path in directory.glob(f"[!.]*{suffix}") if path.is_file())


def _diverted(expansion: bytes) -> bytes:
    """Return the definitions in `expansion` as a file that m4 reads without output."""
    return b"divert(-1)\n" + expansion.replace(b"dollarsstar", b"$*") + b"divert\n"


def _freeze(arguments: list[str], half: Path, state: Path) -> bytes:
    """Run m4 and store its last state as `state`, with the digest beside it; return m4's output."""
    done = _m4("-F", str(half), *arguments)
    frozen = half.read_bytes() if half.exists() else b""
    half.unlink(missing_ok=True)
    if not frozen.endswith(_STATE_END):
        raise SelabError(
            "The policy headers cannot be expanded.",
            done.error_text.strip()[-300:] or f"m4 exited with status {done.returncode}.",
            "Install the distribution's headers again in the guest.",
        )
    write_with_digest(frozen, state)
    return done.stdout


def _m4(*arguments: str) -> Completed:
    return LocalHost().run([*M4.split(), *arguments], timeout=EXPAND_TIMEOUT)
