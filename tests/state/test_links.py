"""Links: kept through a restart and a kill, known only by hash, changed only in the order that makes sense."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bucketzip.state.capabilities import hash_capability, new_id
from bucketzip.state.database import open_database
from bucketzip.state.links import (
    KEPT_AFTER_EXPIRY_SECONDS,
    Link,
    Links,
)

NOW = 1_700_000_000

WRITER = """
import asyncio, sys
from pathlib import Path
from bucketzip.state.database import open_database
from bucketzip.state.capabilities import hash_capability, new_id
from bucketzip.state.links import Link, Links
async def main():
    async with open_database(Path(sys.argv[1])) as database:
        links = Links(database)
        for _ in range(int(sys.argv[2])):
            capability = new_id()
            await links.add(Link(new_id(), hash_capability(capability), "other", "f.zip", "{}", 0, 1 << 40, "planning"))
            print(capability, flush=True)
asyncio.run(main())
"""


@pytest.fixture
async def links(tmp_path: Path) -> AsyncIterator[Links]:
    async with open_database(tmp_path) as database:
        yield Links(database)


def link(capability: str, **fields: int) -> Link:
    made = Link(
        id=hash_capability(capability).hex(),
        capability_hash=hash_capability(capability),
        owner="somebody",
        filename="\u00fc.zip",
        request='{"sources": ["s3://bucket"]}',
        created_at=NOW,
        expires_at=NOW + 100,
        state="planning",
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # its times


async def test_a_link_is_found_by_its_capability_alone(links: Links) -> None:
    capability = new_id()
    await links.add(link(capability))
    assert await links.get(capability) == link(capability)
    assert await links.get(new_id()) is None
    assert await links.get("") is None
    assert await links.get(hash_capability(capability).hex()) is None


async def test_links_survive_reopening(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await Links(database).add(link("one"))
        await Links(database).add(link("two"))
        await Links(database).planned(link("two"), manifest="digest", size=5 << 40, entries=7, summary="{}")
    async with open_database(tmp_path) as database:
        assert await Links(database).get("one") == link("one")
        two = await Links(database).get("two")
    assert two == replace(link("two"), state="ready", manifest="digest", bytes=5 << 40, entries=7, summary="{}")


def all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_the_file_knows_a_capability_only_by_its_hash(tmp_path: Path) -> None:
    capability = new_id()
    async with open_database(tmp_path) as database:
        await Links(database).add(link(capability))
        await Links(database).get(capability)
        with_the_log = all_bytes(tmp_path)
    for content in (with_the_log, all_bytes(tmp_path)):
        assert hash_capability(capability) in content, "this is where it would be"
        assert capability.encode() not in content


async def test_the_same_capability_is_never_two_links(links: Links) -> None:
    await links.add(link("one"))
    with pytest.raises(Exception, match="UNIQUE"):
        await links.add(link("one"))


async def test_what_failed_says_why(links: Links) -> None:
    await links.add(link("one"))
    await links.failed(link("one"), "failed", code="no_such_bucket", detail="s3://x")
    found = await links.get("one")
    assert found == replace(link("one"), state="failed", error_code="no_such_bucket", error_detail="s3://x")


async def test_the_first_plan_of_a_link_stays(links: Links) -> None:
    """A process that starts plans what another one is planning; nobody's archive may change for that."""
    await links.add(link("one"))
    await links.planned(link("one"), manifest="first", size=1, entries=1, summary="{}")
    await links.planned(link("one"), manifest="second", size=2, entries=2, summary="{}")
    await links.failed(link("one"), "failed", code="internal", detail="")
    found = await links.get("one")
    assert found is not None
    assert (found.state, found.manifest, found.bytes) == ("ready", "first", 1)


async def test_a_link_that_changed_stays_changed(links: Links) -> None:
    await links.add(link("one"))
    await links.failed(link("one"), "changed", code="source_changed", detail="too early")
    assert await links.get("one") == link("one"), "what is not planned cannot have changed"
    await links.planned(link("one"), manifest="first", size=1, entries=1, summary="{}")
    await links.failed(link("one"), "changed", code="source_changed", detail="s3://x")
    await links.failed(link("one"), "changed", code="source_changed", detail="again")
    await links.planned(link("one"), manifest="second", size=2, entries=2, summary="{}")
    found = await links.get("one")
    assert found is not None
    assert (found.state, found.error_detail, found.manifest) == ("changed", "s3://x", "first")


async def test_only_what_somebody_may_still_use_is_planned_again(links: Links) -> None:
    for name, expires_at in (("live", NOW + 1), ("expired", NOW), ("ready", NOW + 1), ("failed", NOW + 1)):
        await links.add(link(name, expires_at=expires_at))
    await links.planned(link("ready"), manifest="m", size=1, entries=1, summary="{}")
    await links.failed(link("failed"), "failed", code="c", detail="d")
    assert await links.planning(NOW) == [link("live", expires_at=NOW + 1)]


async def test_the_sweep_keeps_the_manifests_of_live_links(links: Links) -> None:
    for name, manifest, expires_at in (
        ("live", "a", NOW + 1),
        ("live too", "shared", NOW + 1),
        ("expired", "b", NOW - 1),
        ("expired too", "shared", NOW - 1),
    ):
        await links.add(link(name, expires_at=expires_at))
        await links.planned(link(name), manifest=manifest, size=1, entries=1, summary="{}")
    await links.add(link("planning"))
    assert await links.sweep(NOW) == {"a", "shared"}
    live, expired = await links.get("live"), await links.get("expired")
    assert live is not None
    assert live.manifest == "a"
    assert expired is not None, "it says that it has expired, for a while"
    assert expired.manifest is None


async def test_the_sweep_forgets_what_expired_long_ago(links: Links) -> None:
    await links.add(link("old", expires_at=NOW - KEPT_AFTER_EXPIRY_SECONDS - 1))
    await links.add(link("older than expiry", expires_at=NOW - KEPT_AFTER_EXPIRY_SECONDS))
    assert await links.sweep(NOW) == set()
    assert await links.get("old") is None
    assert await links.get("older than expiry") is not None


async def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        links = Links(database)
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), "100", stdout=subprocess.PIPE
        )
        assert other.stdout is not None
        first = await other.stdout.readline()
        for number in range(100):
            await links.add(link(f"mine {number}"))
        rest, _ = await other.communicate()
        theirs = (first + rest).decode().split()
        assert other.returncode == 0
        assert len(theirs) == 100
        for capability in [*theirs, *(f"mine {number}" for number in range(100))]:
            assert await links.get(capability) is not None


async def test_what_was_added_survives_a_kill(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path), "100000", stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    told = [(await writer.stdout.readline()).decode().strip() for _ in range(30)]
    writer.kill()
    await writer.wait()
    async with open_database(tmp_path) as database:
        for capability in told:
            assert await Links(database).get(capability) is not None
