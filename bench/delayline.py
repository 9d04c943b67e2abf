"""A TCP proxy that lets every request arrive later: `python -m bench.delayline PORT TARGET_PORT MILLISECONDS`.

A delay *line*: each piece waits for its own due time while the next ones are read, so latency does not cap bandwidth.
Only the way to the origin is delayed; one way or both, a request sees the same sum. A process of its own, so that its
CPU time is nobody's but its own.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cores import SURROUNDINGS
from bench.processes import free_port, running, wait_until_ready

_READ_BYTES = 256 * 1024
_QUEUED_PIECES = 4096  # requests are small: enough for any client, and still a bound
_BACKLOG = 1024


async def _delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Every piece, and the end, `seconds` after it came."""
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_PIECES)

    async def release() -> None:
        while True:
            due, data = await line.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(release())
        data = b"-"
        while data:
            data = await reader.read(_READ_BYTES)
            await line.put((loop.time() + seconds, data))


async def _direct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_READ_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _serve(port: int, target_port: int, seconds: float) -> None:
    async def relay(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ExceptionGroup):  # either side left: both connections end
            origin, to_origin = await asyncio.open_connection("127.0.0.1", target_port, limit=_READ_BYTES)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_delayed(client, to_origin, seconds))
                    group.create_task(_direct(origin, to_client))
            finally:
                to_origin.close()
        to_client.close()

    server = await asyncio.start_server(relay, "127.0.0.1", port, limit=_READ_BYTES, backlog=_BACKLOG)
    await server.serve_forever()


@contextmanager
def delay_line(target_port: int, milliseconds: int, run: Path) -> Iterator[int]:
    """The proxy as a child; its port."""
    port, log = free_port(), run / "delayline.log"
    command = [sys.executable, "-m", "bench.delayline", str(port), str(target_port), str(milliseconds)]
    with running(command, cores=SURROUNDINGS, log=log) as process:
        wait_until_ready(process, port, log)
        yield port


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
