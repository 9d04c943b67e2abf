"""A process is alive as long as it runs, and not a moment longer."""

import asyncio
import subprocess
import sys
from pathlib import Path

from bucketzip.state.processes import join_processes

JOIN = """
import asyncio, sys
from pathlib import Path
from bucketzip.state.processes import join_processes
async def main():
    async with join_processes(Path(sys.argv[1])) as processes:
        print(processes.own, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_one_that_was_killed_is_dead(tmp_path: Path) -> None:
    async with join_processes(tmp_path) as processes:
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", JOIN, tmp_path, stdout=subprocess.PIPE)
        assert other.stdout is not None
        name = (await other.stdout.readline()).decode().strip()
        assert processes.alive(name)
        other.kill()
        await other.wait()
        assert not processes.alive(name)
        assert not processes.alive(name), "and stays so when its file was cleared away"


async def test_this_one_and_its_neighbour_are_alive_until_they_leave(tmp_path: Path) -> None:
    async with join_processes(tmp_path) as first:
        async with join_processes(tmp_path) as second:
            assert first.own != second.own
            assert first.alive(first.own)
            assert first.alive(second.own)
        assert not first.alive(second.own)
    assert not list((tmp_path / "processes").iterdir())


async def test_one_that_nobody_knows_is_dead(tmp_path: Path) -> None:
    async with join_processes(tmp_path) as processes:
        assert not processes.alive("nobody")
