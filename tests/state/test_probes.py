"""A verdict holds for its time and for its endpoint and buckets alone; an upload stays noted until it is gone."""

import time
from pathlib import Path

import pytest

from bucketzip.state.database import Database, open_database
from bucketzip.state.probes import Probe, Probes, ScratchUpload, ScratchUploads, Verdict

PROBE = Probe("https://s3.example.com", "source", "scratch")
PROVEN = Verdict(proven=True, reason="")
FAILED = Verdict(proven=False, reason="S3 tells no CRC-32 of a copied part")


@pytest.mark.parametrize("verdict", [PROVEN, FAILED])
async def test_a_verdict_comes_back_as_it_was(database: Database, verdict: Verdict) -> None:
    await Probes(database).keep(PROBE, verdict, seconds=100)
    assert await Probes(database).get(PROBE) == verdict


@pytest.mark.parametrize("field", Probe._fields)
async def test_it_is_about_one_endpoint_and_its_buckets(database: Database, field: str) -> None:
    await Probes(database).keep(PROBE, PROVEN, seconds=100)
    assert await Probes(database).get(PROBE._replace(**{field: "other"})) is None


async def test_its_time_ends_and_a_new_one_takes_its_place(database: Database) -> None:
    probes = Probes(database)
    await probes.keep(PROBE, PROVEN, seconds=-1)
    assert await probes.get(PROBE) is None
    await probes.keep(PROBE, FAILED, seconds=100)
    assert await probes.get(PROBE) == FAILED


async def test_those_of_an_endpoint_that_still_hold(database: Database) -> None:
    probes, now = Probes(database), int(time.time())
    await probes.keep(PROBE, FAILED, seconds=100)
    await probes.keep(PROBE._replace(source="another"), PROVEN, seconds=100)
    await probes.keep(PROBE._replace(endpoint="https://elsewhere"), PROVEN, seconds=100)
    await probes.keep(PROBE._replace(scratch="late"), PROVEN, seconds=-1)
    found = await probes.known(PROBE.endpoint)
    assert [(known.probe.source, known.verdict) for known in found] == [("another", PROVEN), ("source", FAILED)]
    assert all(now + 95 < known.expires_at <= now + 160 for known in found)


async def test_uploads_stay_noted_until_they_have_ended(tmp_path: Path) -> None:
    one, two = (ScratchUpload("bucket", f"key {number}", "process") for number in (1, 2))
    async with open_database(tmp_path) as opened:
        for upload in (one, two):
            await ScratchUploads(opened).begun(upload)
        await ScratchUploads(opened).ended(one)
    async with open_database(tmp_path) as opened:
        assert await ScratchUploads(opened).all() == [two]
