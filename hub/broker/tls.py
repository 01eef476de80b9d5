"""A local certificate authority, for a town hall that has no certificate of its own yet.

Browsers must trust the authority once; docs/configuration.md says how. Without https a browser has no service worker
and no camera.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""Browsers refuse server certificates that last longer."""


def make_certificates(folder: Path, names: list[str]) -> dict[str, Path]:
    """`ca.pem`, `ca-key.pem`, `server.pem`, `server-key.pem` for these host names and addresses.

    An existing authority is used again, so that browsers need not trust a new one. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = {name: folder / f"{name}.pem" for name in ("ca", "ca-key", "server", "server-key")}
    if paths["ca"].exists() and paths["ca-key"].exists():
        authority = x509.load_pem_x509_certificate(paths["ca"].read_bytes())
        authority_key = serialization.load_pem_private_key(paths["ca-key"].read_bytes(), None)
        assert isinstance(authority_key, ec.EllipticCurvePrivateKey)  # noqa: S101 (we made it)
    else:
        authority, authority_key = _authority()
        _write(paths["ca"], authority.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(paths["ca-key"], _private(authority_key), 0o600)
    server, server_key = _server(names, authority, authority_key)
    chain = server.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM)
    _write(paths["server"], chain, 0o644)
    _write(paths["server-key"], _private(server_key), 0o600)
    return paths


def own_authority(chain: Path) -> str | None:
    """The self-signed authority at the end of a certificate file, as PEM, which clients must be given.

    None if the chain has none, as with a public authority. Raises OSError or ValueError.
    """
    last = x509.load_pem_x509_certificates(chain.read_bytes())[-1]
    return last.public_bytes(serialization.Encoding.PEM).decode() if last.issuer == last.subject else None


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kommunevert local authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _dated(x509.CertificateBuilder(), AUTHORITY_DAYS)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _server(
    names: list[str], authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _dated(x509.CertificateBuilder(), SERVER_DAYS)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, key


def _dated(builder: x509.CertificateBuilder, days: int) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(hours=1)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
