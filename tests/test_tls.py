"""HTTPS by settings: certificates that are replaced while connections come, and one that the machine makes itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from bucketzip.commands.self_signed import self_signed
from bucketzip.commands.tls import Certificate
from tests.command import serving
from tests.faults.lying_s3 import LyingS3
from tests.test_cli import run
from tests.web.serving import stub_environment


class Renewed:
    """A certificate and its key in files, issued again and again."""

    def __init__(self, directory: Path) -> None:
        self.files = (directory / "certificate.pem", directory / "key.pem")
        self._authority = trustme.CA()
        self.renew()

    def renew(self, *, certificate: bool = True, key: bool = True) -> None:
        issued = self._authority.issue_cert("127.0.0.1")
        if certificate:
            issued.cert_chain_pems[0].write_to_path(self.files[0])
        if key:
            issued.private_key_pem.write_to_path(self.files[1])

    @property
    def on_disk(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.files[0].read_text())


@asynccontextmanager
async def answering(certificate: Certificate) -> AsyncIterator[int]:
    """Something that takes TLS connections; gives its port."""
    async with certificate.followed(look_seconds=0.01):
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context)
        async with server:
            yield server.sockets[0].getsockname()[1]


async def presented(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    assert isinstance(found, bytes)
    return found


async def test_a_renewed_certificate_is_taken(tmp_path: Path) -> None:
    renewed = Renewed(tmp_path)
    async with answering(Certificate(*renewed.files)) as port, asyncio.timeout(120):
        first = await presented(port)
        assert first == renewed.on_disk
        renewed.renew()
        while await presented(port) != renewed.on_disk:
            pass
        assert renewed.on_disk != first


async def test_half_a_renewal_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two files are not replaced at one moment: until they belong together the old ones serve."""
    renewed = Renewed(tmp_path)
    async with answering(Certificate(*renewed.files)) as port, asyncio.timeout(120):
        first = await presented(port)
        renewed.renew(key=False)
        while "no certificate and its key" not in caplog.text:
            assert await presented(port) == first
        assert await presented(port) == first
        renewed.files[1].unlink()
        while "cannot be read" not in caplog.text:
            assert await presented(port) == first
        renewed.renew()
        while await presented(port) != renewed.on_disk:
            pass


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tls-certificate=a.pem"], "tls_certificate and tls_key are given together"),
        (["--tls-certificate=a.pem", "--tls-key=b.pem", "--tls-self-signed=true"], "it is one or the other"),
        (
            ["--tls-certificate=/nowhere/a.pem", "--tls-key=/nowhere/b.pem"],
            "the TLS file /nowhere/a.pem cannot be read",
        ),
    ],
)
def test_what_cannot_serve_is_said_at_start(options: list[str], says: str, tmp_path: Path) -> None:
    status, _, said = run("serve", f"--state-dir={tmp_path}", *options)
    assert status == 2
    assert says in said


def test_an_encrypted_key_is_said(tmp_path: Path) -> None:
    renewed = Renewed(tmp_path)
    key = load_pem_private_key(renewed.files[1].read_bytes(), None)
    renewed.files[1].write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    )
    with pytest.raises(OSError, match="the TLS key is encrypted"):
        Certificate(*renewed.files)


async def test_a_server_speaks_https_by_a_certificate_of_its_own(tmp_path: Path) -> None:
    """And its links do. Slow readers over TLS are in tests/web/test_clients.py."""
    async with LyingS3({"a": b"content"}) as stub:
        with serving(stub_environment(stub.endpoint_url), tmp_path, "--tls-self-signed=true") as server:
            base = await asyncio.to_thread(lambda: server.base)
            assert base.startswith("https://127.0.0.1:")
            files = self_signed(tmp_path / "bucketzip-state")
            assert files.key.stat().st_mode & 0o777 == 0o600
            trusting = ssl.create_default_context(cafile=str(files.certificate))
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as client:
                async with client.post(f"{base}/downloads", json={"sources": ["s3://stub/"]}) as answer:
                    url = (await answer.json())["url"]
                assert url.startswith(f"{base}/d/")
                async with client.get(url) as answer:
                    assert b"content" in await answer.read()


def test_a_certificate_of_its_own_is_made_once(tmp_path: Path) -> None:
    first = self_signed(tmp_path).certificate.read_bytes()
    assert self_signed(tmp_path, "https://zip.example.com").certificate.read_bytes() == first
