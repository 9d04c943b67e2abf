"""SeaweedFS: a real S3 server, which checks signatures, lists, and costs over ten times nginx's CPU for a byte."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.certificates import Certificate
from bench.cores import SURROUNDINGS, pinned
from bench.corpus import Corpus
from bench.datasets import BUCKET, Dataset
from bench.origins.base import Origin
from bench.origins.client import CONNECTIONS, s3_client
from bench.processes import UnavailableError
from bucketzip.embedded import HOST, EmbeddedS3, EmbeddedS3Error


def _fill(origin: Origin, corpus: Corpus, datasets: tuple[Dataset, ...]) -> None:
    client = s3_client(origin)

    def upload(key: str) -> None:
        with corpus.path(key).open("rb") as body:
            client.put_object(Bucket=BUCKET, Key=key, Body=body)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(upload, [key for dataset in datasets for key, _ in dataset.objects()]):
            pass


@contextmanager
def seaweedfs_origin(
    corpus: Corpus,
    datasets: tuple[Dataset, ...],
    certificate: Certificate | None = None,
    *,
    host: str = HOST,
    cores: frozenset[int] = SURROUNDINGS,
) -> Iterator[Origin]:
    """The server with the datasets in it, listening on `host`; its data goes with it."""
    with pinned(cores):
        server = EmbeddedS3(
            bucket=BUCKET,
            host=host,
            cert_file=certificate.chain if certificate else None,
            key_file=certificate.key if certificate else None,
            ca_file=certificate.authority if certificate else None,
        )
        try:
            server.__enter__()
        except EmbeddedS3Error as error:
            raise UnavailableError(f"SeaweedFS: {error}") from error
    try:
        origin = Origin(
            name="SeaweedFS",
            endpoint=server.endpoint_url,
            pid=server.pid,
            access_key=server.access_key,
            secret_key=server.secret_key,
            authority=certificate.authority if certificate else None,
        )
        _fill(origin, corpus, datasets)
        yield origin
    finally:
        server.stop()
