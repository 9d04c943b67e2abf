"""The documents tell the truth: all that exists stands in them, and nothing that does not."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from annotated_types import Ge, Le

import bucketzip
from bucketzip import __version__
from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import BucketzipError
from bucketzip.exposition import Format
from bucketzip.metrics import Metrics
from bucketzip.plan.request import ArchiveRequest, DownloadRequest
from bucketzip.settings import PREFIX, Settings
from bucketzip.state.database import NewerState
from bucketzip.web.routes import routes
from tests.bucket import Bucket
from tests.description import OPENAPI, description
from tests.jobs.archiving import Client
from tests.web.serving import serving

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench/README.md"]
OPERATIONS, API, S3ZIPPER = ROOT / "docs/operations.md", ROOT / "docs/api.md", ROOT / "docs/s3zipper.md"
GOLDEN = ROOT / "tests/golden/metrics.txt"

Row = list[str]


def table(page: Path, heading: str, number: int = 0) -> list[Row]:
    """The rows of a table below a heading; cells without the backticks around them."""
    text = page.read_text()
    section = re.split(r"^#+ ", text[text.index(f"# {heading}\n") + 2 :], maxsplit=1, flags=re.MULTILINE)[0]
    tables = [block.splitlines()[2:] for block in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in tables[number]]


def errors(kind: type[BucketzipError] = BucketzipError) -> Iterator[type[BucketzipError]]:
    """The whole tree, wherever its classes are written."""
    for module in pkgutil.walk_packages(bucketzip.__path__, "bucketzip."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    yield kind
    for each in kind.__subclasses__():
        yield from errors(each)


def instruments() -> dict[str, Row]:
    """Name as exposed, type and labels of each metric of ours."""
    metrics = Metrics()
    suffixes = {"counter": "_total", "info": "_info"}
    found = {}
    for each in vars(metrics).values():
        if (kind := getattr(each, "_type", None)) is not None:
            labels = each._labelnames or (["version"] if kind == "info" else [])
            found[each._name + suffixes.get(kind, "")] = [kind, ", ".join(labels)]
    return found


def bounds(name: str) -> str:
    field = Settings.model_fields[name]
    least = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    most = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if least is None:
        return ", ".join(get_args(field.annotation))
    return f"{least} or more" if most is None else f"{least} to {most}"


def test_every_setting_is_told_with_its_option_default_and_bounds() -> None:
    told = {
        variable: (option, default, limits) for variable, option, default, limits, _ in table(OPERATIONS, "Settings")
    }
    assert told == {
        PREFIX + name.upper(): (f"--{name.replace('_', '-')}", str(field.default), bounds(name))
        for name, field in Settings.model_fields.items()
    }


def test_every_metric_is_told_with_its_type_and_labels() -> None:
    assert {name: rest[:2] for name, *rest in table(OPERATIONS, "Metrics")} == instruments()


def test_metrics_are_those_of_the_golden_file() -> None:
    """Dashboards and alerts of users name them, so a change here is one for the changelog."""
    names = [f"{name}{{{labels}}} {kind}\n" for name, (kind, labels) in instruments().items()]
    assert "".join(names) == GOLDEN.read_text()
    exposed = dict(
        re.findall(r"^# TYPE (bucketzip_\w+) (\w+)$", Metrics().exposition(Format.TEXT).decode(), re.MULTILINE)
    )
    kinds = {name: {"info": "gauge"}.get(kind, kind) for name, (kind, _) in instruments().items()}
    assert {name: kind for name, kind in exposed.items() if not name.endswith("_created")} == kinds


def test_every_error_is_told_with_its_status() -> None:
    told = {code: (status, again) for code, status, again, _ in table(OPERATIONS, "Error codes")}
    assert told == {each.code: (str(each.status), str(each.retry_after_seconds or "")) for each in errors()}


def test_every_route_is_told() -> None:
    pages = API.read_text() + S3ZIPPER.read_text()
    told = {
        (method, path)
        for methods, paths in re.findall(r"^## ((?:[A-Z]+, )*[A-Z]+) ((?:/\S+, )*/\S*)$", pages, re.MULTILINE)
        for method in methods.split(", ")
        for path in paths.split(", ")
    }
    assert without_head(told) == {(route.method, route.path) for route in routes()}


def without_head(operations: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """HEAD comes with every GET; where it matters it is told, and nowhere else."""
    heads = {(method, path) for method, path in operations if method == "HEAD"}
    assert heads == {
        ("HEAD", "/d/{capability}/{filename}"),
        ("HEAD", "/d/{capability}/manifest.json"),
        ("HEAD", "/r/{capability}"),
    }
    return operations - heads


@pytest.mark.parametrize(
    ("heading", "number", "schema"),
    [
        ("POST /downloads", 0, "DownloadRequest"),
        ("Sources", 1, "SourceRequest"),
        ("POST /archives", 0, "ArchiveRequest"),
    ],
)
def test_every_field_of_a_request_is_told_with_its_default(heading: str, number: int, schema: str) -> None:
    told = {field: default for field, _, default, _ in table(API, heading, number)}
    fields = request_schemas()[schema]
    spelt = {"null": "none", "{}": "none", "[]": "none"}

    def default(field: dict[str, Any]) -> str:
        value = field.get("default", "required")
        return value if isinstance(value, str) else spelt.get(text := json.dumps(value), text)

    expected = {name: default(field) for name, field in fields["properties"].items()}
    assert told == expected | ({"include": "all"} if schema == "SourceRequest" else {})


def request_schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for model in (DownloadRequest, ArchiveRequest):
        schema = model.model_json_schema()
        schemas |= {model.__name__: schema, **schema["$defs"]}
    return schemas


def test_openapi_has_exactly_the_routes() -> None:
    paths = description()["paths"]
    told = {(key.upper(), path) for path, item in paths.items() for key in item if key != "parameters"}
    assert without_head(told) == {(route.method, route.path) for route in routes()}


@pytest.mark.parametrize("name", ["DownloadRequest", "ArchiveRequest", "SourceRequest"])
def test_openapi_has_exactly_the_fields_of_a_request(name: str) -> None:
    """And their bounds: what one of the two takes, the other takes too."""
    ours, theirs = request_schemas()[name], description()["components"]["schemas"][name]
    for key in ("required", "additionalProperties", "type"):
        assert theirs[key] == ours[key]
    assert limits(theirs) == limits(ours)


def limits(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those of each field; of one that is `anyOf: [{...}, {null}]` those of the first."""
    kinds = {"default", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
    kinds |= {"maxProperties", "propertyNames"}
    return {
        field: {key: value for key, value in {**told, **told.get("anyOf", [{}])[0]}.items() if key in kinds}
        for field, told in schema["properties"].items()
    }


def test_openapi_has_exactly_the_errors_and_the_version() -> None:
    told = description()
    assert told["info"]["version"] == __version__
    codes = told["components"]["schemas"]["Error"]["properties"]["error"]["enum"]
    assert sorted(codes) == sorted(each.code for each in errors() if each is not NewerState)  # at start only


def test_examples_are_requests_that_are_taken() -> None:
    pages = "".join(page.read_text() for page in PAGES)
    bodies = re.findall(r"^ +curl [^\n]*-d '(\{.*?\})'", pages, re.MULTILINE | re.DOTALL)
    bodies += [json.dumps(each["value"]) for path in ("/downloads", "/archives") for each in examples(path).values()]
    assert len(bodies) > 4
    for body in bodies:
        (ArchiveRequest if "destination" in json.loads(body) else DownloadRequest).model_validate_json(body)
    for answer in re.findall(r"^```json\n(.*?)^```$", pages, re.MULTILINE | re.DOTALL):
        json.loads(answer)


def examples(path: str) -> dict[str, Any]:
    content = description()["paths"][path]["post"]["requestBody"]["content"]
    found: dict[str, Any] = content["application/json"]["examples"]
    return found


async def test_openapi_is_served_and_answers_are_as_it_says(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put("a/b.txt", b"content")
    schemas = description()["components"]["schemas"]
    async with serving(s3_server.environment(), tmp_path, monkeypatch) as server:
        async with server.client.get(f"{server.base}/openapi.yaml") as answer:
            assert answer.content_type == "application/yaml"
            assert await answer.read() == OPENAPI.read_bytes()
        status, made = await server.ask(bucket.url("a/"))
        assert status == 201, made
        assert set(made) == set(schemas["Download"]["required"]) == set(schemas["Download"]["properties"])
        async with server.client.get(f"{made['url'].rpartition('/')[0]}/manifest.json") as answer:
            listed = await answer.json()
        for told, schema in ((listed, "Manifest"), (listed["entries"][0], "ManifestEntry")):
            assert list(told) == schemas[schema]["required"] == list(schemas[schema]["properties"])
        job = {"sources": [bucket.url("a/")], "destination": bucket.url("a.zip")}
        async with server.client.post(f"{server.base}/archives", json=job) as answer:
            assert answer.status == 202
            accepted = await answer.json()
        async with server.client.get(f"{server.base}/archives") as answer:
            jobs = await answer.json()
        done = await Client(server.client, server.base).until(accepted["id"])
        for told, schema in (
            (accepted, "Archive"),
            (accepted["progress"], "ArchiveProgress"),
            (jobs, "ArchivePage"),
            (done["result"], "ArchiveResult"),
        ):
            assert list(told) == schemas[schema]["required"] == list(schemas[schema]["properties"])
        status, refused = await server.ask()
        assert status == 400
        assert set(refused) == set(schemas["Error"]["required"]) == set(schemas["Error"]["properties"])
    async with serving(s3_server.environment(), tmp_path, monkeypatch, planning_wait_seconds=0) as server:
        status, begun = await server.ask(bucket.url("a/"))
        assert status == 202
        schema = schemas["Download"]
        assert set(begun) == set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_relative_to(ROOT), target
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_exists(page: Path) -> None:
    """Settings, options, metrics, error codes of the tables, files and make targets, wherever a page names them."""
    text = page.read_text()
    assert set(re.findall(r"\bBUCKETZIP_[A-Z0-9_]+\b", text)) <= {
        PREFIX + name.upper() for name in Settings.model_fields
    }
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bbucketzip_[a-z0-9_]+\b", text)}
    assert metrics <= set(instruments())
    used = re.findall(r"bucketzip serve((?: --[a-z0-9-]+(?: [^\s-]\S*)?)+)", text)
    options = {option for each in used for option in re.findall(r"--[a-z0-9-]+", each)}
    assert options <= {f"--{name.replace('_', '-')}" for name in Settings.model_fields} | {"--help"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    for file in re.findall(r"`((?:\w+/)+\w+\.(?:py|md|yaml)|\w+\.py)`", text):
        places = (ROOT, ROOT / "server/bucketzip", page.parent)
        assert any((place / file).exists() for place in places), file


def test_the_changelog_tells_of_this_version() -> None:
    assert f"\n## [{__version__}]\n" in (ROOT / "CHANGELOG.md").read_text()
