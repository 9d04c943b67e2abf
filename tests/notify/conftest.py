"""Certificates that are trusted, and one event to tell of."""

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.certificates import make_certificate
from bucketzip.notify.event import Event
from tests.jobs.making import NOW


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> "Tls":
    certificate = make_certificate(tmp_path_factory.mktemp("tls") / "files")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.chain, certificate.key)
    return Tls(server, certificate.authority)


class Tls(NamedTuple):
    """The context of a server for 127.0.0.1 and localhost, and whom to trust for it."""

    server: ssl.SSLContext
    authority: Path

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


@pytest.fixture
def event() -> Event:
    return made_event()


def made_event(**fields: object) -> Event:
    values: dict[str, object] = {
        "id": "0123456789abcdef",
        "type": "archive.succeeded",
        "at": NOW,
        "owner": "somebody",
        "name": "photos.zip",
        "bytes": 121_684_743,
        "entries": 39,
        "url": "https://zip.example.com/r/H3ste5PMEG53GkF9fXDhAg",
        "url_expires_at": NOW + 86_400,
        "error": None,
        "data": {"id": "j", "state": "succeeded"},
    }
    return Event(**values | fields)  # type: ignore[arg-type]  # as the test says
