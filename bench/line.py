"""A line of a given bandwidth between the contender and the store: two network namespaces, joined by a shaped pair.

The kernel does the shaping (`tc tbf`), so it costs neither a core of its own nor a copy of each byte, and the line's
bytes are the interface's own counters. What the store copies inside itself never comes to the line.
"""

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import UnavailableError

#: Where the store listens, at the far end.
STORE_HOST = "10.0.0.1"
_CONTENDER_HOST = "10.0.0.2"
_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_DEVICE = "eth0"
#: What may go out at once: the longest segment that TCP hands down, twice, or what a fast line takes between two ticks.
_LEAST_BURST_BYTES = 128 * 1024
_BURST_SECONDS = 0.004
#: What waits for the line before it is dropped: more than TCP has under way here, so nothing is.
_LONGEST_QUEUE_MILLISECONDS = 400
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that the contender's end of the line sent and received, with the heads of their packets."""

    sent_bytes: int
    received_bytes: int

    def __sub__(self, before: "Traffic") -> "Traffic":
        return Traffic(self.sent_bytes - before.sent_bytes, self.received_bytes - before.received_bytes)


class _End:
    """A network namespace. Nothing has to be removed: it goes with the last descriptor and process in it."""

    def __init__(self, stack: ExitStack) -> None:
        with _coming_back():
            _must_work(_libc.unshare(_CLONE_NEWNET))
            self._descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, self._descriptor)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets, threads and processes that this thread makes meanwhile are in it."""
        with _coming_back():
            _must_work(_libc.setns(self._descriptor, _CLONE_NEWNET))
            yield

    def run(self, *command: str) -> bytes:
        """The output of a command in it."""
        with self.entered():
            return subprocess.run(command, check=True, capture_output=True).stdout


class Line:
    """Both ends; each direction has the whole bandwidth, as EC2 counts it."""

    def __init__(self, near: _End, far: _End) -> None:
        self.contender, self.store = near.entered, far.entered
        self._near = near

    def traffic(self) -> Traffic:
        """Since the line is there."""
        told = json.loads(self._near.run("ip", "-stats", "-json", "link", "show", "dev", _DEVICE))[0]["stats64"]
        return Traffic(told["tx"]["bytes"], told["rx"]["bytes"])


@contextmanager
def line(megabits_per_second: int) -> Iterator[Line]:
    """A new one, until the end. UnavailableError where it may not be made: it takes root and the kernel's `sch_tbf`."""
    with ExitStack() as stack:
        try:
            near, far = _End(stack), _End(stack)
            near.run("ip", "link", "add", _DEVICE, "type", "veth", "peer", "name", _DEVICE, "netns", str(far.path))
            for end, host in (near, _CONTENDER_HOST), (far, STORE_HOST):
                end.run("ip", "address", "add", f"{host}/24", "dev", _DEVICE)
                end.run("ip", "link", "set", _DEVICE, "up")
                end.run("tc", "qdisc", "add", "dev", _DEVICE, "root", "tbf", *_shape(megabits_per_second))
        except OSError as error:
            raise UnavailableError(f"no line: {error}") from error
        except subprocess.CalledProcessError as error:
            reason = " ".join(error.stderr.decode(errors="replace").split())
            raise UnavailableError(f"no line: {' '.join(error.cmd)}: {reason}") from error
        yield Line(near, far)


def _shape(megabits_per_second: int) -> tuple[str, ...]:
    burst_bytes = max(_LEAST_BURST_BYTES, round(megabits_per_second * 1_000_000 / 8 * _BURST_SECONDS))
    return (
        "rate",
        f"{megabits_per_second}mbit",
        "burst",
        str(burst_bytes),
        "latency",
        f"{_LONGEST_QUEUE_MILLISECONDS}ms",
    )


@contextmanager
def _coming_back() -> Iterator[None]:
    """To the network namespace that this thread is in, however the block ends."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _must_work(_libc.setns(before, _CLONE_NEWNET))
        os.close(before)


def _must_work(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"network namespace: {os.strerror(ctypes.get_errno())}")
