"""`make demo`: the main job on this machine, without an AWS account.

Starts a real S3 server on loopback, fills a bucket with files that the machine has, starts `bucketzip serve`, asks it
for a ZIP of them all, downloads it as a user would and has somebody else's program check it. Everything it started
ends with it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bucketzip.embedded import EmbeddedS3, EmbeddedS3Error, die_with_parent

MIB = 1 << 20
LARGE_MIB = (100, 200, 500)
SMALL_MIB = (1, 2, 9)
SMALL_SHARE = 8
"""One of so many files is taken then."""
DOCUMENTS = 400
UPLOADS_AT_ONCE = 16
START_SECONDS = 120
PLAN_POLL_SECONDS = 0.5
PREFIX = "handover/"


def main() -> None:
    """Run the demo; Ctrl-C ends it and all that it started."""
    parser = argparse.ArgumentParser(prog="make demo", description="bucketzip's main job, on an S3 server of its own.")
    add_options(parser)
    sys.exit(run(parser.parse_args()))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--keep", action="store_true", help="leave it running, and print what to try")
    parser.add_argument(
        "--small",
        action="store_true",
        help=f"large objects of {_list(SMALL_MIB)} MiB instead of {_list(LARGE_MIB)}, and one in {SMALL_SHARE} files",
    )


def run(options: argparse.Namespace) -> int:
    """Run it; returns the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in the background without it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    _forget_environment()
    try:
        with contextlib.ExitStack() as stack:
            try:
                _demo(stack, small=options.small, keep=options.keep)
            finally:  # a second, impatient Ctrl-C would leave something behind
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        print("\nstopped")
        return 128 + signal.SIGINT
    except EmbeddedS3Error as error:
        sys.exit(f"demo: {error}")
    return 0


def _forget_environment() -> None:
    """Nobody's credentials, settings or proxies decide what happens here, or are touched."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "BUCKETZIP_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _demo(stack: contextlib.ExitStack, *, small: bool, keep: bool) -> None:
    work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bucketzip-demo-")))
    _say("S3 server", "starting SeaweedFS on loopback ...")
    s3 = stack.enter_context(EmbeddedS3(bucket="demo", data_dir=work / "s3"))
    began = time.monotonic()
    files = list(islice(_files(), None, None, SMALL_SHARE if small else 1))
    count, size = asyncio.run(_fill(s3, files, SMALL_MIB if small else LARGE_MIB))
    seconds = time.monotonic() - began
    _say("bucket", f"s3://demo/{PREFIX} filled with {count:,} real files and objects, {_mib(size)}, in {seconds:.1f} s")

    base, server = _start_server(stack, s3, work)
    _say("bucketzip", f"{base} (pid {server.pid})")

    state = work / "state"
    token = subprocess.run(_user_command(state, "token"), capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  -- ourselves
    _say("token", "of the first user, by `bucketzip user token`: good for a day")

    wanted = {"sources": [f"s3://demo/{PREFIX}"], "filename": "handover.zip"}
    headers = {"Authorization": f"Bearer {token}"}
    link = json.loads(_call(f"{base}/downloads", headers, json.dumps(wanted).encode()))
    _say("link", link["url"])
    link = planned(link, base, headers)
    _say("planned", f"{link['entries']:,} entries, {link['bytes']:,} bytes: the exact length, before a byte is read")

    archive = work / "handover.zip"
    began = time.monotonic()
    how = _download(link["url"], archive)
    seconds = time.monotonic() - began
    got = archive.stat().st_size
    _say("downloaded", f"{_mib(got)} by {how} in {seconds:.2f} s, {got / MIB / seconds:,.0f} MiB/s")
    if got != link["bytes"]:
        sys.exit(f"demo: {got} bytes came, {link['bytes']} were announced")
    _say("checked", _check(archive, link["entries"]))
    metrics = _metrics(base)
    requests = metrics.get('bucketzip_s3_range_gets_total{outcome="ok"}', 0)
    cpu, retries = metrics["process_cpu_seconds_total"], sum(v for k, v in metrics.items() if "retries_total{" in k)
    _say("S3 requests", f"{requests:,.0f} ranged GETs, {retries:.0f} repeated")
    _say("server used", f"{cpu:.1f} CPU-seconds in all, {_peak_mib(server.pid)} at its peak")
    archive.unlink()
    if keep:
        _keep(s3, base, link["url"], state)
    _say("done", "everything is stopped and removed" if not keep else "stopping")


async def _fill(s3: EmbeddedS3, files: Sequence[tuple[str, Path]], large_mib: Sequence[int]) -> tuple[int, int]:
    """Upload (name, file) and the large ones; returns objects and bytes."""
    size = 0
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE)
    config = AioConfig(max_pool_connections=UPLOADS_AT_ONCE, request_checksum_calculation="when_required")
    async with get_session().create_client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=config,
    ) as client:

        async def put(key: str, body: bytes | bytearray) -> None:
            nonlocal size
            async with gate:
                await client.put_object(Bucket=s3.bucket, Key=PREFIX + key, Body=body)
                size += len(body)

        async with asyncio.TaskGroup() as tasks:
            for name, path in files:
                tasks.create_task(put(name, path.read_bytes()))
        # Not compressible and not all the same, as a video or a database dump.
        block = random.Random(1).randbytes(MIB)  # noqa: S311  -- content, not secrets
        for number, mib in enumerate(large_mib):
            body = bytearray(block * mib)
            body[0] = number
            await put(f"large/recording-{number + 1}.bin", body)
    return len(files) + len(large_mib), size


def _files() -> Iterator[tuple[str, Path]]:
    """(name, file) of the standard library, and of documents and fonts."""
    library = Path(sysconfig.get_path("stdlib"))
    python = _tree(library, "python", skip={"site-packages", "__pycache__", "test"})
    share = Path("/usr/share")
    documents = chain(_tree(share / "fonts", "fonts"), _tree(share / "doc", "documents"))
    return chain(python, islice(documents, DOCUMENTS))


def _tree(top: Path, name: str, skip: set[str] | None = None) -> Iterator[tuple[str, Path]]:
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(set(folders) - (skip or set()))
        for file in sorted(files):
            path = Path(folder, file)
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                yield f"{name}/{path.relative_to(top)}", path


def _start_server(stack: contextlib.ExitStack, s3: EmbeddedS3, work: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = stack.enter_context((work / "bucketzip.log").open("wb"))
    server = subprocess.Popen(  # noqa: S603  -- ourselves
        [sys.executable, "-m", "bucketzip", "serve", "--port", str(port), "--state-dir", str(work / "state")],
        env={**os.environ, **s3.environment()},
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is for the demo, which ends the server
        preexec_fn=die_with_parent(),  # noqa: PLW1509  -- prctl is one system call, safe between fork and exec
    )
    stack.callback(_end, server)
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/readyz", timeout=2):  # noqa: S310  -- our own
            return base, server
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("demo: bucketzip did not start:\n" + (work / "bucketzip.log").read_text())
        time.sleep(0.05)


def _user_command(state: Path, action: str) -> list[str]:
    return [sys.executable, "-m", "bucketzip", "user", action, "--state-dir", str(state)]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def planned(link: dict[str, Any], base: str, headers: dict[str, str]) -> dict[str, Any]:
    """The link once it is planned: before, S3 computes checksums of the large objects, slowly on a slow disk."""
    while link["state"] == "planning":
        time.sleep(PLAN_POLL_SECONDS)
        link = json.loads(_call(f"{base}/downloads/{link['id']}", headers))
    if link["state"] != "ready":
        sys.exit(f"demo: the archive could not be planned: {link['error']}")
    return link


def _call(url: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, body, headers)  # noqa: S310  -- our own
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  -- our own
        return bytes(answer.read())


def _download(url: str, target: Path) -> str:
    if curl := shutil.which("curl"):
        subprocess.run([curl, "-sSf", "-o", target, url], check=True)  # noqa: S603  -- our own arguments
        return "curl"
    with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as file:  # noqa: S310  -- our own
        shutil.copyfileobj(answer, file, MIB)
    return "Python"


def _check(archive: Path, entries: int) -> str:
    """Have another program read every byte."""
    if unzip := shutil.which("unzip"):
        done = subprocess.run([unzip, "-tqq", archive], capture_output=True, text=True, check=False)  # noqa: S603  -- our own arguments
        if done.returncode:
            sys.exit(f"demo: unzip -t says:\n{done.stdout}{done.stderr}")
        return f"unzip -t: all {entries:,} entries have their right CRC"
    with zipfile.ZipFile(archive) as opened:
        if (bad := opened.testzip()) or len(opened.infolist()) != entries:
            sys.exit(f"demo: Python's zipfile finds {bad} damaged")
    return f"Python's zipfile: all {entries:,} entries have their right CRC"


def _metrics(base: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:  # noqa: S310  -- our own
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (each.rpartition(" ") for each in lines if not each.startswith("#"))
    }


def _peak_mib(pid: int) -> str:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "unknown memory"
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return f"{kib / 1024:.0f} MiB of memory"


def _keep(s3: EmbeddedS3, base: str, url: str, state: Path) -> None:
    token = f'-H "Authorization: Bearer $({shlex.join(_user_command(state, "token"))})"'
    print(f"\nIt goes on running. In a browser: {base}/console, with the key and the secret that this tells:\n")
    print(f"  {shlex.join(_user_command(state, 'show-initial'))}")
    print("\nOr in a shell:\n")
    print(f"  curl -OJ {url}")
    wanted = f"""{{"sources": [{{"url": "s3://demo/{PREFIX}", "include": ["*.py"]}}]}}"""
    print(f"  curl {token} -d '{wanted}' {base}/downloads")
    print(f"  curl {base}/metrics")
    print(f"  curl {base}/readyz")
    print("\n  # the S3 server, for the aws command or any other client")
    for name, value in s3.environment().items():
        print(f"  export {name}={value}")
    print("\nCtrl-C stops everything.", flush=True)
    while True:
        signal.pause()


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"


def _list(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _say(what: str, text: str) -> None:
    print(f"{what:>12}  {text}", flush=True)


if __name__ == "__main__":
    main()
