"""The API's description: examples that are true, and a page of it that a browser shows without running anything."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from bucketzip.errors import recorded
from bucketzip.web.access import Access, access_of
from bucketzip.web.reference import page
from bucketzip.web.routes import routes
from tests.browser.chromium import chromium
from tests.description import description
from tests.web.serving import Server


def resolved(described: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    found: Any = described
    for part in each.get("$ref", "#").split("/")[1:]:
        found = found[part]
    return found if "$ref" in each else each


def operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in (*described["paths"].values(), *described["webhooks"].values()):
        yield from (operation for method, operation in item.items() if method != "parameters")


def contents(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each media type of a request or an answer that has a schema, by what it belongs to."""
    for operation in operations(described):
        holders = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, holder in holders.items():
            for media in resolved(described, holder).get("content", {}).values():
                if "schema" in media:
                    yield f"{operation['operationId']} {name}", media


def described_objects(described: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema with fields, wherever it stands."""
    if isinstance(described, dict):
        if "properties" in described and "type" in described:
            yield where, described
        for name, inside in described.items():
            yield from described_objects(inside, f"{where}/{name}")
    elif isinstance(described, list):
        for each in described:
            yield from described_objects(each, where)


def test_every_example_is_what_its_schema_says() -> None:
    described = description()
    for where, media in contents(described):
        assert media.get("examples"), f"{where} has no example"
        validator = jsonschema_rs.validator_for({**media["schema"], "components": described["components"]})
        for name, each in media["examples"].items():
            value = resolved(described, each)["value"]
            wrong = [error.message for error in validator.iter_errors(value)]
            assert not wrong, f"{where}, {name}"


def test_every_error_has_an_example_and_an_answer() -> None:
    components = description()["components"]
    codes = set(components["schemas"]["Error"]["properties"]["error"]["enum"])
    assert codes <= set(components["examples"])
    for code in codes:
        assert components["examples"][code]["value"]["error"] == code
    assert codes <= {code for _, code in errors_told()}


def test_every_error_has_the_status_and_the_text_that_it_is_told_with() -> None:
    examples = description()["components"]["examples"]
    told = errors_told()
    for status, code in told:
        assert status in {"default", str(type(recorded(code, "")).status)}, code
    for code in {code for _, code in told} - {"range_not_satisfiable"}:  # which tells a size
        assert examples[code]["value"]["detail"] == type(recorded(code, "")).__doc__, code


def errors_told() -> set[tuple[str, str]]:
    """The status of each answer with errors, and the codes of its examples."""
    described = description()
    return {
        (status, resolved(described, each)["value"]["error"])
        for operation in operations(described)
        for status, holder in operation["responses"].items()
        for media in resolved(described, holder).get("content", {}).values()
        if media.get("schema") == {"$ref": "#/components/schemas/Error"}
        for each in media["examples"].values()
    }


def test_it_says_whom_each_route_answers() -> None:
    everybody: list[dict[str, list[str]]] = []
    needs = {Access.PUBLIC: everybody, Access.METRICS: [{"metrics": []}, {"token": []}, {"session": []}, {}]}
    paths = description()["paths"]
    for route in routes():
        for method in {route.method.lower(), "head"} & set(paths[route.path]):
            assert paths[route.path][method].get("security") == needs.get(access_of(route)), route


def test_every_operation_is_named_sorted_and_told() -> None:
    described = description()
    names = [operation["operationId"] for operation in operations(described)]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in described["tags"]}
    for operation in operations(described):
        assert set(operation["tags"]) <= tags
        assert operation["summary"].endswith((".", "?"))


def test_every_schema_names_all_of_its_fields() -> None:
    """But those of S3Zipper's requests, whose clients send more."""
    loose = {
        where for where, schema in described_objects(description()) if schema.get("additionalProperties") is not False
    }
    assert loose == {f"/components/schemas/{name}" for name in ("S3ZipperLogin", "S3ZipperZip")}


def test_what_is_shown_is_text() -> None:
    evil = "<script>alert(1)</script>\"' onload=x"
    described = description()
    described["info"]["description"] = described["info"]["title"] = evil
    described["tags"][0]["description"] = evil
    described["components"]["schemas"]["Error"]["description"] = evil
    described["components"]["examples"]["internal"]["value"]["detail"] = evil
    shown = page(described)
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") > 4


def test_the_page_has_every_operation_schema_and_nothing_from_elsewhere() -> None:
    described = description()
    shown = page(described)
    anchors = set(re.findall(r'id="([^"]+)"', shown))
    assert {operation["operationId"] for operation in operations(described)} <= anchors
    assert set(re.findall(r'href="#([^"]+)"', shown)) <= anchors
    assert not re.search(r"(src|href|action)=\"?(https?:)?//|@import|url\(|<script| on\w+=| style=", shown)


@pytest.mark.parametrize("path", ["/docs", "/openapi.yaml"])
async def test_it_is_sent_once(stub_server: Server, path: str) -> None:
    async with stub_server.client.get(stub_server.base + path) as answer:
        assert answer.status == 200
        etag, kind = answer.headers["ETag"], answer.content_type
    assert kind == {"/docs": "text/html", "/openapi.yaml": "application/yaml"}[path]
    async with stub_server.client.get(stub_server.base + path, headers={"If-None-Match": etag}) as again:
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == etag


async def test_chromium_shows_it_under_its_policy(stub_server: Server) -> None:
    """The style counts only if the hash in the policy is right."""
    async with chromium() as browser:
        shown = await browser.new_page()
        await shown.goto(f"{stub_server.base}/docs")
        assert await shown.evaluate("getComputedStyle(document.body).margin") == "0px"
        assert await shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await shown.evaluate("performance.getEntriesByType('resource').length") == 0
        await shown.get_by_role("link", name="DownloadRequest").first.click()
        assert shown.url.endswith("#schema-DownloadRequest")
