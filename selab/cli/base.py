"""`selab base`: the base policies in the cache, and their exchange as files."""

from __future__ import annotations

from pathlib import Path

import click

from selab.cli.completion import bases
from selab.cli.session import Context, pass_context
from selab.report.markup import safe


@click.group()
def base() -> None:
    """List the base policies in the cache, and exchange them as files.

    An imported base policy answers for check, audit, replay, explain and suggest on a machine that has no
    such VM: name it as `vm: {base: NAME}` in selab.yaml. It serves no run.

    \b
    Example:
      selab base list
    """


@base.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the base policies as one JSON document.")
@pass_context
def list_(context: Context, as_json: bool) -> None:
    """List the base policies: name, fingerprint, distribution, policy, number of modules, and where each is
    from.

    \b
    Example:
      selab base list --json
    """
    from selab.host.cache import cache_dir
    from selab.host.files import to_json
    from selab.policy.known_bases import known_bases, unusable
    from selab.report.base import bases_table, list_document

    known = known_bases(cache_dir())
    if as_json:
        click.echo(to_json(list_document(known)))
    elif known:
        context.out.print(bases_table(known))
    else:
        context.out.print("No base policy is known. A run reads one; `selab base import FILE` adds one.")
    for sentence in unusable(cache_dir()):
        context.console.print(safe(sentence), soft_wrap=True)


@base.command()
@click.argument("name", metavar="BASE", shell_complete=bases)
@click.option("--json", "as_json", is_flag=True, help="Print the base policy as one JSON document.")
@pass_context
def show(context: Context, name: str, as_json: bool) -> None:
    """Show the base policy BASE, a name or the beginning of a fingerprint: versions, digest and modules.

    \b
    Examples:
      selab base show debian13
      selab base show e8658c09 --json
    """
    from selab.host.cache import cache_dir
    from selab.host.files import to_json
    from selab.policy.known_bases import chosen_base
    from selab.report.base import document, show_base

    chosen = chosen_base(name, cache_dir())
    if as_json:
        click.echo(to_json(document(chosen)))
    else:
        show_base(chosen, context.out)


@base.command()
@click.argument("name", metavar="BASE", shell_complete=bases)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@pass_context
def export(context: Context, name: str, file: Path | None) -> None:
    """Write the base policy BASE to FILE, and print its digest. FILE is NAME-FINGERPRINT.selab-base if it is
    not given.

    The file contains the policy with its local modifications: ports, booleans, file contexts and users that
    `semanage` set on that guest.

    \b
    Examples:
      selab base export debian13
      selab base export e8658c09 debian13.selab-base
    """
    from selab.errors import InputError
    from selab.host.cache import cache_dir
    from selab.host.private import write_private
    from selab.policy.known_bases import SHOWN, chosen_base, name_of
    from selab.policy.portable import digest_of, export

    chosen = chosen_base(name, cache_dir())
    path = file or Path(f"{name_of(chosen)}-{chosen.facts.fingerprint[:SHOWN]}.selab-base")
    data = export(chosen)
    if path.is_file() and path.read_bytes() == data:
        context.console.print(safe(f"{path} already contains it."), soft_wrap=True)
    elif path.exists() or path.is_symlink():
        raise InputError(f"{path.name} already exists.", str(path), "Name another file, or remove this one.")
    else:
        write_private(path, data, mode=0o666)  # the umask applies
    context.out.print(safe(f"{path} {len(data) / 2**20:.1f} MiB"), soft_wrap=True)
    context.out.print(safe(f"digest {digest_of(chosen)}"), soft_wrap=True)


@base.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--digest",
    default="",
    metavar="SHA256",
    help="Refuse the file unless it has this digest, which `selab base export` and `selab base show` print.",
)
@pass_context
def import_(context: Context, file: Path, digest: str) -> None:
    """Import the base policy in FILE, which `selab base export` wrote on another machine.

    selab refuses a file that was truncated or changed, or that contains anything but a base policy. It cannot
    know whether the file tells the truth: compare its digest, and see docs/explanation/security.md.

    \b
    Examples:
      selab base import debian13.selab-base
      selab base import debian13.selab-base --digest 5f0c1d...
    """
    from selab.errors import InputError
    from selab.host.cache import cache_dir
    from selab.policy.known_bases import name_of, origin
    from selab.policy.portable import keep
    from selab.policy.portable_file import read_file

    portable = read_file(file)
    if digest and digest.lower() != portable.manifest.digest:
        raise InputError(
            f"{file.name} does not have the expected digest.",
            f"It has {portable.manifest.digest}.",
            "Nothing was imported. Find out which file you were to import.",
        )
    stored, is_new = keep(portable, cache_dir())
    what = "imported" if is_new else "already known:"
    context.out.print(safe(f"{what} {name_of(stored)}: {origin(stored)}"), soft_wrap=True)
    context.out.print(safe(f"digest {portable.manifest.digest}"), soft_wrap=True)
