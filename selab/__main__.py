"""The program `selab`. This is the only place that turns an error into text and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import click

from selab.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE, SelabError


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 PASS, 1 FAIL, 2 wrong usage or input, 3 ERROR, 130 interrupted."""
    # Most objects that are created at start-up stay alive: scanning them for garbage repeatedly takes a tenth
    # of a short command's time.
    gc.set_threshold(50_000)
    code = run(sys.argv[1:])
    # The interpreter would scan all of them once more when it exits.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code.

    click exits with 1 on its own errors, on Ctrl-C and on a closed pipe. Here 1 means FAIL, so each gets
    another code.
    """
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
    except Exception as error:
        return _fault(error)


def _fault(error: Exception) -> int:
    """Report an exception that selab did not foresee. Python would exit with 1, which means FAIL."""
    import logging
    import traceback

    logger = logging.getLogger("selab")
    logger.error("selab has a fault", exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    files = [handler.baseFilename for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    log = f"the end of {files[-1]}" if files else "the output of `selab -v`"
    text = " ".join(str(error).split())[:300]
    _say(
        "selab has a fault.",
        f"{type(error).__name__}: {text}{place}",
        f"Report it to selab's maintainers, with {log}. This says nothing about the policy.",
    )
    return EXIT_ERROR


def _refused_by_system(error: OSError) -> int:
    """Report an error of the operating system (a full disk, another user's directory) like every other
    error."""
    import errno
    import logging

    logging.getLogger("selab").error("the operating system reported an error", exc_info=error)
    sentences = {
        errno.ENOSPC: (
            "There is no space left on the disk.",
            "Free some space, then run again. Incomplete files are not used.",
        ),
        errno.EDQUOT: (
            "Your disk quota is used up.",
            "Free some space, then run again. Incomplete files are not used.",
        ),
        errno.EFBIG: ("A file exceeds the size limit.", "See `ulimit -f`. Incomplete files are not used."),
        errno.EROFS: ("The disk is read-only.", "The project and the cache (SELAB_CACHE) must be writable."),
        errno.EACCES: (
            "selab may not use a file.",
            "Check its owner; selab may have been run as root earlier.",
        ),
    }
    what, hint = sentences.get(
        error.errno or 0, ("The operating system reported an error.", "See the log, .selab/selab.log.")
    )
    _say(what, str(error), hint)
    return EXIT_ERROR


def _say(what: str, detail: str, hint: str) -> None:
    from selab.report.text import plain

    # click ignores NO_COLOR (https://no-color.org).
    colour = None if os.environ.get("NO_COLOR") else "red"
    click.secho(f"Error: {plain(what)}", fg=colour, bold=True, err=True)
    for line in (detail, hint):
        if line:
            click.echo(f"  {plain(line)}", err=True)


if __name__ == "__main__":
    main()
