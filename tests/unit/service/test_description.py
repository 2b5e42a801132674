"""What the guest says about a service is data: values of another form are left out."""

from __future__ import annotations

import pytest

from selab.errors import CommandFailed, InputError, SelabError
from selab.guest import script
from selab.service.description import MOST_LEFT, ServiceDescription, describe
from tests.unit.fakes import FakeGuest

KNOWN = "LoadState=loaded\nId=web.service\nEntry=/usr/sbin/web\n"


def described(
    text: str = "", known: str = KNOWN, end: str = "Complete=yes\n", code: int = 0
) -> ServiceDescription:
    guest = FakeGuest()
    guest.answer(script("service/describe"), out=known + text + end, code=code)
    return describe("web.service").of(guest)


def test_the_least_service_has_a_program() -> None:
    assert described() == ServiceDescription("web.service", "/usr/sbin/web")


def test_a_service_has_what_systemd_and_the_packages_say() -> None:
    text = """\
User=www-data
NoNewPrivileges=no
PIDFile=/var/run/web.pid
RuntimeDirectory=web web/sub
StateDirectory=web:link
CacheDirectory=web
LogsDirectory=web
ConfigurationDirectory=web
ReadWritePaths=-/srv/web +/srv/x
Listen=/run/web.sock (Stream)
Listen=[::]:80 (Stream)
Listen=0.0.0.0:69 (Datagram)
EntryContext=system_u:object_r:bin_t:s0
EntryPackage=web
Package=web
Package=web-common
Directory=/etc/web
File=/etc/web/web.conf
Tmpfiles=d /run/more 0755 root root -
Tmpfiles=L /run/link - - - - /x
Listening=tcp 0.0.0.0:443
Listening=tcp [::]:443
Listening=udp 127.0.0.53%lo:53
"""
    assert described(text) == ServiceDescription(
        "web.service",
        "/usr/sbin/web",
        "bin_t",
        "www-data",
        ("web", "web-common"),
        directories=(
            *("/run/web", "/run/web/sub", "/var/lib/web", "/var/cache/web", "/var/log/web", "/etc/web"),
            "/run/more",
        ),
        files=("/run/web.pid", "/run/link", "/etc/web/web.conf"),
        writable=("/srv/web", "/srv/x"),
        sockets=("/run/web.sock",),
        ports=(("tcp", 80), ("udp", 69), ("tcp", 443), ("udp", 53)),
    )


@pytest.mark.parametrize(("user", "expected"), [("root", ""), ("0", ""), ("daemon", "daemon"), ("-x", "")])
def test_root_is_no_user(user: str, expected: str) -> None:
    assert described(f"User={user}\n").user == expected


@pytest.mark.parametrize(("text", "expected"), [("User=x\n", "x"), ("", "dynamic")])
def test_a_dynamic_user_may_not_gain_privileges(text: str, expected: str) -> None:
    service = described(f"{text}DynamicUser=yes\n")
    assert (service.user, service.no_new_privileges) == (expected, True)


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("no", False)])
def test_the_unit_says_whether_it_may_gain_privileges(text: str, expected: bool) -> None:
    assert described(f"NoNewPrivileges={text}\n").no_new_privileges is expected


@pytest.mark.parametrize(
    "text",
    [
        "Directory=/etc/a b",
        "File=/etc/`x'",
        "File=/etc/../x",
        "File=/etc//x",
        "Directory=/etc/./x",
        "PIDFile=run/x",
        "User=a b",
        "Package=-y",
        "Listen=@abstract (Stream)",
        "Listen=kobject-uevent 1 (Netlink)",
        "Listen=/run/a\x1bb (Stream)",
        "Listening=tcp *:99999",
        "Listening=sctp *:80",
        "ReadWritePaths=/a$b",
    ],
)
def test_a_value_that_a_policy_cannot_have_is_left_out(text: str) -> None:
    service = described(f"{text}\n")
    assert len(service.left) == 1 and service.left[0].isascii() and service.left[0].isprintable()
    assert service == ServiceDescription("web.service", "/usr/sbin/web", left=service.left)


def test_few_lines_say_what_was_left_out() -> None:
    assert len(described("".join(f"File=/etc/ {number}\n" for number in range(99))).left) == MOST_LEFT


def test_a_clients_port_is_none_of_the_services() -> None:
    text = "Listening=udp *:32768\nListening=udp *:32767\nListening=tcp *:50000\n"
    assert described(text).ports == (("udp", 32767), ("tcp", 50000))


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        (KNOWN.replace("loaded", "not-found"), "no unit web.service"),
        ("", "no unit web.service"),
        (KNOWN.replace("Id=web", "Id=ssh"), "another name"),
        (KNOWN.replace("Entry=/usr/sbin/web", ""), "no program"),
        (KNOWN.replace("/usr/sbin/web", "relative"), "no program"),
        (KNOWN.replace("/usr/sbin/web", "/usr/bin/a b"), "no program"),
        (KNOWN.replace("/usr/sbin/web", "/usr/../web"), "no program"),
    ]
    + [
        (KNOWN.replace("/usr/sbin/web", f"/usr/bin/{name}"), "other services start as well")
        for name in ("sh", "bash", "dash", "python3.13", "perl", "env", "java", "systemd-notify")
    ],
)
def test_a_unit_without_a_program_of_its_own_is_wrong_input(known: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        described(known="\n".join(line for line in known.splitlines() if line) + "\n" if known else "")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["shd", "pythonista", "web-python3"])
def test_a_program_with_a_similar_name_is_its_own(name: str) -> None:
    assert described(known=KNOWN.replace("/sbin/web", f"/bin/{name}")).program == f"/usr/bin/{name}"


@pytest.mark.parametrize(("text", "end"), [("x\n", "Complete=yes\n"), ("", ""), ("", "Complete=no\n")])
def test_an_answer_without_sense_is_an_error(text: str, end: str) -> None:
    with pytest.raises(SelabError, match="makes no sense"):
        described(text, end=end)


def test_a_systemd_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(CommandFailed, match="does not describe web.service"):
        described(code=1)
