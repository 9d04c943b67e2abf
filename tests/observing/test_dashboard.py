"""The dashboard is what the generator makes, names what exists, and shows something of a server that works."""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.dashboard import FILE, as_json
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does
from tests.jobs.archiving import Client
from tests.observing.prometheus import Prometheus, prometheus
from tests.observing.test_rules import unknown_names
from tests.test_docs import ROOT
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES: dict[str, dict[str, Any]] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
FILLED_IN = {"$job": ".+", "$instance": ".+", "$__rate_interval": "30s"}


def expressions() -> Iterator[tuple[str, str]]:
    """Title of the panel and expression."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_the_file_is_what_the_generator_makes() -> None:
    assert FILE.read_text() == as_json(), "run `make dashboard`"


def test_every_name_exists() -> None:
    for title, expression in [*expressions(), *((name, str(each["query"])) for name, each in VARIABLES.items())]:
        assert not unknown_names(expression), title


def test_every_panel_says_what_it_shows() -> None:
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert set(re.findall(r"\$\w+", target["expr"])) <= set(FILLED_IN), panel["title"]
            assert target["datasource"] == panel["datasource"]
            assert target["legendFormat"] or panel["type"] == "stat", panel["title"]
    assert set(VARIABLES) == {"datasource", "job", "instance"}
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == [
        "Overview",
        "Streaming",
        "Jobs",
        "S3",
        "Host",
    ]


def test_panels_have_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = [one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in ("xw", "yh")]
        assert any(apart), (one, other)


def test_provisioning_is_of_this_dashboard() -> None:
    folder = ROOT / "grafana/provisioning"
    dashboards = yaml.safe_load((folder / "dashboards/bucketzip.yaml").read_text())
    datasources = yaml.safe_load((folder / "datasources/bucketzip.yaml").read_text())
    assert dashboards["providers"][0]["options"]["path"].startswith("/var/lib/grafana/dashboards/")
    assert datasources["datasources"][0]["type"] == VARIABLES["datasource"]["query"]


async def use(server: Server, stub: LyingS3) -> None:
    """A little of everything: what works, what fails, and what is tried again."""
    stub.objects.put("in/large", Synthetic(20 * MIB, 1))
    stub.objects.put("in/small", Synthetic(1000, 2), crc="full")
    stub.on(does("GetObject"), lies.slow_down(), times=3)
    stub.on(does("ListObjectsV2"), lies.slow_down(), times=1)
    link = await server.link("s3://stub/in/")
    await server.fetch(link)
    async with server.client.get(link, headers={"Range": "bytes=100-2000"}) as answer:
        assert answer.status == 206
        await answer.read()
    async with server.client.get(f"{server.base}/archives", headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
    status, _ = await server.ask("s3://stub/missing")
    assert status == 404
    await Client(server.client, server.base).archived(
        "s3://stub/in/", callback_url="http://127.0.0.1:1/", if_exists="replace"
    )


async def test_everything_shows_something(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with (
        serving(environment, tmp_path / "state", monkeypatch, callback_networks="127.0.0.0/8") as server,
        prometheus(tmp_path, server.base) as asked,
    ):
        for times in (1, 2):  # the first time makes series, the second has them grow
            await use(server, stub)
            await scraped(asked, times)
        for title, expression in expressions():
            for name, value in FILLED_IN.items():
                expression = expression.replace(name, value)  # noqa: PLW2901  -- filled in, as Grafana does
            assert await asked.has_values(expression), f"{title}: {expression}"
        kept = await asked.exemplars("bucketzip_download_seconds_bucket")
        assert {frozenset(labels) for labels in kept} == {frozenset({"request_id"})}
        for name in ("job", "instance"):
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["query"])
            assert found is not None
            assert len(await asked.values(found[2], found[1].replace("$job", ".+"))) == 1


async def scraped(asked: Prometheus, archives: int) -> None:
    """Wait until Prometheus has known for some scrapes of so many archives, and of a callback that was tried."""
    known = 'sum(bucketzip_archives_total{outcome="succeeded"} offset 3s) and sum(bucketzip_deliveries_total offset 3s)'
    async with asyncio.timeout(120):
        while await asked.value(known) < archives:
            await asyncio.sleep(0.1)
