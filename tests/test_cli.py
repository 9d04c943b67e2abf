"""The command: what it says, what it refuses, and how it ends."""

import asyncio
import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from pydantic import ValidationError

from bucketzip import __version__
from bucketzip.archive.layout import Layout
from bucketzip.cli import main
from bucketzip.commands import COMMANDS
from bucketzip.embedded import EmbeddedS3
from bucketzip.settings import Settings
from bucketzip.verify import manifest_json
from tests.archive.rendering import Entry, archive_of, built, read_back
from tests.bucket import Bucket
from tests.command import COMMAND, logging_kept, serving

MIB = 1 << 20
LARGE = 24 * MIB
"""More than the buffers between two sockets hold."""


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit status, output and errors of a command that ends by itself, in this process: its own takes a second."""
    out, said = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patched, logging_kept(), redirect_stdout(out), redirect_stderr(said):
        for name, value in {"COLUMNS": "200", **(environment or {})}.items():
            patched.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), said.getvalue()


def run_as_process(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """The same, as people have it."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class Slow:
    """A download that has begun and is not read on until it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
        self.length = length
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, url: str) -> "Slow":
        parts = urlsplit(url)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        raw.setblocking(False)  # noqa: FBT003  -- the socket's own interface
        await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=16 << 10)
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        found = re.search(rb"Content-Length: (\d+)", head)
        assert found is not None
        return cls(reader, writer, int(found[1]))

    async def rest(self) -> bytes:
        """All that comes until the connection ends."""
        got = bytearray()
        try:
            while len(got) < self.length and (chunk := await self._reader.read(MIB)):
                got += chunk
        except ConnectionError:
            pass
        self._writer.close()
        return bytes(got)


async def refused(base: str) -> bool:
    """Whether nobody takes a new connection, within a moment."""
    parts = urlsplit(base)
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:  # it waited to be accepted when the socket was closed
            continue
        writer.close()
        await asyncio.sleep(0.02)
    return False


def test_version() -> None:
    assert run_as_process("version") == run("--version") == (0, f"bucketzip {__version__}\n", "")
    told = json.loads(run("version", "--json")[1])
    assert told["version"] == __version__
    assert set(told) == {"version", "python", "isal", "platform"}


COMMANDS_THAT_PRINT = (("version",), ("doctor", "--endpoint", "http://127.0.0.1:1"))


@pytest.mark.parametrize("arguments", COMMANDS_THAT_PRINT)
def test_a_reader_that_leaves_ends_it_quietly(arguments: tuple[str, ...]) -> None:
    """As `| head` does."""
    read, write = os.pipe()
    os.close(read)
    try:
        assert printed_to(write, *arguments) == (128 + signal.SIGPIPE, "")
    finally:
        os.close(write)


@pytest.mark.parametrize("arguments", COMMANDS_THAT_PRINT)
def test_output_that_cannot_be_written_is_one_clear_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        assert printed_to(full.fileno(), *arguments) == (1, f"bucketzip: [Errno 28] {os.strerror(errno.ENOSPC)}\n")


def printed_to(descriptor: int, *arguments: str) -> tuple[int, str]:
    """Exit status and errors: the interpreter's end is a part of it, so it takes a process."""
    done = subprocess.run(
        [COMMAND, *arguments], stdout=descriptor, stderr=subprocess.PIPE, text=True, timeout=150, check=False
    )
    return done.returncode, done.stderr


def test_help_teaches_every_setting() -> None:
    status, said, _ = run("serve", "--help")
    assert status == 0
    told = " ".join(said.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in told
        assert f"{field.description}" in told
        if field.default:
            assert f"{field.description} [{field.default}]" in told
    assert "--log-format text|json" in told
    assert "BUCKETZIP_STATE_DIR" in told


def test_without_a_command_it_says_what_there_is() -> None:
    status, _, said = run_as_process()
    assert status == 2
    assert "COMMAND" in said


def test_help_names_every_command() -> None:
    status, said, _ = run("--help")
    assert status == 0
    for command in (*COMMANDS, "version"):
        assert re.search(rf"^ +{command}\s+\w", said, re.MULTILINE), said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command: str) -> None:
    status, said, _ = run(command, "--help")
    assert status == 0
    assert said.startswith(f"usage: bucketzip {command} ")


def test_options_before_a_command_are_refused() -> None:
    status, _, said = run("--port", "80", "serve")
    assert status == 2
    assert "bucketzip: error: " in said


def test_help_of_verify_teaches_by_examples() -> None:
    status, said, _ = run("verify", "--help")
    assert status == 0
    assert "bucketzip verify photos.zip --manifest https://" in said
    assert "Exit status: 0 all is right, 1 the file differs, 2 it could not be checked." in said


def test_verify_ends_with_what_it_found(tmp_path: Path) -> None:
    entries = [Entry("a.txt", b"content", inline=True)]
    layout = Layout(read_back(built(entries)))
    (tmp_path / "manifest.json").write_bytes(
        manifest_json.head(layout, "a.zip")
        + manifest_json.lines(layout.manifest, range(1), layout.manifest.crc)
        + manifest_json.TAIL
    )
    path = tmp_path / "a.zip"
    path.write_bytes(archive_of(entries))
    arguments = ("verify", str(path), "--manifest", str(tmp_path / "manifest.json"))
    status, said, errors = run(*arguments)
    assert (status, errors) == (0, "")
    assert said.startswith(f"{path}: all right: 1 entry, ")
    path.write_bytes(archive_of(entries).replace(b"content", b"contend"))
    status, said, errors = run(*arguments, "--json")
    assert (status, errors) == (1, "")
    assert json.loads(said)["differences"][0]["entry"] == "a.txt"
    status, said, errors = run("verify", str(path))
    assert (status, said) == (2, "")
    assert "--manifest" in errors


def test_all_mistakes_are_reported_at_once() -> None:
    status, out, said = run(
        "serve",
        "--port=99999",
        "--public-url=zip.example.com",
        "--trusted-cidrs=10.0.0.1/8",
        environment={"BUCKETZIP_MEMORY_BYTES": "64M", "BUCKETZIP_LOG_LEVEL": "loud", "BUCKETZIP_PROT": "80"},
    )
    assert (status, out) == (2, "")
    lines = said.splitlines()
    assert len(lines) == 6, said
    for name, why in {
        "BUCKETZIP_PROT": "no such setting",
        "--port": "less than or equal to 65535, not '99999'",
        "--public-url": "https://zip.example.com, without a path, not 'zip.example.com'",
        "--trusted-cidrs": "is written 10.0.0.0/8,fd00::/8 (10.0.0.1/8 has host bits set), not '10.0.0.1/8'",
        "BUCKETZIP_MEMORY_BYTES": "not '64M'",
        "BUCKETZIP_LOG_LEVEL": "'debug', 'info', 'warning' or 'error', not 'loud'",
    }.items():
        assert any(f"{name}: " in line and why in line for line in lines), said


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("CALLBACK_NETWORKS", "10.1.0.1/16", "no bits set behind a prefix"),
        ("CALLBACK_NETWORKS", "internal", "is written 10.1.0.0/16"),
        ("MAIL_FROM", "Archives", "is written zip@example.com"),
        ("MAIL_FROM", "zip@example.com\nBcc: a@example.com", "is written zip@example.com"),
        ("MAIL_FROM", "zip@example.com, a@example.com", "is written zip@example.com"),
    ],
)
def test_a_setting_of_callbacks_and_mail_that_is_none_is_refused(setting: str, value: str, why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        Settings.model_validate({setting.lower(): value})


def test_mail_settings_as_people_have_them_are_taken() -> None:
    for sender in ("zip@example.com", "Archives <zip@example.com>", "Größe & Co. <zip+a@sub.example.com>"):
        Settings(mail_from=sender, callback_networks="10.1.0.0/16, fd12::/48", smtp_user="u", smtp_tls="tls")
    with pytest.raises(ValidationError, match="in the clear"):
        Settings(smtp_user="u", smtp_tls="none")


def test_a_variable_that_is_no_setting_is_refused_by_name() -> None:
    status, _, said = run("serve", "--port=0", environment={"BUCKETZIP_STATEDIR": "x"})
    assert status == 2
    assert said == "bucketzip: BUCKETZIP_STATEDIR: no such setting (see `bucketzip serve --help`)\n"


def test_processes_need_memory_each() -> None:
    status, _, said = run("serve", "--memory-bytes", str(32 * MIB), "--processes", "3")
    assert status == 2
    assert said.startswith("bucketzip: --processes: memory_bytes must be at least 16777216 for each process")


def test_a_port_in_use_is_one_clear_line(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = (f"--port={port}", f"--state-dir={tmp_path}")
        status, _, said = run_as_process("serve", *options, environment=s3_server.environment())
    assert status == 2
    assert (
        said.splitlines()[-1] == f"bucketzip: cannot start: cannot listen on 127.0.0.1:{port}: Address already in use"
    )
    assert "Traceback" not in said


def test_a_host_that_is_not_here_is_one_clear_line(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    options = ("--port=0", "--host=192.0.2.1", f"--state-dir={tmp_path}")
    status, _, said = run("serve", *options, environment=s3_server.environment())
    assert status == 2
    assert said.splitlines()[-1].startswith("bucketzip: cannot start: cannot listen on 192.0.2.1:0: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_PROFILE", "no-such-profile", "no-such-profile"),
        ("AWS_ENDPOINT_URL_S3", "127.0.0.1:9000", "127.0.0.1:9000"),
        ("AWS_CA_BUNDLE", "no-such-file.pem", "AWS_CA_BUNDLE: no-such-file.pem: No such file or directory"),
    ],
)
def test_what_is_wrong_with_the_variables_of_aws_is_one_clear_line(
    name: str, value: str, said: str, s3_server: EmbeddedS3, tmp_path: Path
) -> None:
    environment = {**s3_server.environment(), name: value}
    status, _, output = run("serve", "--port=0", f"--state-dir={tmp_path}", environment=environment)
    assert status == 2
    assert said in output.splitlines()[-1]
    assert "Traceback" not in output


@pytest.mark.parametrize("below", ["", "state"])
def test_a_state_directory_that_cannot_be_one(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = tmp_path / "file" / below
    status, _, said = run("serve", "--port=0", f"--state-dir={directory}")
    assert status == 2
    assert said == (f"bucketzip: cannot start: the state directory {directory} cannot be written to: Not a directory\n")


def test_a_damaged_state_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_text("not a database " * 100)
    status, _, said = run("serve", "--port=0", f"--state-dir={tmp_path}")
    assert status == 2
    assert said == f"bucketzip: cannot start: file is not a database in {tmp_path}\n"


def test_options_override_variables(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    variables = {"BUCKETZIP_STATE_DIR": "by-variable", "BUCKETZIP_LOG_FORMAT": "text", "BUCKETZIP_PORT": "not a number"}
    with serving(
        s3_server.environment(), tmp_path, "--state-dir=by-option", "--log-format=json", **variables
    ) as server:
        assert server.base
        events = [json.loads(line) for line in server.log.splitlines()]
    assert events[-1]["event"] == f"listening on {server.base}"
    assert events[-1]["pid"] == server.process.pid
    assert (tmp_path / "by-option").is_dir()
    assert not (tmp_path / "by-variable").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_running_download_finishes_whole(
    number: signal.Signals, s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path
) -> None:
    content = os.urandom(MIB) * (LARGE // MIB)
    await bucket.put("large.bin", content)
    with serving(s3_server.environment(), tmp_path) as server:
        base = server.base
        download = await Slow.begin(await server.link(bucket.url("large.bin")))
        server.process.send_signal(number)
        assert await refused(base)
        await asyncio.sleep(0.3)
        assert server.process.poll() is None
        archive = await download.rest()
        assert len(archive) == download.length
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert opened.read("large.bin") == content
        assert await server.ended(120) == 0
        assert "draining" in server.log
        assert "outcome=complete" in server.log
        assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(
    number: signal.Signals, s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path
) -> None:
    await bucket.put("large.bin", bytes(LARGE))
    with serving(s3_server.environment(), tmp_path, "--drain-seconds=60") as server:
        base = server.base
        download = await Slow.begin(await server.link(bucket.url("large.bin")))
        server.process.send_signal(signal.SIGTERM)
        assert await refused(base)
        server.process.send_signal(number)
        assert await server.ended(120) == -number
        assert len(await download.rest()) < download.length
        assert "Traceback" not in server.log


@pytest.mark.parametrize("seconds", [0, 3])
async def test_draining_has_a_limit(seconds: int, s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    """Of which the client that takes nothing would know none."""
    await bucket.put("large.bin", bytes(LARGE))
    with serving(s3_server.environment(), tmp_path, f"--drain-seconds={seconds}") as server:
        download = await Slow.begin(await server.link(bucket.url("large.bin")))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended(120) == 0
        assert time.monotonic() - began >= seconds
        assert len(await download.rest()) < download.length
        assert "Traceback" not in server.log


async def test_an_idle_connection_does_not_hold_up_the_end(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    with serving(s3_server.environment(), tmp_path) as server:
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{server.base}/healthz") as answer:
                assert answer.status == 200
            server.process.send_signal(signal.SIGTERM)
            assert await server.ended(120) == 0


def test_ctrl_c_while_it_starts(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    """While it waits for credentials, here from one that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(120)
        waiting = {
            "AWS_ACCESS_KEY_ID": "",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{silent.getsockname()[1]}/",
        }
        with serving(s3_server.environment(), tmp_path, **waiting) as server:
            connection, _ = silent.accept()
            with connection:
                server.process.send_signal(signal.SIGINT)
                assert server.process.wait(120) == 128 + signal.SIGINT
            assert server.log == ""
