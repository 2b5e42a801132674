"""Find and read the files of a policy: NAME.te with NAME.fc and NAME.if, NAME.cil or NAME.yaml."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from selab.errors import InputError
from selab.policy import selinux_profile, udica_policy
from selab.project import Project, inside, nearest, new_policy_name

MAX_SOURCE = 4 * 1024 * 1024
"""Bytes of a file of a policy module. The largest of the reference policy has 100 KB."""
PROFILE = "yaml"
"""The ending of a profile of the security-profiles-operator, or of a UdicaPolicy, which are read as CIL."""
LANGUAGES = {"te": ("te", "fc", "if"), "cil": ("cil",), PROFILE: (PROFILE,)}
"""The endings of a module's main file, each with those of all files that belong to it."""
ENDINGS = tuple(f".{ending}" for endings in LANGUAGES.values() for ending in endings)
"""The endings of all files of modules, as in `.te`."""
DECLARED_NAME = re.compile(
    r"^[^\S\n]*(?:policy_module\s*\(\s*([\w.-]+)|module\s+([\w.-]+)\s+[\d.]+\s*;)", re.MULTILINE
)


def main_ending(texts: Mapping[str, object]) -> str:
    """Return the ending of the main file of a module with these texts."""
    return next((ending for ending in (PROFILE, "cil") if ending in texts), "te")


def with_translation(texts: dict[str, bytes], path: Path) -> dict[str, bytes]:
    """Return the texts of a module, those of a profile with its translation."""
    if PROFILE not in texts:
        return texts
    try:
        text = texts[PROFILE].decode("utf-8")
    except UnicodeDecodeError as error:
        line = texts[PROFILE][: error.start].count(b"\n") + 1
        raise InputError(
            f"{path.name} is not UTF-8 text.", f"{path}:{line}: a byte is not valid.", "Save it as UTF-8."
        ) from error
    kind, line = udica_policy.kind_of(text, path)
    if kind not in (*selinux_profile.KINDS, udica_policy.KIND):
        raise InputError(
            f"{path.name} is of an unknown kind: '{kind[:100]}'." if kind else f"{path.name} names no kind.",
            f"{path}:{line}",
            nearest(kind, [*selinux_profile.KINDS, udica_policy.KIND]),
        )
    translated = udica_policy.translated if kind == udica_policy.KIND else selinux_profile.translated
    return texts | {"cil": translated(text, path).encode()}


def yaml_kind(texts: Mapping[str, bytes], path: Path) -> str:
    """Return the kind that the YAML file `path` of a policy with these texts names, or "".

    Raises InputError if the file is no object in YAML.
    """
    return udica_policy.kind_of(texts[PROFILE].decode(), path)[0] if PROFILE in texts else ""


def policy_names(project: Project) -> list[str]:
    return sorted({path.stem for ending in LANGUAGES for path in project.policies.glob(f"*.{ending}")})


def require_policy(project: Project, name: str) -> None:
    """Raise InputError, with similar names, unless the project has the policy `name`."""
    if name not in (known := policy_names(project)):
        create = f"To create it, run `selab new policy {new_policy_name(name)}`."
        hint = f"{nearest(name, known)} {create}".strip()
        raise InputError(f"There is no policy '{name}'.", f"Looked in {project.policies}.", hint)


def main_file(project: Project, name: str) -> Path:
    """Return the main file of the policy `name`, or NAME.te if it has none.

    Raises InputError if it has two.
    """
    files = [path for ending in LANGUAGES if (path := project.policies / f"{name}.{ending}").exists()]
    if len(files) > 1:
        raise InputError(
            f"There are two policies '{name}'.",
            " and ".join(map(str, files)),
            "Rename one of the two files.",
        )
    return files[0] if files else project.policies / f"{name}.te"


def read_texts(main: Path, within: Path) -> dict[str, bytes]:
    """Return the module's files by their endings.

    Raises InputError if one is not UTF-8 text, or leads out of the directory `within`.
    """
    name = main.stem
    files = {
        ending: path
        for ending in LANGUAGES[main.suffix[1:]]
        if (path := main.with_suffix(f".{ending}")).exists()
    }
    try:
        texts = {
            ending: _read(inside(within, path, f"The policy '{name}'")) for ending, path in files.items()
        }
    except OSError as error:
        raise InputError(
            f"The policy '{name}' cannot be read.", str(error), "Check that its files exist and are readable."
        ) from error
    for ending, text in texts.items():
        if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InputError(
                f"The policy '{name}' is not UTF-8 text.",
                f"{files[ending]} begins with the byte order mark of UTF-16.",
                "Save the file as UTF-8.",
            )
    if b"\0" in b"".join(texts.values()):
        raise InputError(
            f"The policy '{name}' is not text.", str(main), "Remove the NUL bytes from its files."
        )
    return texts


def require_declared_name(name: str, te: Path, source: str) -> None:
    """Raise InputError if the `source` of the file `te` does not declare a module `name`."""
    declared = DECLARED_NAME.search(source)
    if declared is None:
        raise InputError(
            f"The policy '{name}' does not declare its name.",
            str(te),
            f"Begin it with `policy_module({name}, 1.0)`.",
        )
    module_name = declared.group(1) or declared.group(2)
    if module_name != name:
        line = source[: declared.start(1 if declared.group(1) else 2)].count("\n") + 1
        raise InputError(
            f"The module '{module_name}' is in a file with a different name.",
            f"{te}:{line}",
            f"Rename the file to {module_name}.te, or the module to {name}.",
        )


def without_mark(text: bytes) -> bytes:
    """Return a source without the byte order mark of UTF-8, which m4 and checkmodule do not skip."""
    return text.removeprefix(codecs.BOM_UTF8)


def _read(path: Path) -> bytes:
    """Return a source's bytes. Raises InputError for a pipe, which would wait for its writer, or the like."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            hint = "Replace it by a regular file in the project, or remove it."
            raise InputError(f"The policy file {path.name} is not a regular file.", str(path), hint)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(MAX_SOURCE + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_SOURCE:
        raise InputError(
            f"{path.name} is too large for a policy module.",
            f"{path} has more than {MAX_SOURCE >> 20} MiB.",
            "Split the module, or check that the file is a policy.",
        )
    return without_mark(data)
