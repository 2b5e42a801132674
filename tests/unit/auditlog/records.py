"""Makes records as the kernel and object managers do, from values that hypothesis may choose."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from selab.auditlog.denials import MAX_EVIDENCE

SOURCE = "system_u:system_r:container_t:s0:c1,c2"
TARGET = "system_u:object_r:etc_t:s0"


def encoded(name: str, value: bytes) -> bytes:
    """Write `name=value` as kernel/audit.c writes what a process chose.

    The value is quoted, or in hex if quotes would be ambiguous.
    """
    plain = all(0x21 <= byte <= 0x7E and byte != 0x22 for byte in value)
    return name.encode() + b"=" + (b'"' + value + b'"' if plain else value.hex().upper().encode())


def avc(
    serial: int = 1,
    *,
    permissions: str = "read",
    source: str = SOURCE,
    target: str = TARGET,
    tclass: str = "file",
    permissive: int | None = 0,
    comm: bytes = b"httpd",
    path: bytes = b"/etc/passwd",
    time: float = 1700000000.123,
    decision: str = "denied",
    extra: str = "",
    head: str = "type=AVC msg=audit({time:.3f}:{serial}): ",
) -> bytes:
    mode = "" if permissive is None else f" permissive={permissive}"
    begin = head.format(time=time, serial=serial) + f"avc:  {decision}  {{ {permissions} }} for  pid=42 "
    end = f' dev="vda1" ino=7 {extra}scontext={source} tcontext={target} tclass={tclass}{mode}\n'
    return begin.encode() + encoded("comm", comm) + b" " + encoded("path", path) + end.encode()


def syscall(
    serial: int = 1, *, comm: bytes = b"httpd", exe: bytes = b"/usr/sbin/httpd", time: float = 1700000000.123
) -> bytes:
    head = (
        f"type=SYSCALL msg=audit({time:.3f}:{serial}): arch=c000003e syscall=2 success=no exit=-13 "
        f"a0=5630772dbfd0 items=1 pid=42 "
    )
    return head.encode() + encoded("comm", comm) + b" " + encoded("exe", exe) + b" key=(null)\n"


def path(
    serial: int = 1, *, name: bytes = b"/etc/passwd", inode: int = 7, time: float = 1700000000.123
) -> bytes:
    head = f"type=PATH msg=audit({time:.3f}:{serial}): item=0 ".encode()
    return head + encoded("name", name) + f" inode={inode} nametype=NORMAL\n".encode()


names = st.text(string.ascii_lowercase + "_", min_size=1, max_size=8)
chosen = st.binary(min_size=1, max_size=12).filter(lambda value: b"\n" not in value)
"""Draws what a process may choose: any bytes but a line end, since the tests split logs into lines."""


@st.composite
def contexts(draw: st.DrawFn) -> str:
    level = draw(st.sampled_from(["", ":s0", ":s0:c1,c2", ":s0-s0:c0.c1023"]))
    return f"{draw(names)}_u:{draw(names)}_r:{draw(names)}_t{level}"


@st.composite
def avc_lines(draw: st.DrawFn, last_serial: int = 99) -> bytes:
    return avc(
        draw(st.integers(1, last_serial)),
        permissions=" ".join(draw(st.lists(names, min_size=1, max_size=3))),
        source=draw(contexts()),
        target=draw(contexts()),
        tclass=draw(names),
        permissive=draw(st.sampled_from([0, 1, None])),
        comm=draw(chosen),
        path=draw(chosen),
        decision=draw(st.sampled_from(["denied", "denied", "granted"])),
    )


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Draw a log of few events: repeated denials, other records, and lines that are not records."""
    kinds = [
        avc(1),
        avc(2, permissive=1),
        avc(3, comm=b"a b"),
        avc(4, tclass="dir", path=b"x"),
        avc(5, decision="granted"),
    ]
    kinds += [
        syscall(1),
        syscall(2),
        path(4),
        path(4, inode=8),
        b"type=EOE msg=audit(1700000000.123:2): \n",
        b"noise\n",
    ]
    kinds += [
        b"type=CRED_ACQ msg=audit(1700000000.123:9): pid=1 msg='op=x res=success'\n",
        avc(6)[:90] + b"\n",
    ]
    kinds += [avc(7, time=1700000009.0), avc(1, extra="capability=3 "), syscall(7, time=1700000009.0)]
    kinds += [
        avc(8, source=f"{user}:r:container_t{level}")
        for user, level in (("u", ":s0:c99"), ("u", ""), ("u", ":"), ("", ":s0"))
    ]
    kinds += [
        avc(8, source="u:r:container_t:s0", permissive=1),
        avc(8, source="u:r:container_t:s0").rstrip() + b" trawcon=x\n",
    ]
    many = [avc(10 + number, source=f"u:r:container_t:s0:c{number}") for number in range(MAX_EVIDENCE)]
    many += [
        avc(30 + number, source=f"u:r:a_t:s0:c{number}", target="u:r:b_t:s0:c99")
        for number in range(MAX_EVIDENCE)
    ]
    kinds += [
        avc(50, source="u:r:a_t:s0:c99", target="u:r:b_t:s0:c99"),
        avc(51, source="u:r:a_t:s0:c98", target="u:r:b_t:s0:c99"),
    ]
    begin = many if draw(st.booleans()) else []
    return begin + draw(st.lists(st.one_of(st.sampled_from(kinds), avc_lines(5)), max_size=25))
