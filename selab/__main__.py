"""The program `selab`: the one place where an error becomes text and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import click

from selab.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE, SelabError


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 PASS, 1 FAIL, 2 wrong usage or input, 3 ERROR, 130 interrupted."""
    # Most of what starting makes stays: looking it through for garbage again and again takes a tenth of a short command's time.
    gc.set_threshold(50_000)
    code = run(sys.argv[1:])
    # And all of it would be looked through once more at the end, when it goes anyway.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command; click uses exit code 1 for its own errors, for Ctrl-C and for a closed pipe, which here means FAIL."""
    from selab.cli.root import cli

    try:
        code = cli.main(arguments, prog_name="selab", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SelabError as error:
        _say(error.what, error.detail, error.hint)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return EXIT_USAGE
    except click.UsageError as error:
        hint = f"See `{error.ctx.command_path} --help`." if error.ctx else "See `selab --help`."
        _say(error.format_message(), "", hint)
        return EXIT_USAGE
    except click.ClickException as error:
        _say(error.format_message(), "", "")
        return EXIT_ERROR
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted.", "", "")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except OSError as error:
        return _refused_by_system(error)


def _refused_by_system(error: OSError) -> int:
    """What the operating system refuses anywhere (a full disk, a directory of somebody else's), as an error like the others."""
    import errno
    import logging

    logging.getLogger("selab").error("the system refused something", exc_info=error)
    sentences = {
        errno.ENOSPC: (
            "There is no space left on the disk.",
            "Make room, then run again: what was half written is not used.",
        ),
        errno.EDQUOT: (
            "Your quota of the disk is used up.",
            "Make room, then run again: what was half written is not used.",
        ),
        errno.EFBIG: ("A file may not grow any more.", "See `ulimit -f`; what was half written is not used."),
        errno.EROFS: ("The disk cannot be written to.", "The project and the cache (SELAB_CACHE) must be."),
        errno.EACCES: ("selab may not use a file.", "Whose is it? selab was perhaps run as root before."),
    }
    what, hint = sentences.get(
        error.errno or 0, ("The system refused something.", "The log in .selab/selab.log has more.")
    )
    _say(what, str(error), hint)
    return EXIT_ERROR


def _say(what: str, detail: str, hint: str) -> None:
    from selab.report.text import plain

    colour = (
        None if os.environ.get("NO_COLOR") else "red"
    )  # click does not look for it (https://no-color.org)
    click.secho(f"Error: {plain(what)}", fg=colour, bold=True, err=True)
    for line in (detail, hint):
        if line:
            click.echo(f"  {plain(line)}", err=True)


if __name__ == "__main__":
    main()
