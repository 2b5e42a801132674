"""A small base policy with CentOS's names, attributes, equivalences and templates, and with a deny rule."""

from __future__ import annotations

import shutil
from pathlib import Path

from selab.host.files import write_json
from selab.policy.base import METADATA, BasePolicy
from selab.policy.filecon import filecons
from selab.policy.integrity import digests
from selab.policy.language.cil import statements, text_of
from selab.policy.survey import StoreFacts
from tests.unit.headers import CENTOS, write_headers

SOURCES = Path(__file__).parent
SUBS = "file_contexts.subs_dist"
DENY = "(deny "
LXC_CONTEXTS = """\
process = "system_u:system_r:container_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file="system_u:object_r:container_ro_file_t:s0"
"""


def flat_base(*, denies: bool = True) -> str:
    """Return the policy as a flat base, one statement a line; without `denies`, for older compilers."""
    lines = map(text_of, statements((SOURCES / "base.cil").read_text()))
    return "".join(f"{line}\n" for line in lines if denies or not line.startswith(DENY))


def write_base(directory: Path, *, denies: bool = True, templates: bool = False) -> BasePolicy:
    """Write the policy into `directory` as selab's cache has it: the flat base, headers, file contexts.

    `templates`: with templates for udica, as container-selinux brings them.
    """
    flat = flat_base(denies=denies)
    write_headers(directory / "devel", CENTOS)
    (directory / "devel/include/support/modules.spt").write_text((SOURCES / "modules.spt").read_text())
    for name in ("container.if", "virt.if", "modules.if"):
        path = directory / "devel/include/contrib" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((SOURCES / name).read_text())
    (directory / "devel/include/services/container.if").unlink()
    macros = directory / "devel/include/support/macros.spt"
    required = macros.read_text().replace("role r;", "role system_r;")
    macros.write_text(required.replace("read write }", "read write execute map entrypoint }"))
    of_files = directory / "devel/include/kernel/files.if"
    of_files.write_text(of_files.read_text().partition("interface(`files_broken'")[0])
    files = directory / "contexts/files"
    files.mkdir(parents=True)
    (files / SUBS).write_text((SOURCES / SUBS).read_text())
    specs = sorted(filecons(flat), key=lambda spec: spec.rank)
    (files / "file_contexts").write_text("".join(f"{spec}\n" for spec in specs))
    (directory / "contexts/lxc_contexts").write_text(LXC_CONTEXTS)
    if templates:
        shutil.copytree(SOURCES / "templates", directory / "templates")
    (directory / "cil").mkdir()
    for path in (directory / "cil/base.cil", directory / "flat.cil"):
        path.write_text(flat)
    write_json(
        directory / METADATA,
        {"dangling": [], "left_out": [], "denies": denies, "digests": digests(directory)},
    )
    facts = StoreFacts("targeted", 33, True, False, "c" * 64, system="CentOS Stream 9")
    return BasePolicy(facts, directory, frozenset(), denies=denies, limits_ioctl=False)
