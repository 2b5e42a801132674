"""Recognise what looks like a secret in a variable or in an argument, so that no scenario contains it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from selab.host.tables import table

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+")
_NAMES = table("scaffold/names.toml")["secret"]
_WORDS, _HARMLESS = frozenset(_NAMES["words"]), frozenset(_NAMES["harmless"])
_ENDINGS = tuple(_NAMES["endings"])
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]*@"  # a URL with a password
    r"|\A[^\s:@/]{1,64}:(?!//)[^\s@]{1,256}@(?!sha256:)"  # a data source: user:password@tcp(host)/name
    r"|(?:\A|[\s;?&])(?:password|passwd|pwd) ?= ?[^\s;&]"  # a list of settings, as PostgreSQL reads it
    r"|-----BEGIN ",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Return whether a word of the name stands for a secret: KEY in SSH_KEY, but not in KEYCLOAK_HOSTNAME."""
    if name in _HARMLESS:
        return False
    words = [word.upper() for word in _WORD.findall(name)]
    return any(word in _WORDS or word.endswith(_ENDINGS) for word in words)


def is_secret_value(value: str) -> bool:
    """Return whether the value contains a password or a private key."""
    return bool(_VALUE.search(value))


def has_secret(argv: Iterable[str]) -> bool:
    """Return whether an argument is a secret, or names one: `--password=x`, `--password x`."""
    arguments = list(argv)
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if is_secret_value(argument) or (sign and value and is_secret_name(name)):
            return True
    return any(
        option.startswith("-") and "=" not in option and not value.startswith("-") and is_secret_name(option)
        for option, value in pairwise(arguments)
    )


def refuse_secrets_within(argv: Iterable[str]) -> None:
    """Raise ValueError if a word within an argument, such as a shell script, is a secret or names one."""
    if has_secret(word for argument in argv for word in argument.split()):
        raise ValueError("it looks like it contains a secret")
