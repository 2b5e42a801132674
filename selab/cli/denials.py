"""`selab denials`: the denials of any audit log, without a VM."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from selab.cli.session import Context, pass_context
from selab.errors import InputError
from selab.host.files import to_json

if TYPE_CHECKING:
    from gzip import GzipFile

MAX_LINE = 1024 * 1024
"""Bytes that are read of a line at a time. auditd's longest record has 8,970; a file without line ends
must not fill the memory."""
_GZIP = b"\x1f\x8b"

ReadLine = Callable[[int], bytes]


@click.command()
@click.argument("file", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_context
def denials(context: Context, file: str | None, as_json: bool) -> None:
    """Summarise the SELinux denials in FILE, or in standard input (`-`).

    Reads audit.log, plain or gzipped, the output of ausearch (also with -i), dmesg and the journal, and
    records inside JSON lines (journalctl -o json, Docker, auditbeat). If records share a line, each is read,
    or selab says that it could not be read. A record that the journal has twice is counted once.

    If the log says that records were lost or suppressed, selab says that it is incomplete (`incomplete` in
    JSON). A label that the policy does not know is shown with its denial (`raw_sources`, `raw_targets`).

    \b
    Example:
      selab denials /var/log/audit/audit.log
      journalctl -k | selab denials --json -
    """
    from selab.auditlog.summary import summarise

    with context.progress_without_project.step("Reading the log"), _log(file) as read_line:
        summary = summarise(iter(lambda: read_line(MAX_LINE), b""))
    if as_json:
        click.echo(to_json(summary.to_json()))
    else:
        from selab.report.denials import show_summary

        show_summary(summary, context.out)


@contextmanager
def _log(file: str | None) -> Iterator[ReadLine]:
    """Open the log. Raises InputError if it cannot be read, also after a part has been read."""
    if file is None and _is_terminal():
        raise click.UsageError("No log is given. Name a FILE, or `-` for standard input.")
    try:
        with ExitStack() as opened:
            stream = (
                sys.stdin.buffer
                if file is None or file == "-"
                else opened.enter_context(Path(file).open("rb"))
            )
            packed = isinstance(stream, BufferedReader) and stream.peek(2)[:2] == _GZIP
            yield opened.enter_context(_unpacked(stream)).readline if packed else stream.readline
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"The log {file or '-'} cannot be read.", str(error)) from error


def _unpacked(stream: BinaryIO) -> GzipFile:
    import gzip

    return gzip.open(stream)


def _is_terminal() -> bool:
    return sys.stdin.isatty()
