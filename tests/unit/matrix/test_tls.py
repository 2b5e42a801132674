"""Tests `selab matrix --scheduler tls://...` with Dask's own TLS configuration."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from selab.errors import SelabError
from selab.matrix import cluster
from selab.matrix.cluster import existing, vm_workers
from selab.matrix.execution import Execution

from .fakes import Watched, tasks, worked

NOW = datetime.datetime.now(datetime.UTC)


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
) -> str:
    """Return a certificate (PEM) for `key`, signed by `signer`; that of a CA if the names are equal."""
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (name, issuer)]
    builder = x509.CertificateBuilder(
        names[1],
        names[0],
        key.public_key(),
        x509.random_serial_number(),
        NOW - datetime.timedelta(hours=1),
        NOW + datetime.timedelta(hours=1),
    ).add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def configuration(directory: Path) -> dict[str, object]:
    """Make a CA and a certificate in `directory`, and return the configuration that uses them."""
    directory.mkdir()
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.pem").write_text(certificate("ca", authority, "ca", authority))
    (directory / "lab.pem").write_text(certificate("lab", key, "ca", authority))
    (directory / "lab.key").write_bytes(pem)
    files = {"cert": str(directory / "lab.pem"), "key": str(directory / "lab.key")}
    tls = {f"distributed.comm.tls.{role}": files for role in ("client", "scheduler", "worker")}
    return {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": str(directory / "ca.pem"),
        **tls,
    }


@contextlib.contextmanager
def configured(settings: dict[str, object]) -> Iterator[None]:
    import dask  # which takes long, and most runs of the tests leave it out
    import distributed  # noqa: F401  # it adds its defaults, which the end of the block would remove again

    with dask.config.set(settings):
        yield


@contextlib.contextmanager
def serving(settings: dict[str, object]) -> Iterator[str]:
    """Start a scheduler with one worker that use `settings`, and yield its address."""
    import distributed

    with (
        configured(settings),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tls://",
            host="127.0.0.1",
            security=distributed.Security(),
            dashboard_address=None,
            resources={"vm": 1},
            memory_limit=0,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        ) as there,
    ):
        yield there.scheduler_address


@pytest.mark.dask
def test_scheduler_with_tls_serves(tmp_path: Path) -> None:
    settings = configuration(tmp_path / "ours")
    with serving(settings) as address, configured(settings), existing(address) as client:
        assert address.startswith("tls://")
        assert [worker.split(":")[0] for worker in vm_workers(client)] == ["tls"]
        Execution(client, tasks(tmp_path, 1), Watched()).run(worked)
    (trace,) = tmp_path.glob("by-*")
    assert trace.read_text().split() == ["begin", "end"]


@pytest.mark.dask
def test_certificate_of_another_ca_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_LIMIT", 2)
    with (
        serving(configuration(tmp_path / "theirs")) as address,
        configured(configuration(tmp_path / "ours")),
        pytest.raises(SelabError, match="does not answer"),
        existing(address),
    ):
        pass


@pytest.mark.dask
def test_plain_scheduler_is_refused_if_encryption_is_required(tmp_path: Path) -> None:
    with (
        configured(configuration(tmp_path / "ours")),
        pytest.raises(SelabError) as caught,
        existing("tcp://127.0.0.1:1"),
    ):
        pass
    assert "encryption" in str(caught.value.detail)
