"""The parts of one upload that have receipts: each is kept before it counts, and none of them is sent again."""

from collections.abc import Iterable
from functools import partial

from bucketzip.archive.pieces import joined
from bucketzip.jobs.patience import Patience
from bucketzip.jobs.ports import Done, Multipart, Upload
from bucketzip.state.receipts import Receipt, Receipts


class Receipted:
    """Of one job. `have` are the receipts by part number."""

    def __init__(
        self, job_id: str, receipts: Receipts, upload: Upload, multipart: Multipart, patience: Patience
    ) -> None:
        self.upload = upload
        self.multipart = multipart
        self.patience = patience
        self.have: dict[int, Receipt] = {}
        self._job_id = job_id
        self._receipts = receipts

    async def read(self) -> list[Receipt]:
        """Take up what was done before; by number."""
        receipts = await self._receipts.all(self._job_id)
        self.have = {receipt.part: receipt for receipt in receipts}
        return receipts

    async def keep(self, receipt: Receipt) -> None:
        """A part is done."""
        await self.patience.with_(partial(self._receipts.keep, self._job_id, receipt))
        self.have[receipt.part] = receipt

    async def lost(self) -> list[int]:
        """The parts that S3 does not have so."""
        listed = await self.patience.with_(lambda: self.multipart.listed(self.upload))
        return [
            number
            for number, receipt in self.have.items()
            # Some servers list parts that were copied without an ETag.
            if not listed.get(number, set()) & {(receipt.etag, receipt.size), ("", receipt.size)}
        ]

    async def drop(self, numbers: Iterable[int]) -> list[Receipt]:
        """Those parts are to be made again; returns their receipts."""
        numbers = list(numbers)
        await self._receipts.drop(self._job_id, numbers)
        return [self.have.pop(number) for number in numbers]

    def done(self) -> list[tuple[int, Done]]:
        """All parts, in order."""
        return [(number, Done(*receipt[1:4])) for number, receipt in sorted(self.have.items())]

    def crc(self) -> int:
        """Of all parts, one after the other."""
        return joined((done.crc, done.size) for _, done in self.done())

    def size(self) -> int:
        """Bytes of all parts."""
        return sum(receipt.size for receipt in self.have.values())
