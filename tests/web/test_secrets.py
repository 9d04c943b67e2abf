"""Secrets that come with a request are nowhere to be found afterwards, and meanwhile nowhere in the clear."""

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bucketzip.state.database import FILE_NAME
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.lying_s3 import LyingS3, does
from tests.jobs.archiving import Client, fill
from tests.web.serving import Server, serving, stub_environment

KEYS = {
    "access_key_id": "ASIAOFTHECALLER",
    "secret_access_key": "caller/secret+of40characters",
    "session_token": "callerTokenThatIsLong",
}
OTHERS = {"access_key_id": "ASIAOFANOTHER", "secret_access_key": "another/secret", "session_token": "anotherToken"}
SECRETS = [value for keys in (KEYS, OTHERS) for value in keys.values()]
MIB = 1 << 20


def kept(state: Path) -> list[str]:
    """What the rows have of credentials."""
    with closing(sqlite3.connect(state / FILE_NAME)) as connection:
        rows = connection.execute("SELECT credential FROM links UNION ALL SELECT credential FROM jobs").fetchall()
    return [sealed for (sealed,) in rows if sealed]


def assert_nowhere(texts: list[str], where: bytes) -> None:
    found = [text for text in texts if text.encode() in where]
    assert not found


def assert_nowhere_below(texts: list[str], directory: Path) -> None:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert_nowhere(texts, path.read_bytes())


async def all_told(server: Server, method: str, path: str, **body: Any) -> bytes:
    """Status, headers and body of an answer."""
    async with server.client.request(method, f"{server.base}{path}", json=body or None) as answer:
        return f"{answer.status} {dict(answer.headers)}".encode() + await answer.read()


async def test_secrets_are_in_no_file_log_answer_or_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bucketzip")
    state = tmp_path / "state"
    told: list[bytes] = []
    async with LyingS3() as stub:
        fill(stub, {"a": 100, "large": 12 * MIB, "other": 12 * MIB})
        stub.on(does("UploadPartCopy", "out/b.zip"), lies.expired_token())
        async with serving(stub_environment(stub.endpoint_url), state, monkeypatch) as server:
            client = Client(server.client, server.base)
            link = await server.link("s3://stub/in/", credentials=KEYS)
            await server.fetch(link)
            told.append(
                await all_told(server, "GET", link.removeprefix(server.base).replace("archive.zip", "manifest.json"))
            )
            await client.archived(credentials=KEYS)
            failed = await client.failed(credentials=KEYS, destination="s3://stub/out/b.zip")
            assert failed["error"]["code"] == "keys_expired"
            sealed = kept(state)
            assert len(sealed) >= 2
            told.append(await all_told(server, "POST", f"/archives/{failed['id']}/resume", credentials=OTHERS))
            told.append(json.dumps(await client.until(failed["id"])).encode())
            wrong = KEYS | {"session_token": KEYS["session_token"] + "\n", "and": 1}
            told += [await all_told(server, "POST", "/downloads", sources=["s3://stub/"], credentials=wrong)]
            told += [await all_told(server, "POST", "/downloads", sources=["s3://none/"], credentials=KEYS)]
            told += [await all_told(server, "GET", path) for path in ("/archives", "/metrics")]
            assert_nowhere_below(SECRETS, tmp_path)
        assert_nowhere_below(SECRETS, tmp_path)
    assert_nowhere(SECRETS, b"".join(told))
    assert_nowhere(SECRETS, "".join(f"{vars(record)}" for record in caplog.records).encode())


async def test_two_accounts_side_by_side_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its objects and its archives; whatever is asked of them must be signed by the right one."""
    who = {"one": KEYS, "two": OTHERS}
    async with (
        LyingS3() as stub,
        serving(stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch) as server,
    ):
        client = Client(server.client, server.base)
        for name in who:
            fill(stub, {"large": 20 * MIB} | {str(number): 2000 for number in range(100)}, prefix=f"{name}/in/")

        async def use(name: str) -> None:
            for _ in range(2):
                await server.zip(f"s3://stub/{name}/in/", credentials=who[name])
            await client.archived(f"s3://stub/{name}/in/", destination=f"s3://stub/{name}/a.zip", credentials=who[name])

        await asyncio.gather(*map(use, who))

        def signer(asked: Asked) -> tuple[str, str | None]:
            return asked.headers["Authorization"].split("=")[1].split("/")[0], asked.headers.get("X-Amz-Security-Token")

        about = {name: [asked for asked in stub.requests if name in (asked.key or str(asked.query))] for name in who}
        for name, keys in who.items():
            assert len(about[name]) > 200
            assert {signer(asked) for asked in about[name]} == {(keys["access_key_id"], keys["session_token"])}
        assert {signer(asked) for asked in stub.requests} == {
            (keys["access_key_id"], keys["session_token"]) for keys in who.values()
        }
