"""Ports that answer what a test chooses: what is far away cannot be had here."""

import time
from collections.abc import Sequence
from typing import cast

from bucketzip.doctor.ports import Bucket, Reached


class Elsewhere:
    """An endpoint at addresses that a test chooses."""

    is_aws = True
    has_sts = True

    def __init__(self, *addresses: str, url: str = "https://s3.eu-west-1.amazonaws.com") -> None:
        self.url = url
        self._addresses = addresses

    async def reach(self) -> Reached:
        return Reached(self._addresses, 0.012)

    async def addresses(self, host: str) -> Sequence[str]:
        return self._addresses

    async def date(self) -> float | None:
        return time.time()

    async def sign(self) -> None:
        return


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name

    async def host(self) -> str:
        return f"{self.name}.s3.eu-west-1.amazonaws.com"


def named(name: str) -> Bucket:
    """A bucket that tells its name and its host, and nothing else."""
    return cast("Bucket", _Named(name))
