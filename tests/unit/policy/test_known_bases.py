"""The names of base policies, and which one a name or the beginning of a fingerprint chooses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from selab.errors import InputError, SelabError
from selab.policy.base import BasePolicy
from selab.policy.known_bases import (
    chosen_base,
    completions,
    imported_base,
    known_bases,
    modules_of,
    name_of,
    origin,
    unusable,
)
from selab.policy.portable import export, keep
from selab.policy.portable_file import read
from selab.policy.toolchain import Toolchain
from tests.unit.headers import CENTOS
from tests.unit.policy.store import ACTIVE, FILES, in_cache

CENTOS9, DEBIAN13 = "CentOS Stream 9", "Debian GNU/Linux 13 (trixie)"
OTHER = FILES | {f"{ACTIVE}/modules/100/other/cil": b"(type other_t)\n"}
HEADER = "usr/share/selinux/devel/include/web.if"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def debian(cache: Path, flattener: Toolchain) -> BasePolicy:
    """A base policy that selab read from a guest."""
    return in_cache(cache, flattener, system=DEBIAN13)


@pytest.fixture
def centos(cache: Path, tmp_path: Path, flattener: Toolchain) -> BasePolicy:
    """A base policy that was imported."""
    theirs = in_cache(tmp_path / "theirs", flattener, OTHER, system=CENTOS9)
    return keep(read(export(theirs), "file"), cache)[0]


@pytest.mark.parametrize(
    ("system", "name"),
    [
        (CENTOS9, "centos9"),
        (DEBIAN13, "debian13"),
        ("Fedora Linux 42 (Server Edition)", "fedora42"),
        ("Red Hat Enterprise Linux 9.4 (Plow)", "rhel9.4"),
        ("openSUSE Leap 15.6", "opensuse15.6"),
        ("Debian GNU/Linux trixie/sid", "debian"),
        ("\x1b[31m 7", "31m31"),
        ("...", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_name_is_the_distribution_and_its_version(
    cache: Path, flattener: Toolchain, system: str, name: str
) -> None:
    assert name_of(in_cache(cache, flattener, system=system)) == name


@pytest.mark.parametrize(("settings", "name"), [(CENTOS, "redhat"), ("TYPE = a b\n", "unknown")])
def test_without_a_known_distribution_the_name_is_that_of_the_headers(
    base: BasePolicy, settings: str, name: str
) -> None:
    (base.headers / "include").mkdir()
    (base.headers / "include" / "build.conf").write_text(settings)
    assert name_of(base) == name


def test_the_modules_are_those_in_force(debian: BasePolicy) -> None:
    assert modules_of(debian) == ["base", "web"]


def test_guests_base_policies_are_listed_before_imported_ones(
    cache: Path, debian: BasePolicy, centos: BasePolicy
) -> None:
    assert known_bases(cache) == [debian, centos]


@pytest.mark.parametrize("selector", ["centos9", "CentOS9"])
def test_a_name_chooses(cache: Path, debian: BasePolicy, centos: BasePolicy, selector: str) -> None:
    assert chosen_base(selector, cache) == centos


@pytest.mark.parametrize("digits", [4, 12, 64])
def test_the_beginning_of_a_fingerprint_chooses(
    cache: Path, debian: BasePolicy, centos: BasePolicy, digits: int
) -> None:
    assert chosen_base(debian.facts.fingerprint[:digits].upper(), cache) == debian


@pytest.mark.parametrize("digits", [0, 1, 3])
def test_the_beginning_of_a_fingerprint_has_four_digits(cache: Path, debian: BasePolicy, digits: int) -> None:
    with pytest.raises(InputError, match="There is no base policy"):
        chosen_base(debian.facts.fingerprint[:digits], cache)


def test_a_part_of_a_name_does_not_choose(cache: Path, debian: BasePolicy) -> None:
    with pytest.raises(
        InputError, match="There is no base policy 'debian', which selab.yaml names"
    ) as caught:
        chosen_base("debian", cache, "selab.yaml")
    assert f"debian13 ({debian.facts.fingerprint[:12]})" in caught.value.detail
    assert "`selab base import FILE`" in caught.value.hint


def test_in_an_empty_cache_the_import_is_named(cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        chosen_base("debian13", cache)
    assert (caught.value.detail, "import" in caught.value.hint) == ("No base policy is known.", True)


def test_a_name_of_several_does_not_choose(cache: Path, debian: BasePolicy, flattener: Toolchain) -> None:
    other = in_cache(cache, flattener, OTHER, system=DEBIAN13)
    with pytest.raises(InputError, match="more than one base policy 'debian13'") as caught:
        chosen_base("debian13", cache)
    assert all(base.facts.fingerprint[:12] in caught.value.detail for base in (debian, other))
    assert "fingerprint" in caught.value.hint
    assert chosen_base(other.facts.fingerprint[:12], cache) == other


@pytest.fixture
def both(cache: Path, debian: BasePolicy, tmp_path: Path) -> tuple[BasePolicy, BasePolicy]:
    """A base policy of a guest, and the same one as it was imported before."""
    imported, _ = keep(read(export(debian), "file"), tmp_path / "empty")
    shutil.copytree(tmp_path / "empty" / "imported", cache / "imported")
    second = imported_base(debian.facts.fingerprint, cache)
    assert second is not None
    return debian, second


def test_the_guests_base_policy_replaces_an_imported_one(
    cache: Path, both: tuple[BasePolicy, BasePolicy]
) -> None:
    assert known_bases(cache) == [both[0]]
    assert chosen_base("debian13", cache) == both[0]


def test_an_imported_base_policy_replaces_a_damaged_one(
    cache: Path, both: tuple[BasePolicy, BasePolicy]
) -> None:
    both[0].flat.write_text("(type evil_t)\n")
    assert known_bases(cache) == [both[1]]
    assert chosen_base("debian13", cache) == both[1]
    assert list(unusable(cache)) == []


def test_a_damaged_base_policy_is_named_and_not_used(cache: Path, centos: BasePolicy) -> None:
    centos.flat.write_text("(type evil_t)\n")
    with pytest.raises(SelabError, match="was changed") as caught:
        chosen_base("centos9", cache)
    assert not isinstance(caught.value, InputError) and str(centos.directory) in caught.value.detail
    assert known_bases(cache) == []
    assert [str(centos.directory) in sentence for sentence in unusable(cache)] == [True]


def test_one_of_another_version_is_named_and_not_used(cache: Path, centos: BasePolicy) -> None:
    old = centos.directory.with_name(f"{centos.facts.fingerprint[:16]}-v1")
    centos.directory.rename(old)
    assert known_bases(cache) == []
    assert [str(old) in sentence for sentence in unusable(cache)] == [True]


def test_a_directory_with_the_facts_of_another_base_policy_is_not_used(
    cache: Path, debian: BasePolicy
) -> None:
    debian.directory.rename(debian.directory.with_name(f"{'f' * 16}-v{debian.directory.name[18:]}"))
    assert known_bases(cache) == []


def test_an_imported_base_policy_is_known_by_its_whole_fingerprint(cache: Path, centos: BasePolicy) -> None:
    fingerprint = centos.facts.fingerprint
    assert imported_base(fingerprint, cache) == centos
    assert imported_base(fingerprint[:16] + "0" * 48, cache) is None
    assert imported_base("", cache) is None


def test_names_and_fingerprints_are_completed(cache: Path, debian: BasePolicy, centos: BasePolicy) -> None:
    fingerprints = sorted(base.facts.fingerprint[:12] for base in (debian, centos))
    assert completions(cache) == ["centos9", "debian13", *fingerprints]


def test_the_origin_names_the_distribution_the_policy_and_the_fingerprint(debian: BasePolicy) -> None:
    assert origin(debian) == f"{DEBIAN13}, policy 'test' ({debian.facts.fingerprint[:12]})"
