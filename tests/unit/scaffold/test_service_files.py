"""A service's files are sorted by their place, and what services share stays as it is."""

from __future__ import annotations

import pytest

from selab.scaffold.service_files import Place, files_by_place
from selab.service.description import ServiceDescription


def paths(**fields: tuple[str, ...]) -> dict[str, list[str]]:
    places = files_by_place(ServiceDescription("web.service", "/usr/sbin/web", **fields))  # type: ignore[arg-type]
    return {place.name: files.paths for place, files in places.items()}


@pytest.mark.parametrize(
    ("directory", "place"),
    [
        ("/etc/web", "CONFIGURATION"),
        ("/var/lib/web", "STATE"),
        ("/var/cache/web", "CACHE"),
        ("/var/log/web", "LOG"),
        ("/var/spool/web", "SPOOL"),
        ("/run/web", "RUNTIME"),
    ],
)
def test_a_directory_has_the_type_of_its_place(directory: str, place: str) -> None:
    assert paths(directories=(directory, f"{directory}/sub/x")) == {place: [directory]}


@pytest.mark.parametrize(
    "directory",
    ["/etc", "/etc/", "/etc/default", "/etc/cron.d", "/etc/init.d", "/var", "/var/lib", "/var/log", "/run"]
    + ["/run/lock", "/run/systemd", "/var/lib/systemd/x", "/usr/share/web", "/srv/web", "/etcetera/web", "/"],
)
def test_a_directory_that_others_use_has_no_type(directory: str) -> None:
    assert paths(directories=(directory,)) == {}


@pytest.mark.parametrize(
    "file", ["/etc/default/web", "/etc/init.d/web", "/run/lock/web", "/usr/bin/web", "/web"]
)
def test_a_file_in_a_directory_that_others_use_has_no_type(file: str) -> None:
    assert paths(files=(file,), sockets=(file,)) == {}


def test_what_is_in_an_own_directory_has_no_entry_of_its_own() -> None:
    assert paths(files=("/etc/web/web.conf", "/run/web/web.pid"), sockets=("/run/web/web.sock",)) == {
        "CONFIGURATION": ["/etc/web"],
        "RUNTIME": ["/run/web"],
    }


def test_single_files_and_sockets_have_an_entry() -> None:
    places = files_by_place(
        ServiceDescription(
            "web.service",
            "/usr/sbin/web",
            files=("/etc/web.conf", "/run/web.pid", "/etc/default/web"),
            sockets=("/run/web.sock", "/tmp/x"),
        )
    )
    assert [*places] == [Place.CONFIGURATION, Place.RUNTIME]
    entries = [entry for files in places.values() for entry in files.patterns(str.upper)]
    assert entries == [(r"/ETC/WEB\.CONF", "--"), (r"/RUN/WEB\.PID", "--"), (r"/RUN/WEB\.SOCK", "-s")]


def test_a_directory_is_labelled_with_all_that_is_in_it() -> None:
    places = files_by_place(ServiceDescription("x.service", "/x", directories=("/etc/a.b",)))
    assert list(places[Place.CONFIGURATION].patterns(str)) == [(r"/etc/a\.b(/.*)?", "")]


@pytest.mark.parametrize(
    ("writable", "expected"),
    [
        ("/srv/web", {"DATA": ["/srv/web"]}),
        ("/srv", {}),
        ("/var/lib/web/x", {"STATE": ["/var/lib/web"]}),
        ("/var/lib", {}),
        ("/etc/cron.d", {}),
    ],
)
def test_a_path_that_the_unit_may_write_to_has_a_type(writable: str, expected: dict[str, list[str]]) -> None:
    assert paths(writable=(writable,)) == expected
