"""A server that does not start says why, and none outlives its block."""

import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from bucketzip.embedded import HOST
from tests.servers.processes import ServerFailed, free_port, installed, started
from tests.servers.swift import directory_with_xattrs

PYTHON = Path(sys.executable)
SERVER = "import http.server as h, sys; h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"


def test_it_runs_as_long_as_the_block(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "health").touch()
    with started(PYTHON, "-c", SERVER, str(port), home=tmp_path, port=port) as process:
        process.wait_until("/health")
        socket.create_connection((HOST, port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    script = "import sys; print('this is why'); sys.exit(3)"
    with (
        started(PYTHON, "-c", script, home=tmp_path, port=free_port()) as process,
        pytest.raises(ServerFailed, match=r"(?s)ended with status 3; .*this is why"),
    ):
        process.wait_until("/health")


def test_it_has_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICES", "all")
    script = "import os, sys; sys.exit(sorted(os.environ.items()))"
    with (
        started(PYTHON, "-c", script, home=tmp_path, port=free_port(), environment={"MINE": "1"}) as process,
        pytest.raises(ServerFailed, match=r"\('MINE', '1'\)") as failed,
    ):
        process.wait_until("/health")
    assert "SERVICES" not in str(failed.value)


def test_ports_are_free_and_stay_so() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        socket.create_server((HOST, port)).close()


def test_what_is_not_installed() -> None:
    with pytest.raises(ServerFailed, match="make servers"):
        installed("another")


def test_a_file_system_without_attributes_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without, having = tmp_path / "without", tmp_path / "having"
    without.mkdir()
    having.mkdir()
    refused = OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    set_attribute = os.setxattr

    def as_some_tmpfs(path: str, name: str, value: bytes) -> None:
        if Path(path).parent == without:
            raise refused
        set_attribute(path, name, value)

    monkeypatch.setattr(os, "setxattr", as_some_tmpfs)
    with directory_with_xattrs(without, having) as made:
        assert made.parent == having
    assert not list(tmp_path.glob("*/*"))
    with pytest.raises(ServerFailed, match="attributes"), directory_with_xattrs(without):
        pass
