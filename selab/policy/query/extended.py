"""Read the extended rules (`allowxperm`) of a kernel policy, which limit `ioctl` to the listed commands.

libsepol's decision functions ignore them, so selab decides as the kernel does. If an extended rule of any
kind applies to the source, the target and the class, only the commands of the allowxperm rules are allowed;
otherwise every command is. Since Linux 5.10 (commit 44141f58e143), a rule that only audits (dontauditxperm,
auditallowxperm) thus limits the commands too: context_struct_compute_av calls
services_compute_xperms_drivers for all AVTAB_XPERMS, which sets the `xp.len` that avc_has_extended_perms
tests (security/selinux/ss/services.c, security/selinux/avc.c). Older kernels look at the allowxperm rules
alone.
"""

from __future__ import annotations

import ctypes
import tempfile
from pathlib import Path

from selab.errors import SelabError
from selab.guest import MAX_ANSWER
from selab.host.private import read_private
from selab.policy.language.commands import LIMITING, names_extended_rule
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex

_NEEDED = (*(f"({kind} " for kind in sorted(LIMITING)), "(type ", "(typealias", "(typeattribute")


def extended_rules(library: ctypes.CDLL, policy: Path) -> PolicyIndex | None:
    """Return an index of the extended rules of the kernel policy, or None if it has none.

    `library` is libsepol, which writes the policy as CIL, with its attributes.
    """
    cil = _as_cil(library, read_private(policy, MAX_ANSWER))
    if not names_extended_rule(cil):
        return None
    lines = cil.splitlines()
    if not any(line.startswith(" ") and names_extended_rule(line) for line in lines):
        # All extended rules are unconditional, so the other rules need not be read.
        lines = [line for line in lines if line.startswith(_NEEDED)]
    return PolicyIndex(read_flat("\n".join(lines)))


def _as_cil(library: ctypes.CDLL, data: bytes) -> str:
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fclose.argtypes = [ctypes.c_void_p]
    database, file = ctypes.c_void_p(), ctypes.c_void_p()
    library.sepol_policydb_create(ctypes.byref(database))
    library.sepol_policy_file_create(ctypes.byref(file))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "policy.cil"
        try:
            library.sepol_policy_file_set_mem(file, data, ctypes.c_size_t(len(data)))
            failed = library.sepol_policydb_read(database, file)
            if not failed and (stream := libc.fopen(str(path).encode(), b"w")):
                failed = library.sepol_kernel_policydb_to_cil(ctypes.c_void_p(stream), database)
                libc.fclose(stream)
        finally:
            library.sepol_policy_file_free(file)
            library.sepol_policydb_free(database)
        if failed or not path.is_file():
            raise SelabError(
                "The extended rules of the linked policy cannot be read.",
                "libsepol did not write the policy as CIL.",
                "Install libsepol 3.4 or newer.",
            )
        return path.read_text(errors="surrogateescape")
