"""Network namespaces: a machine has one, and what is around it another, as in a VPC. Nothing leads outside."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.image.host import own

CLONE_NEWNET = 0x40000000
MACHINE = "10.0.0.10"
AROUND = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
LINK_LOCAL = "169.254.169.254"
"""Where EC2 has its metadata service."""
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = own(name)
        self.path = Path("/run/netns") / self.name

    def ip(self, *arguments: str) -> None:
        """`ip` in there."""
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

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
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], check=False)


@contextmanager
def vpc(name: str) -> Iterator[tuple[Network, Network]]:
    """The network of a machine, at MACHINE, and that of all around it: its clients and what it calls, at AROUND."""
    with network(name) as machine, network(f"{name}-vpc") as around:
        around.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", machine.name)
        for address in (*AROUND, LINK_LOCAL):
            around.ip("addr", "add", f"{address}/{32 if address == LINK_LOCAL else 24}", "dev", "eth0")
        machine.ip("addr", "add", f"{MACHINE}/24", "dev", "eth0")
        for each in (around, machine):
            each.ip("link", "set", "eth0", "up")
        machine.ip("route", "add", "default", "via", AROUND[0])
        yield machine, around


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {path}")
    finally:
        os.close(descriptor)


@contextmanager
def relay(inside: Network, address: tuple[str, int], to: tuple[str, int], by: Network | None = None) -> Iterator[None]:
    """What connects to an address in the namespace reaches a server in another, or (Debian's mirror) outside."""
    with inside.entered():
        listening = socket.create_server(address)
    threading.Thread(target=_accept, args=(listening, to, by), daemon=True).start()
    try:
        yield
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _accept(listening: socket.socket, to: tuple[str, int], by: Network | None) -> None:
    with suppress(OSError):
        while True:
            near, _ = listening.accept()
            threading.Thread(target=_join, args=(near, to, by), daemon=True).start()


def _join(near: socket.socket, to: tuple[str, int], by: Network | None) -> None:
    with near, suppress(OSError), by.entered() if by else nullcontext(), socket.create_connection(to) as far:
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
