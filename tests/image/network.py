"""Network namespaces: each instance has one, where the addresses of EC2 are its own loopback's."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.image.host import own

CLONE_NEWNET = 0x40000000
LINK_LOCAL = "169.254.169.254"
"""Where EC2 has its metadata service."""
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace that reaches nothing outside."""

    def __init__(self, name: str) -> None:
        self.name = own(name)
        self.path = Path("/run/netns") / self.name

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Whatever this thread opens and starts meanwhile belongs to the namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.path)
            yield
        finally:
            _enter(Path(f"/proc/self/fd/{before}"))
            os.close(before)


@contextmanager
def network(name: str) -> Iterator[Network]:
    """A new one, until the end."""
    made = Network(name)
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        for arguments in (["link", "set", "lo", "up"], ["addr", "add", f"{LINK_LOCAL}/32", "dev", "lo"]):
            subprocess.run(["ip", "-n", made.name, *arguments], check=True)
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], check=False)


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {path}")
    finally:
        os.close(descriptor)


@contextmanager
def relay(inside: Network, address: str, port: int, to: tuple[str, int]) -> Iterator[None]:
    """What connects to an address in the namespace reaches a server outside: Debian's mirror, and nothing else."""
    with inside.entered():
        listening = socket.create_server((address, port))
    threading.Thread(target=_accept, args=(listening, to), daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _accept(listening: socket.socket, to: tuple[str, int]) -> None:
    with suppress(OSError):
        while True:
            near, _ = listening.accept()
            threading.Thread(target=_join, args=(near, to), daemon=True).start()


def _join(near: socket.socket, to: tuple[str, int]) -> None:
    with near, suppress(OSError), socket.create_connection(to) as far:
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
