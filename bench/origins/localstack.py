"""LocalStack: slow, but it keeps and lists checksums as AWS does. `make servers` installs it, for the tests too."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.cores import SURROUNDINGS, pinned
from bench.datasets import BUCKET
from bench.origins.base import Origin
from bench.origins.client import s3_client
from bench.processes import UnavailableError
from tests.servers.localstack import running_localstack
from tests.servers.processes import ServerFailed


@contextmanager
def localstack_origin(directory: Path) -> Iterator[Origin]:
    """The server with an empty bucket; what it keeps lies in the directory."""
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        try:
            with pinned(SURROUNDINGS):
                server = stack.enter_context(running_localstack(directory))
        except ServerFailed as error:
            raise UnavailableError(f"LocalStack: {error}") from error
        origin = Origin(
            name="LocalStack",
            endpoint=server.endpoint_url,
            pid=0,  # nobody asks what it costs
            access_key=server.access_key,
            secret_key=server.secret_key,
        )
        s3_client(origin).create_bucket(Bucket=BUCKET)
        yield origin
