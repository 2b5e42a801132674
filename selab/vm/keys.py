"""Private keys: each VM gets its own key, whatever key its box or the user's Vagrantfile uses at first."""

from __future__ import annotations

import os
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

WELL_KNOWN_RSA = "AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzI"
"""The beginning of the public key that Vagrant has shipped since its first release (keys/vagrant.pub)."""


def is_well_known(key: Path) -> bool:
    """Return whether the private key in the file `key` is public knowledge: one of the keys that Vagrant
    ships."""
    home = Path(os.environ.get("VAGRANT_HOME", "~/.vagrant.d")).expanduser()
    shipped = (*home.glob("insecure_private_key"), *home.glob("insecure_private_keys/*"))
    if key.read_bytes().split() in [path.read_bytes().split() for path in shipped]:
        return True
    try:
        return paramiko.PKey.from_path(key).get_base64().startswith(WELL_KNOWN_RSA)
    except (OSError, ValueError, paramiko.SSHException, UnknownKeyType):
        return False


def new_key() -> tuple[str, str]:
    """Generate an Ed25519 key pair. Return the private key in OpenSSH's format and the line for
    authorized_keys."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} selab"
