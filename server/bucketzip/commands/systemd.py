"""What systemd and a service of its say to each other: sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3).

Both sides are a few variables and datagrams. Without systemd the variables are not there, and nothing here does
anything.
"""

import asyncio
import faulthandler
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

FIRST_DESCRIPTOR = 3
PINGS = 3
"""Sent in the time after which systemd takes a silent process for stuck: one or two may be late."""
STOP_MARGIN_SECONDS = 15.0
"""What an end takes beside draining."""


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has opened for this process; they are given once."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  -- it takes no keyword
        listening = socket.socket(fileno=descriptor)
        listening.setblocking(False)  # noqa: FBT003  -- nor does this
        sockets.append(listening)
    return sockets


def notify(*assignments: str) -> None:
    """Tell systemd, as `notify("READY=1")`. What cannot be told is not: systemd has its own time limits."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
        telling.setblocking(False)  # noqa: FBT003  -- as above
        telling.sendto("\n".join(assignments).encode(), address)


def notify_stopping(drain_seconds: float) -> None:
    """The end has begun, and may take so long: systemd is to wait, whatever TimeoutStopSec the unit has."""
    extended_us = round((drain_seconds + STOP_MARGIN_SECONDS) * 1e6)
    notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={extended_us}")


def watchdog_seconds() -> float | None:
    """After how long without a sign of life systemd ends this process; None where it does not watch."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Give signs of life meanwhile, from the event loop: one that is stuck gives none.

    systemd then sends SIGABRT, and where each thread stands goes to standard error.
    """
    seconds = watchdog_seconds()
    if seconds is None:
        yield
        return
    faulthandler.enable()
    pinging = asyncio.create_task(_ping(seconds / PINGS))
    try:
        yield
    finally:
        pinging.cancel()
        with suppress(asyncio.CancelledError):
            await pinging


async def _ping(pause_seconds: float) -> None:
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(pause_seconds)
