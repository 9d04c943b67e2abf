"""A certificate that this machine signs itself, where there is no other yet: encryption, but no proof of who it is.

Made once, in the state directory, so that whoever has chosen to trust it need not choose again.
"""

import ipaddress
import os
import secrets
import shutil
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

VALID = timedelta(days=3650)
_NOT_ROUTED = "192.0.2.1"  # RFC 5737: nothing is there, and nothing is sent there


class TlsFiles(NamedTuple):
    """Two PEM files."""

    certificate: Path
    key: Path


def self_signed(state_directory: Path, public_url: str = "") -> TlsFiles:
    """The files in `tls/`, made if they are not there. Of processes that start at once, all get the same.

    Raises OSError.
    """
    directory = state_directory / "tls"
    files = TlsFiles(directory / "certificate.pem", directory / "key.pem")
    if directory.exists():
        return files
    draft = directory.with_name(f".tls.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700, parents=True)
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(draft / files.key.name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(draft / files.certificate.name, _certificate(key, _names(public_url)).public_bytes(Encoding.PEM))
        with suppress(FileExistsError):  # another process was faster
            _rename_new(draft, directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return files


def _rename_new(draft: Path, directory: Path) -> None:
    try:
        draft.rename(directory)
    except OSError as error:  # ENOTEMPTY, where there is one with files in it
        if not directory.exists():
            raise
        raise FileExistsError from error


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _certificate(key: ec.EllipticCurvePrivateKey, names: list[str]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )


def _names(public_url: str) -> list[str]:
    """By which this machine may be called, the likeliest first."""
    names = [urlsplit(public_url).hostname or "", socket.gethostname(), socket.getfqdn(), _own_address()]
    return list(dict.fromkeys([*(name for name in names if name), "localhost", "127.0.0.1"]))


def _own_address() -> str:
    """The one that connections of this machine come from, or nothing."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((_NOT_ROUTED, 9))  # of a datagram socket: nothing is sent
        return str(asking.getsockname()[0])
    return ""


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
