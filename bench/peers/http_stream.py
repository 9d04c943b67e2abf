"""What both Python peers share: a threaded server that answers `GET /bucket/prefix/` with an archive.

The standard library's server, because an event loop would add a hand-over between threads to every chunk. Small
writes are gathered into 64 KiB, which their authors' WSGI servers do not do; it is in the peers' favour.
"""

import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config

#: Gets an S3 client, the bucket, the prefix, a way to announce the length (or None) and the stream to write to.
ArchiveWriter = Callable[[Any, str, str, Callable[[int | None], None], BinaryIO], None]


def serve(write_archive: ArchiveWriter) -> None:
    """Until the process is stopped; the port is the only argument."""
    client = boto3.client("s3", config=Config(max_pool_connections=256, s3={"addressing_style": "path"}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024

        def do_GET(self) -> None:  # the standard library's name
            bucket, _, prefix = self.path.lstrip("/").partition("/")
            write_archive(client, bucket, prefix, self.announce, cast("BinaryIO", self.wfile))

        def announce(self, length: int | None) -> None:
            """The response head; without a length the end of the connection is the end of the archive."""
            self.send_response(200)
            self.send_header("Content-Type", "application/zip")
            if length is None:
                self.close_connection = True
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
            """A line for each request would be measured too."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that left is no news here."""

    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()


def objects(client: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:  # boto3 has no types
    """The listing, all pages."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", [])]
