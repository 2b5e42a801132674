"""Write a new policy for `selab new policy`, in which a comment explains every rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selab.errors import InputError
from selab.policy.container_template import FILES, PREFIX, TEMPLATE
from selab.policy.guest_templates import template_blocks
from selab.policy.module_files import ENDINGS
from selab.progress import Progress
from selab.project import NEW_POLICY, Project, new_policy_name
from selab.run.request import NO_POLICY
from selab.scaffold.cil_policy import cil_text
from selab.scaffold.image_config import Connect, ImageConfig, image_config, quoted
from selab.scaffold.new_file import create, require_free
from selab.scaffold.policy_text import comment, escaped, port_rules
from selab.scaffold.target import Target, target_of

BARE = "A starting point: what any container may do."


@dataclass(frozen=True)
class NewPolicy:
    """The result of `selab new policy`.

    file: path of the policy below the project.
    remarks: what the user should know about how it was written.
    """

    file: str
    remarks: tuple[str, ...]


def new_policy(
    project: Project,
    name: str,
    image: str | None,
    connect: Connect,
    progress: Progress,
    *,
    in_cil: bool = False,
) -> NewPolicy:
    """Write a new policy for `image`, if given: a directory of images/, or an image that the guest has.

    It is a .te, or `in_cil` a .cil in the style of udica.
    Raises InputError, without writing anything, if the name is invalid or taken.
    """
    path = free_policy(project, name, "cil" if in_cil else "te")
    config = image_config(project, image, connect, progress) if image else ImageConfig()
    target = target_of(project, progress)
    target.require(TEMPLATE, "container-selinux")
    require_unused(target, name)
    if in_cil:
        text = cil_text(
            name,
            image or "",
            config,
            target,
            template_blocks(project, target.known.base if target.known else None),
        )
    else:
        text = policy_text(name, image or "", config, target)
    file = create(project, path, text)
    return NewPolicy(file, (target.remark, *(f"{image}: {line}." for line in config.left)))


def free_policy(project: Project, name: str, ending: str) -> Path:
    """Return the path of a new policy. Raises InputError if the name is invalid or taken."""
    if not NEW_POLICY.fullmatch(name):
        raise InputError(
            f"{quoted(name)} cannot be a new policy's name.",
            "The policy's type is named after it.",
            f"Use for example {new_policy_name(name)}.",
        )
    if name == NO_POLICY:
        raise InputError(
            f"'{name}' is reserved: it means that a run has no policy.", hint="Choose another name."
        )
    path = project.policies / f"{name}.{ending}"
    require_free(*(path.with_suffix(each) for each in ENDINGS))
    return path


def require_unused(target: Target, name: str) -> None:
    """Raise InputError if the base policy has a module or a domain of that name."""
    if target.has(name):
        raise InputError(
            f"The base policy already has '{name}'.",
            f"It declares a module {name} or a type {name}_t.",
            f"Use for example my_{name}.",
        )


def policy_text(name: str, image: str, config: ImageConfig, target: Target) -> str:
    """Return the text of the .te."""
    parts = [
        f"policy_module({name}, 1.0)\n",
        _about(image, config),
        _domain(name),
        *port_rules(name, config.ports, target),
    ]
    return "\n".join([*parts, *_volumes(name, config, target)])


def _about(image: str, config: ImageConfig) -> str:
    text = comment(
        f"A starting point: what any container may do, and what the settings of the image {image} need."
        if image
        else BARE
    )
    text += comment(
        "A permissive run, `selab run SCENARIO --setenforce no`, shows the rest, and `selab suggest` writes "
        "the rules."
    )
    if config.user:
        return text + comment(
            f"The image runs as the user {config.user}, not as root: it should need no capabilities."
        )
    if image:
        return text + comment(
            "The image starts as root. To switch to another user, it needs self:capability { setgid setuid }."
        )
    return text


def _domain(name: str) -> str:
    """Write the call with both arguments. If the template takes one, as on Debian, m4 ignores the second."""
    require = (
        comment(
            "The template uses the type of a container's files, and not every distribution's requires it."
        )
        + f"gen_require(`\n\ttype {FILES};\n')\n"
    )
    text = comment(
        f"The container's domain, {name}_t. The second argument names the files that it uses: {FILES}."
    )
    return f"{require}\n{text}{TEMPLATE}({name}, {PREFIX})\n"


def _volumes(name: str, config: ImageConfig, target: Target) -> Iterator[str]:
    """Explain in a comment why volumes need no rule: by default they get the type of containers' files."""
    if config.volumes:
        yield (
            comment(
                f"The volumes {', '.join(config.volumes)} need no rule: they are labelled "
                f"{target.file_type}, as by Docker's :Z, unless {name}.fc names them. To give them a type of "
                f"their own, declare it here and name the path in {name}.fc, as in"
            )
            + f"#   {escaped(config.volumes[0])}(/.*)?\tgen_context(system_u:object_r:{name}_data_t,s0)\n"
        )
