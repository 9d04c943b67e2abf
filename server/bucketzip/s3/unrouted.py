"""Reads whose bucket has no known endpoint: one question a bucket, however many wait for the answer."""

from collections.abc import Callable

from bucketzip.s3.client import S3
from bucketzip.s3.read import Read
from bucketzip.s3.tasks import Tasks


class Unrouted:
    """Hands every read on, by `found` or `failed`, once its bucket's endpoint is known or cannot be had."""

    def __init__(
        self, s3: S3, tasks: Tasks, *, found: Callable[[Read], None], failed: Callable[[Read, Exception], None]
    ) -> None:
        self._s3 = s3
        self._tasks = tasks
        self._found = found
        self._failed = failed
        self._waiting: dict[str, list[Read]] = {}

    def put(self, read: Read, *, anew: bool = False) -> None:
        """Have it wait. `anew`: what was known of the bucket was wrong."""
        bucket = read.fetch.source.bucket
        if bucket not in self._waiting:
            self._waiting[bucket] = []
            self._tasks.spawn(self._find(bucket, anew=anew))
        self._waiting[bucket].append(read)

    async def _find(self, bucket: str, *, anew: bool) -> None:
        problem: Exception | None = None
        try:
            await (self._s3.route_again(bucket) if anew else self._s3.route(bucket))
        except Exception as error:  # noqa: BLE001  -- whatever it is, those who wait must hear of it
            problem = error
        for read in self._waiting.pop(bucket):
            if problem is None:
                self._found(read)
            else:
                self._failed(read, problem)
