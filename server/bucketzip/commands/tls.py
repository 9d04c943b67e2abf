"""TLS of the server's own: a certificate and its key in files, read again when they change.

Whatever renews certificates (certbot, ACM's agent, a hand) replaces two files, and not at one moment. So a context of
its own is made of them, and taken only if they belong together; until then the old ones serve. The context that the
server listens with hands each connection on to the one that is current: it cannot be changed while handshakes go on.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0

Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: its inode, its size, and when it was written, in nanoseconds."""


class Certificate:
    """A context for a server, with the certificate of two PEM files: `certificate` with its chain, and its key."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises OSError where the files cannot be used."""
        self._files = (certificate, key)
        self._stamp = self._look()
        self.context = self._current = self._made()
        self.context.sni_callback = self._hand_on

    @asynccontextmanager
    async def followed(self, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
        """Take what the files become meanwhile, for the connections after that."""
        following = asyncio.create_task(self._follow(look_seconds))
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def _follow(self, look_seconds: float) -> None:
        while True:
            await asyncio.sleep(look_seconds)
            try:
                await asyncio.to_thread(self._take_changes)
            except OSError as error:
                _log.warning("the new TLS certificate is not used: %s", error)

    def _take_changes(self) -> None:
        """Each change is tried once; raises OSError."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._current = self._made()
        _log.info("a new TLS certificate is used: %s", self._files[0])

    def _hand_on(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called for every connection, whether it names a server or not."""
        connection.context = self._current

    def _made(self) -> ssl.SSLContext:
        """A context with what the files are now; raises OSError."""
        certificate, key = self._files
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            why = f": {error.reason}" if error.reason else ""
            raise OSError(f"{certificate} and {key} are no certificate and its key in PEM{why}") from error
        return context

    def _look(self) -> Stamp:
        stamps = []
        for file in self._files:
            try:
                status = os.stat(file)  # noqa: PTH116  -- the error below names the file
            except OSError as error:
                raise OSError(f"the TLS file {file} cannot be read: {error.strerror}") from error
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(stamps)


def _no_password() -> str:
    """Or OpenSSL would ask on the terminal."""
    raise OSError("the TLS key is encrypted: a server needs it as it is (`openssl pkey -in key.pem -out plain.pem`)")
