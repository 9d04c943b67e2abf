"""What systemd and the services say to each other: over real sockets, with this test as systemd."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from bucketzip.commands.systemd import FIRST_DESCRIPTOR, inherited_sockets, notify, watched
from tests.command import COMMAND
from tests.web.serving import stub_environment

EXEC = f"""
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.dup2(int(sys.argv[1]), {FIRST_DESCRIPTOR})
os.execv(sys.argv[2], sys.argv[2:])
"""
"""How systemd hands over a socket: as descriptor 3, to the process of that number."""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What the service tells systemd arrives here."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(150)  # a process may take a minute to start where the machine is busy
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listening


def waiting(told: socket.socket) -> bool:
    """Whether something was told that nobody has read."""
    return bool(select.select([told], [], [], 0)[0])


@contextmanager
def service(listening: socket.socket, work: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`bucketzip serve` as systemd starts it, with one socket."""
    process = subprocess.Popen(
        [sys.executable, "-c", EXEC, str(listening.fileno()), COMMAND, "serve", *arguments],
        cwd=work,
        env={**os.environ, **stub_environment("http://127.0.0.1:1"), "LISTEN_FDS": "1", **variables},
        pass_fds=[listening.fileno()],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


async def asked(port: int) -> int:
    """The number of requests that the process has answered before this one."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(150)) as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        return len(re.findall(r"^bucketzip_http_requests_total{", await answer.text(), re.MULTILINE))


async def test_a_restart_refuses_nobody(told: socket.socket, tmp_path: Path) -> None:
    """The socket is systemd's: who comes while no process runs waits in it, and the next process answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        early = asyncio.create_task(asked(port))
        with service(listening, tmp_path, "--drain-seconds=600") as process:
            assert await asyncio.to_thread(told.recv, 99) == b"READY=1"
            assert await early == 0
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(told.recv, 99) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=615000000"
            _, said = await asyncio.to_thread(process.communicate)
            assert process.returncode == 0, said
            assert f"listening on http://127.0.0.1:{port} pid={process.pid}\n" in said
        between = asyncio.create_task(asked(port))
        with service(listening, tmp_path) as process:
            assert await between == 0, "a new process answered"


async def test_processes_share_a_socket(told: socket.socket, tmp_path: Path) -> None:
    """Connections that wait are not all taken by one of them, and a killed one leaves the other serving."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with service(listening, tmp_path) as one, service(listening, tmp_path) as two:
            for _ in range(2):
                assert await asyncio.to_thread(told.recv, 99) == b"READY=1"
            os.kill(one.pid, signal.SIGSTOP)
            assert await asked(port) == 0
            os.kill(one.pid, signal.SIGKILL)
            assert await asked(port) == 1
            assert two.poll() is None


async def test_only_a_living_loop_gives_signs_of_life(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "150000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    async with watched():
        for _ in range(3):
            assert await asyncio.to_thread(told.recv, 99) == b"WATCHDOG=1"
        while waiting(told):
            told.recv(99)
        time.sleep(0.3)  # noqa: ASYNC251  -- a loop that is stuck
        assert not waiting(told)


@pytest.mark.parametrize(
    "variables", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "100", "WATCHDOG_PID": "1"}], ids=str
)
async def test_nobody_watches_without_being_asked(
    told: socket.socket, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with watched():
        await asyncio.sleep(0)
    assert not waiting(told)


def test_what_nobody_hears_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in ("", "vsock:2:1234", str(tmp_path / "nobody")):
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")


def test_an_abstract_socket_hears_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"bucketzip-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(150)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1", "STATUS=here")
        assert listening.recv(99) == b"READY=1\nSTATUS=here"


def test_sockets_of_another_process_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert inherited_sockets() == []
