"""Each process tells its own downloads, and knows those of the others that live."""

from pathlib import Path

from bucketzip.state.database import Database
from bucketzip.state.processes import join_processes
from bucketzip.state.running import RunningDownloads


async def rows(database: Database) -> int:
    return await database.read(
        lambda connection: int(connection.execute("SELECT count(*) FROM running_downloads").fetchone()[0])
    )


async def test_what_others_tell_is_added_up(database: Database, tmp_path: Path) -> None:
    async with join_processes(tmp_path) as a, join_processes(tmp_path) as b, join_processes(tmp_path) as c:
        first, second, third = (RunningDownloads(database, each) for each in (a, b, c))
        await first.tell({"one": 1, "two": 2})
        await second.tell({"two": 3})
        assert await third.of_others() == {"one": 1, "two": 5}
        assert await first.of_others() == {"two": 3}
        await first.tell({"two": 1})
        assert await third.of_others() == {"two": 4}, "in place of what it told before"
        await first.tell({})
        assert await second.of_others() == {}


async def test_what_a_process_left_that_died_does_not_count_and_is_taken_away(
    database: Database, tmp_path: Path
) -> None:
    async with join_processes(tmp_path) as living:
        async with join_processes(tmp_path) as dying:
            await RunningDownloads(database, dying).tell({"one": 1})
        running = RunningDownloads(database, living)
        await running.tell({"two": 1})
        assert await running.of_others() == {}
        assert await rows(database) == 2
        await running.forget_dead()
        assert await rows(database) == 1
