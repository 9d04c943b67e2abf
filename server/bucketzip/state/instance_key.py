"""The key of this machine: what it seals and signs with. Made at the first start, kept beside the state, never shown.

Each use has a key of its own, derived by HKDF (RFC 5869), so that nothing made for one use is worth anything for
another.
"""

import base64
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bucketzip.errors import BucketzipError

FILE_NAME = "instance.key"
KEY_BYTES = 32
_NONCE_BYTES = 12


class NotSealedHere(BucketzipError):
    """What this instance has encrypted cannot be read with the key that it has now: instance.key was replaced."""

    code = "not_sealed_here"


class InstanceKey:
    """Derives keys, and seals texts with one of them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sealing = AESGCM(self.derive("sealing"))

    def derive(self, use: str, length: int = KEY_BYTES) -> bytes:
        """A key for one use, always the same."""
        return HKDF(SHA256(), length, salt=None, info=f"bucketzip {use}".encode()).derive(self._key)

    def seal(self, text: str, use: str) -> str:
        """Encrypt and authenticate a text; `use` has to be told again to read it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._sealing.encrypt(nonce, text.encode(), use.encode())).decode()

    def unseal(self, sealed: str, use: str) -> str:
        """The text; raises NotSealedHere."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._sealing.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], use.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise NotSealedHere from error


def load_instance_key(directory: Path) -> InstanceKey:
    """The key in this state directory, made if there is none. Of processes that start at once, all get the same."""
    path = directory / FILE_NAME
    directory.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise NotSealedHere(f"{path} is damaged: it has {len(key)} bytes instead of {KEY_BYTES}")
    return InstanceKey(key)


def _make(path: Path) -> None:
    """Whole or not at all, and by one process only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was faster
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink()
