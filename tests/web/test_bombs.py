"""Requests that are small to send and would be large to work on are refused, and cost nobody else anything."""

import asyncio
import re

import pytest

from tests.web.asking import Asker
from tests.web.serving import Server

MIB = 1 << 20
MOST = MIB - 100
BOMBS = {
    "deep lists": b"[" * MOST,
    "nested lists": b'{"sources":[' + b"[" * 400_000 + b"]" * 400_000 + b"]}",
    "deep objects": b'{"a":' * (MOST // 5),
    "a huge integer": b'{"sources":["s3://bb/"],"max_bytes":' + b"9" * (MOST - 50) + b"}",
    "a huge exponent": b'{"sources":["s3://bb/"],"max_bytes":1e' + b"9" * (MOST - 50) + b"}",
    "infinity": b'{"sources":["s3://bb/"],"max_bytes":1e999999999}',
    "a huge fraction": b'{"sources":["s3://bb/"],"max_bytes":0.' + b"9" * (MOST - 50) + b"}",
    "many sources": b'{"sources":[' + b'"a",' * (MOST // 4 - 10) + b'"a"]}',
    "many mistakes": b'{"sources":[' + b"1," * 9_999 + b"1]}",
    "many fields": b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}",
    "the same field": b"{" + b'"x":1,' * (MOST // 6 - 10) + b'"x":1}',
    "the same field, of another type": b'{"sources":["s3://bb/"],"sources":7}',
    "a long name": b'{"sources":["s3://bb/"],"filename":"' + b"a" * 900_000 + b'"}',
    "no UTF-8": b'{"sources":["s3://bb/\xff"]}',
    "half a surrogate": b'{"sources":["s3://bb/\\ud800"]}',
    "not a number": b'{"sources":["s3://bb/"],"max_bytes":NaN}',
}


@pytest.mark.parametrize("path", ["/downloads", "/archives"])
async def test_json_bombs(stub_server: Server, path: str) -> None:
    for name, body in BOMBS.items():
        assert len(body) <= MIB, name
        async with stub_server.client.post(stub_server.base + path, data=body) as answer:
            assert answer.status == 400, name
            text = await answer.text()
            assert '"invalid_request"' in text, name
            assert len(text) < 64 << 10, name
    assert (await Asker(stub_server)("GET", "/healthz")).status == 200


async def test_chunks_that_are_none_are_refused(stub_server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stub_server.base.rpartition(":")[2]))
    writer.write(b"POST /downloads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nrubbish\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert re.match(rb"HTTP/1\.[01] 400 ", head)
