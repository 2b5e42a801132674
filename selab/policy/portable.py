"""Base policies as files: a machine without a guest answers for the policy that another machine's guest has.

selab stores the files of such a file only after it has checked all of it (portable_file.py). An imported base
policy serves no guest (see `BasePolicy.key`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selab.errors import InputError, SelabError
from selab.host.cache import alone
from selab.host.files import read_json, write_json
from selab.host.yamlfile import first_problem
from selab.policy.base import (
    BASES,
    FACTS,
    IMPORTED,
    METADATA,
    STORE,
    SWAP_LIMIT,
    USED,
    BasePolicy,
    base_in,
    directory_name,
)
from selab.policy.integrity import is_unchanged
from selab.policy.portable_file import Manifest, PortableBase, pack, read
from selab.policy.survey import keep_facts


def digest_of(base: BasePolicy) -> str:
    """Return the digest of a base policy's content, which an export and an import do not change."""
    return base.imported or _manifest(base).digest


def export(base: BasePolicy) -> bytes:
    """Return a base policy as the content of a file; the same base policy gives the same content.

    Raises SelabError if one of its files was changed, or if the result could not be imported.
    """
    manifest = _manifest(base)
    files = {name: (base.directory / name).read_bytes() for name in manifest.files}
    data = pack(PortableBase(manifest, files))
    try:
        read(data, base.directory.name)
    except InputError as error:
        what = "The base policy cannot be exported."
        hint = "Run a scenario on its guest again: selab reads a changed base policy again."
        raise SelabError(what, error.detail or error.what, hint) from error
    return data


def keep(portable: PortableBase, cache: Path) -> tuple[BasePolicy, bool]:
    """Store an imported base policy in the cache. Return it, and whether it was new.

    If the same base policy exists, also as one from a guest, nothing is done. Raises InputError if there is a
    base policy with the same fingerprint and other content.
    """
    name = directory_name(portable.manifest.fingerprint)
    with alone(cache / "locks" / f"import-{name}", SWAP_LIMIT, "importing a base policy"):
        for directory in (cache / BASES / name, cache / IMPORTED / name):
            if existing := _intact(directory):
                if _is_same(existing, portable):
                    return existing, False
                raise _other_content(existing)
        try:
            _store(portable, cache / IMPORTED / name)
        except OSError as error:
            hint = f"Nothing was imported. Check that {cache} is writable and has free space."
            raise SelabError("The base policy cannot be stored.", str(error), hint) from error
        stored = base_in(cache / IMPORTED / name)
    if stored is None:
        raise SelabError("The base policy was changed while it was imported.", hint="Run the command again.")
    return stored, True


def _manifest(base: BasePolicy) -> Manifest:
    """Return the manifest of a base policy in the cache."""
    facts = base.facts
    try:
        return Manifest(
            selinux_type=facts.selinux_type,
            policyvers=facts.policyvers,
            mls=facts.mls,
            expand_check=facts.expand_check,
            dontaudit=facts.dontaudit,
            fingerprint=facts.fingerprint,
            system=facts.system.encode("ascii", "replace").decode(),
            dangling=tuple(sorted(base.dangling)),
            left_out=base.left_out,
            denies=base.denies,
            limits_ioctl=base.limits_ioctl,
            files=_recorded_digests(base.directory),
        )
    except ValidationError as error:
        place, problem = first_problem(error)
        detail = f"{place[:100]}: {problem[:200]}."
        what = "The base policy cannot be exported."
        raise SelabError(what, detail, "Its guest reported something unusual: run `selab doctor`.") from error


def _recorded_digests(directory: Path) -> dict[str, str]:
    stored: dict[str, str] = read_json(directory / METADATA).get("digests", {})
    return stored


def _intact(directory: Path) -> BasePolicy | None:
    """Return the base policy in a directory of the cache if none of its files was changed."""
    base = base_in(directory)
    return base if base and is_unchanged(directory, _recorded_digests(directory), (*USED, STORE)) else None


def _is_same(existing: BasePolicy, portable: PortableBase) -> bool:
    """Return whether a base policy has the content of `portable`.

    One from a guest may have other facts, such as a newer kernel's: those of the guest count.
    """
    if existing.imported:
        return existing.imported == portable.manifest.digest
    same_files = _recorded_digests(existing.directory) == portable.manifest.files
    return same_files and existing.facts.fingerprint == portable.manifest.fingerprint


def _other_content(existing: BasePolicy) -> InputError:
    hint = "Nothing was imported. selab uses the one that it read from a guest."
    if existing.imported:
        hint = "Nothing was imported. To replace it, remove that directory and import the file again."
    return InputError(
        "There is a base policy with this fingerprint and other content.", str(existing.directory), hint
    )


def _store(portable: PortableBase, directory: Path) -> None:
    """Write the base policy into `directory`, completely or not at all."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".half-", dir=directory.parent))
    try:
        for name, data in portable.files.items():
            (half / name).parent.mkdir(parents=True, exist_ok=True)
            with (half / name).open("xb") as file:
                file.write(data)
        write_json(half / METADATA, dict(_metadata(portable.manifest)))
        keep_facts(portable.manifest.facts, half / FACTS)
        half.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)
        half.rename(directory)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _metadata(manifest: Manifest) -> Iterator[tuple[str, Any]]:
    yield "dangling", manifest.dangling
    yield "left_out", manifest.left_out
    yield "denies", manifest.denies
    yield "limits_ioctl", manifest.limits_ioctl
    yield "digests", manifest.files
    yield "imported", manifest.digest
