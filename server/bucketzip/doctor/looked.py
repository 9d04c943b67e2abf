"""A folder of a bucket that is looked at: what several checks need of it."""

from collections.abc import Sequence

from bucketzip.doctor.policy import Arns, Grant
from bucketzip.doctor.ports import Bucket
from bucketzip.plan.catalog import Listed


class Looked:
    """A bucket and a folder of it, with the answers that several checks need."""

    def __init__(self, bucket: Bucket, prefix: str, arns: Arns) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self.arns = arns
        self.objects: Sequence[Listed] = ()
        """The first page, once `list` is done."""

    def at(self, prefix: str) -> "Looked":
        """Another folder of the same bucket."""
        return Looked(self.bucket, prefix, self.arns)

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.prefix}"

    def on_bucket(self, *actions: str, optional: bool = False) -> list[Grant]:
        return [Grant(each, self.arns.bucket(self.bucket.name), optional) for each in actions]

    def on_objects(self, *actions: str, prefix: str | None = None, optional: bool = False) -> list[Grant]:
        where = self.arns.objects(self.bucket.name, self.prefix if prefix is None else prefix)
        return [Grant(each, where, optional) for each in actions]

    @property
    def readable(self) -> list[Listed]:
        """Objects of the page that have bytes."""
        return [each for each in self.objects if each.size and not each.archived]
