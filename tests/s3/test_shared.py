"""What clients of one process share, since it takes long to make, and what they must not."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from bench.certificates import make_certificate
from bucketzip.s3.client import tls_context
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.straight import StraightSession


async def context_of(*, verify: bool | str) -> ssl.SSLContext:
    return StraightSession(verify=verify)._build_verify_context()  # type: ignore[arg-type]  # the stubs lack bundles


async def test_the_authorities_are_read_once_for_all_clients() -> None:
    context = await context_of(verify=True)
    assert await context_of(verify=True) is context
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) > 50


async def test_a_bundle_is_trusted_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tls_context()
    authority = make_certificate(tmp_path / "tls").authority
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    for context in (tls_context(), await context_of(verify=str(authority))):
        assert context is not usual
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert [each["subject"] for each in context.get_ca_certs()] == [ca_subject(authority)]


def ca_subject(authority: Path) -> Any:
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    alone.load_verify_locations(authority)
    return alone.get_ca_certs()[0]["subject"]


async def test_what_one_session_is_told_no_other_knows() -> None:
    """Each has all that botocore registers, and what is registered in it later is its own."""
    keeper = CredentialKeeper()
    one, other = keeper.session(), keeper.session()
    told: list[object] = []
    one.register("before-send.s3", lambda **event: told.append(event))
    await other.get_component("event_emitter").emit("before-send.s3.GetObject")
    assert not told
    await one.get_component("event_emitter").emit("before-send.s3.GetObject")
    assert len(told) == 1
