"""All who share a directory share a server, which lives as long as anybody uses it."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers.s3_server import RunningServer
from tests.servers.shared import shared

SERVER = RunningServer(endpoint_url="http://127.0.0.1:1", access_key="a", secret_key="b")


class Starts:
    def __init__(self) -> None:
        self.running = 0
        self.times = 0

    @contextmanager
    def __call__(self, home: Path) -> Iterator[RunningServer]:
        assert list(home.iterdir()) == []
        self.times += 1
        self.running += 1
        try:
            yield SERVER
        finally:
            self.running -= 1


def test_it_is_started_once_and_ends_with_the_last_user(tmp_path: Path) -> None:
    starts = Starts()
    first, second = ExitStack(), ExitStack()
    assert first.enter_context(shared(tmp_path, starts)) == SERVER
    assert second.enter_context(shared(tmp_path, starts)) == SERVER
    ending = threading.Thread(target=first.close)
    ending.start()
    with shared(tmp_path, starts) as server:
        assert server == SERVER, "while the one that started it waits for its end, too"
    assert (starts.times, starts.running) == (1, 1)
    assert ending.is_alive()
    second.close()
    ending.join(30)
    assert starts.running == 0


def test_who_comes_later_starts_it_again(tmp_path: Path) -> None:
    starts = Starts()
    for times in (1, 2):
        with shared(tmp_path, starts):
            assert (starts.times, starts.running) == (times, 1)
        assert starts.running == 0


def test_of_many_at_once_one_starts_it(tmp_path: Path) -> None:
    starts = Starts()
    all_there = threading.Barrier(8, timeout=30)

    def use() -> None:
        with shared(tmp_path, starts):
            all_there.wait()

    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join(30)
    assert not all_there.broken
    assert (starts.times, starts.running) == (1, 0)


def test_one_that_does_not_start_is_tried_again_by_the_next(tmp_path: Path) -> None:
    @contextmanager
    def fails(home: Path) -> Iterator[RunningServer]:
        raise OSError("no port")
        yield

    with pytest.raises(OSError, match="no port"), shared(tmp_path, fails):
        pass
    with shared(tmp_path, Starts()) as server:
        assert server == SERVER
