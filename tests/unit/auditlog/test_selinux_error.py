"""SELINUX_ERR: failures without a denial."""

from __future__ import annotations

import pytest

from selab.auditlog.denials import SelinuxError
from selab.auditlog.events import read_events
from selab.auditlog.selinux_error import MEANINGS, UNKNOWN


def error(line: str) -> SelinuxError:
    (event,) = read_events([line.encode()])
    (only,) = event.selinux_errors()
    return only


def kernel(text: str) -> SelinuxError:
    return error(f"type=SELINUX_ERR msg=audit(1700000000.123:5): {text}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            (
                'op=security_compute_sid invalid_context="u:r:x_t" scontext=u:r:a_t tcontext=u:r:b_t '
                "tclass=process"
            ),
            "security_compute_sid",
        ),
        (
            (
                "security_compute_sid:  invalid context u:r:x_t for scontext=u:r:a_t tcontext=u:r:b_t "
                "tclass=process"
            ),
            "security_compute_sid",
        ),
        (
            "op=security_bounded_transition seresult=denied oldcontext=u:r:a_t newcontext=u:r:b_t",
            "security_bounded_transition",
        ),
        (
            (
                "op=security_validate_transition seresult=denied oldcontext=a newcontext=b taskcontext=c "
                "tclass=file"
            ),
            "security_validate_transition",
        ),
        (
            "op=security_compute_av reason=bounds scontext=a tcontext=b tclass=dir perms=read",
            "security_compute_av",
        ),
        ("op=security_sid_mls_copy invalid_context=u:r:x_t", "security_sid_mls_copy"),
        ("op=setxattr invalid_context=u:r:x_t", "setxattr"),
        ("op=fscreate invalid_context=u:r:x_t", "fscreate"),
        ("SELinux:  unrecognized netlink message type=1 for sclass=43", "unrecognized netlink message"),
    ],
)
def test_trap_8_each_kind_has_a_meaning(text: str, kind: str) -> None:
    error = kernel(text)
    assert (error.kind, error.meaning) == (kind, MEANINGS[kind])


def test_trap_8_an_unknown_kind_is_still_a_failure() -> None:
    error = kernel("op=something_new a=b")
    assert (error.kind, error.meaning) == ("something_new", UNKNOWN)


def test_an_invalid_context_is_decoded() -> None:
    assert (
        kernel("op=setxattr invalid_context=6B75C5996563C3AD20C599C3AD7A656B").invalid_context
        == "kuřecí řízek"
    )


@pytest.mark.parametrize(
    "text",
    [
        "security_compute_sid:  invalid context u:r:x_t for scontext=u:r:a_t tcontext=u:r:b_t tclass=process",
        "op=security_compute_sid invalid_context=u:r:x_t scontext=u:r:a_t tcontext=u:r:b_t tclass=process",
    ],
    ids=["old", "new"],
)
def test_an_error_has_all_contexts_its_class_event_and_time(text: str) -> None:
    error = kernel(text)
    assert (error.scontext, error.tcontext, error.tclass) == ("u:r:a_t", "u:r:b_t", "process")
    assert (error.invalid_context, error.serial, error.time) == ("u:r:x_t", 5, 1700000000.123)


@pytest.mark.parametrize(
    ("text", "kind"), [("invalid context u:r:x_t", "invalid context"), ("something else", "unknown")]
)
def test_an_error_without_an_operation_has_a_kind(text: str, kind: str) -> None:
    error = kernel(text)
    assert (error.kind, error.meaning) == (kind, MEANINGS.get(kind, UNKNOWN))


def test_an_error_is_written_in_full() -> None:
    text = "op=setxattr invalid_context=u:r:x_t scontext=u:r:a_t tcontext=u:r:b_t tclass=file"
    assert kernel(text).to_json() == {
        "kind": "setxattr",
        "meaning": MEANINGS["setxattr"],
        "source": "u:r:a_t",
        "target": "u:r:b_t",
        "class": "file",
        "invalid_context": "u:r:x_t",
        "text": text,
    }


def test_a_transition_has_its_old_and_new_context() -> None:
    error = kernel("op=security_bounded_transition seresult=denied oldcontext=u:r:a_t newcontext=u:r:b_t")
    assert (error.scontext, error.tcontext) == ("u:r:a_t", "u:r:b_t")


@pytest.mark.parametrize("kind", ["USER_AVC", "USER_SELINUX_ERR"])
def test_an_object_manager_that_cannot_ask_is_a_failure(kind: str) -> None:
    line = (
        f"type={kind} msg=audit(1700000000.123:5): pid=1 msg='Unknown class dbus "
        f'exe="/usr/bin/dbus-broker" sauid=81\''
    )
    assert error(line).kind == "userspace"


def test_the_same_failure_twice_is_equal() -> None:
    first, second = (
        error(f"type=SELINUX_ERR msg=audit(1700000000.123:{serial}): op=setxattr invalid_context=x")
        for serial in (1, 2)
    )
    assert first == second
