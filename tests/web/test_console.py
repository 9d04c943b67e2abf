"""The files of the console as they are served. What people do with them is in tests/browser."""

import re
from importlib.resources import files

import pytest

from bucketzip.web.handlers.console import CONTENT_SECURITY_POLICY
from tests.web.serving import Server

MOST_BYTES = 60_000
FILES = {each.name: each.read_bytes() for each in files("bucketzip.web").joinpath("console").iterdir()}
TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}


def test_it_is_small() -> None:
    assert sum(map(len, FILES.values())) < MOST_BYTES


def test_it_loads_what_is_there_and_nothing_from_elsewhere() -> None:
    loaded = set()
    for name, body in FILES.items():
        text = body.decode().replace("http://www.w3.org/2000/svg", "")  # a name, which nobody follows
        assert not re.search(r"https?://|url\(|@import|innerHTML|\beval\(", text), name
        loaded |= set(re.findall(r'from "\./([^"]+)"', text)) | set(
            re.findall(r'(?:src|href): ?"console/([^"]+)"', text)
        )
        loaded |= set(re.findall(r'(?:src|href)="console/([^"]+)"', text))
    assert loaded | {"index.html"} == set(FILES)


def test_the_page_runs_no_script_of_its_own() -> None:
    page = FILES["index.html"].decode()
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    assert not re.search(r"<style| on\w+=| style=", page)
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("name", FILES)
async def test_each_is_sent_once(stub_server: Server, name: str) -> None:
    """As long as it is the same: a browser asks again each time, so an upgrade is seen at once."""
    url = f"{stub_server.base}/console" if name == "index.html" else f"{stub_server.base}/console/{name}"
    async with stub_server.client.get(url) as answer:
        assert (answer.status, await answer.read()) == (200, FILES[name])
        assert answer.content_type == TYPES[name.rpartition(".")[2]]
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        etag = answer.headers["ETag"]
    async with stub_server.client.get(url, headers={"If-None-Match": etag}) as again:
        assert (again.status, await again.read()) == (304, b"")


async def test_nothing_else_is_there(stub_server: Server) -> None:
    for name in ("none.js", "..%2froutes.py", "%2e%2e%2froutes.py"):
        assert (await stub_server.error(f"{stub_server.base}/console/{name}"))[0] == 404


@pytest.mark.parametrize("path", ["", "/", "/console/"])
async def test_what_people_type_leads_there(stub_server: Server, path: str) -> None:
    async with stub_server.client.get(stub_server.base + path) as answer:
        assert str(answer.url) == f"{stub_server.base}/console"
        assert await answer.read() == FILES["index.html"]
