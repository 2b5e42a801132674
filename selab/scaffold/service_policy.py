"""Write a new policy for a service of the guest: `selab new policy NAME --for-service UNIT`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from selab.policy.fc_source import macro_words
from selab.scaffold.policy_text import comment, escaped, port_rules
from selab.scaffold.service_files import TREE, Files, Place, files_by_place
from selab.scaffold.target import Target
from selab.service.description import ServiceDescription

DAEMON, NO_NEW_PRIVILEGES = "init_daemon_domain", "init_nnp_daemon_domain"
"""The interfaces that let systemd start a domain. On Debian, the first does what both do on CentOS."""
GENERIC = frozenset(
    {"", "bin_t", "usr_t", "lib_t", "etc_t", "opt_t", "var_t", "default_t", "unlabeled_t", "file_t"}
)
"""Types of programs that have no policy of their own."""
_INTERFACES: Mapping[Place, tuple[str, ...]] = {
    Place.CONFIGURATION: ("files_config_file",),
    Place.LOG: ("logging_log_file",),
    Place.SPOOL: ("files_spool_file",),
    Place.RUNTIME: ("files_runtime_file", "files_pid_file"),
}
"""The interfaces that make a type one of files in a place; for all others it is FILES."""
FILES = "files_type"
RANDOM = "dev_read_urand"
"""A boolean of the policy (global_ssp) may grant this too, so that `selab learn` leaves it to the user."""
MOST_LISTED = 5
_TRANSITIONS: Mapping[Place, tuple[str, ...]] = {
    Place.LOG: ("logging_log_filetrans",),
    Place.RUNTIME: ("files_runtime_filetrans", "files_pid_filetrans"),
}
"""The interfaces by which files that the service creates directly in a place get its own type."""


@dataclass(frozen=True)
class ServicePolicy:
    """The texts of a new policy for a service.

    te, fc: the texts of the files.
    remarks: what the user should know, one line each.
    """

    te: str
    fc: str
    remarks: tuple[str, ...]


def service_policy(name: str, service: ServiceDescription, target: Target) -> ServicePolicy:
    """Return the policy `name` for a service. Raises SelabError if the base policy lacks DAEMON."""
    target.require(DAEMON, "the policy's headers")
    places = files_by_place(service)
    parts = [
        f"policy_module({name}, 1.0)\n",
        _about(service),
        _domain(name, service, target),
        *_random(name, target),
        *(_type(name, place, files, target) for place, files in places.items()),
        *(_access(name, place, files) for place, files in places.items()),
        *_transitions(name, places, target),
        *port_rules(name, service.ports, target),
    ]
    fc, remarks = _file_contexts(name, service, places, target)
    return ServicePolicy("\n".join(parts), fc, (*_known_program(service), *remarks))


def _about(service: ServiceDescription) -> str:
    text = comment(
        f"A starting point for the service {service.unit}: what its unit and its package say that it needs."
    )
    text += comment(
        "A permissive run, `selab run SCENARIO --setenforce no`, shows the rest, and `selab suggest` writes "
        "the rules."
    )
    if service.user:
        return text + comment(
            f"systemd starts it as the user {service.user}: it should need no capabilities."
        )
    return text + comment(
        "systemd starts it as root. To switch to another user, it needs self:capability { setgid setuid }."
    )


def _domain(name: str, service: ServiceDescription, target: Target) -> str:
    text = comment(f"Its domain, which systemd enters when it starts {service.program}.")
    text += f"type {name}_t;\ntype {name}_exec_t;\n{DAEMON}({name}_t, {name}_exec_t)\n"
    if service.no_new_privileges and target.known and target.may_have(NO_NEW_PRIVILEGES):
        text += comment(
            "The unit sets NoNewPrivileges, so systemd may enter the domain only with a permission."
        )
        text += f"{NO_NEW_PRIVILEGES}({name}_t)\n"
    return text


def _type(name: str, place: Place, files: Files, target: Target) -> str:
    """Declare the type of the files in a place."""
    own = f"{name}_{place.ending}_t"
    text = comment(f"Its {place.title}: {_listed(files.paths)}.") + f"type {own};\n"
    # Without the base policy, only the interface that every policy has can be named.
    names = (*_INTERFACES.get(place, ()), FILES) if target.known else (FILES,)
    interface = next((each for each in names if target.may_have(each)), "")
    if interface:
        return f"{text}{interface}({own})\n"
    return f"gen_require(`\n\tattribute file_type;\n')\n{text}typeattribute {own} file_type;\n"


def _random(name: str, target: Target) -> Iterator[str]:
    """Yield the call by which the service reads random numbers, which most programs do at their start."""
    if target.known and target.may_have(RANDOM):
        yield f"{comment('Most programs read random numbers at their start.')}{RANDOM}({name}_t)\n"


def _listed(paths: list[str]) -> str:
    return ", ".join(paths[:MOST_LISTED]) + (" and others" if len(paths) > MOST_LISTED else "")


def _access(name: str, place: Place, files: Files) -> str:
    """Write the rules by which the service uses its own files in a place."""
    domain, own = f"{name}_t", f"{name}_{place.ending}_t"
    if place is Place.CONFIGURATION:
        text = comment("It reads its configuration.")
        text += f"allow {domain} {own}:dir list_dir_perms;\n" if files.directories else ""
        return text + f"read_files_pattern({domain}, {own}, {own})\n"
    if place is Place.LOG:
        patterns = ["append_files", "create_files", "setattr_files"]
        text = comment("It creates its logs and appends to them.")
    else:
        patterns = ["manage_dirs", "manage_files"] if files.directories else ["manage_files"]
        has_sockets = place is Place.RUNTIME and (files.directories or files.sockets)
        patterns += ["manage_sock_files"] if has_sockets else []
        text = comment(f"It manages its {place.title}.")
    return text + "".join(f"{pattern}_pattern({domain}, {own}, {own})\n" for pattern in patterns)


def _transitions(name: str, places: Mapping[Place, Files], target: Target) -> Iterator[str]:
    """Yield the calls by which files that the service itself creates in a common directory get its type."""
    for place, interfaces in _TRANSITIONS.items():
        files = places.get(place, Files())
        kinds = [kind for kind, group in (("file", files.files), ("sock_file", files.sockets)) if group]
        interface = next((each for each in interfaces if target.known and target.may_have(each)), "")
        if kinds and interface:
            text = comment(f"What it creates in {place.root} gets its type.")
            own = f"{name}_{place.ending}_t"
            classes = kinds[0] if len(kinds) == 1 else f"{{ {' '.join(kinds)} }}"
            yield f"{text}{interface}({name}_t, {own}, {classes})\n"


def _known_program(service: ServiceDescription) -> Iterator[str]:
    if service.program_type not in GENERIC:
        yield (
            f"The base policy already has the type {service.program_type} for {service.program}. "
            "In a run, the new policy's file contexts replace it."
        )


def _file_contexts(
    name: str, service: ServiceDescription, places: Mapping[Place, Files], target: Target
) -> tuple[str, list[str]]:
    """Return the text of the .fc, and remarks on entries that the base policy has as well."""
    entries = [(escaped(target.looked_up(service.program)), "--", f"{name}_exec_t")]
    for place, files in places.items():
        entries += [
            (pattern, kind, f"{name}_{place.ending}_t") for pattern, kind in files.patterns(target.looked_up)
        ]
    taken = target.file_contexts()
    lines, remarks = [], []
    for pattern, kind, type_ in entries:
        if (pattern, kind) in taken and pattern.endswith(TREE):
            # Two entries that are not the base policy's, and more specific.
            directory = pattern.removesuffix(TREE)
            lines += [_entry(directory, "-d", type_), _entry(f"{directory}/.*", "", type_)]
            continue
        if (pattern, kind) in taken:
            remarks.append(
                f"The base policy has an entry for {pattern} too, with the type {taken[pattern, kind]}: "
                f"`selab check {name}` reports the conflict. Without the base policy's module there is none."
            )
        lines.append(_entry(pattern, kind, type_))
    text = "".join(lines)
    if target.known:
        for word in macro_words(text, target.known.base):
            text = text.replace(f"{word.path}\t", f"{word.quoted}\t")
    return text, remarks


def _entry(pattern: str, kind: str, type_: str) -> str:
    return f"{pattern}\t{kind}\tgen_context(system_u:object_r:{type_},s0)\n".replace("\t\t", "\t")
