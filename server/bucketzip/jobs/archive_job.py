"""What is to be written: planned once, and found again the same after any crash.

The plan is deterministic, and what it decided is kept: the manifest by its digest, and from which buckets S3 may copy,
since that decides how the archive is cut into parts. The bytes of the archive do not depend on it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bucketzip.archive.arrange import arrange
from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import AWS
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.archive.parts import ArchiveTooLarge, Kind, Part, plan_parts
from bucketzip.errors import TooLargeForUpload
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.ports import Destination
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.hidden import Hiding
from bucketzip.plan.planner import Missing, Planner
from bucketzip.plan.request import ArchiveRequest
from bucketzip.state.manifests import Manifests


@dataclass(frozen=True)
class Planned:
    """What planning decided. S3 may copy from the buckets `copy_from`; `notes` say why not from others."""

    manifest: str
    size: int
    entries: int
    parts: int
    copy_from: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[Missing, ...]
    """What the request says to leave out."""


class ArchivePlanning:
    """Plans archives that are written into a bucket."""

    def __init__(
        self,
        account: WritingAccount,
        manifests: Manifests,
        *,
        most_built_bytes: int,
        most_entries: int | None = None,
    ) -> None:
        self._account = account
        self._most_entries = most_entries
        self._manifests = manifests
        self._most_built_bytes = most_built_bytes

    async def plan(self, request: ArchiveRequest, destination: Destination, no_copy: Sequence[str]) -> Planned:
        """List the sources, and decide everything; from the buckets `no_copy` nothing is copied.

        Raises what is missing or does not fit.
        """
        crcs = Discovery(self._account.crc_memory, None, most_copied_bytes=0)  # copies will tell them
        builder = ManifestBuilder(descriptors=False, origin=self._account.origin)
        catalog = Hiding(self._account.catalog, *destination)
        planner = Planner(request, catalog, crcs, builder, most_entries=self._most_entries)
        await planner.plan()
        digest = await asyncio.to_thread(self._arrange_and_write, builder)
        manifest = await asyncio.to_thread(self._manifests.open, digest)
        layout = Layout(manifest, digest)
        copy_from, notes = await self._copyable(manifest, destination, no_copy)
        if catalog.hidden:
            notes = (*notes, f"{destination.url} is left out: it is the archive itself")
        parts = await asyncio.to_thread(cut, layout, copy_from)
        refuse_longer(parts, self._most_built_bytes)
        missing = tuple(planner.missing)
        return Planned(digest, layout.size, len(manifest), len(parts), copy_from, notes, missing)

    def _arrange_and_write(self, builder: ManifestBuilder) -> str:
        builder.arrange(arrange(builder.sizes))
        return self._manifests.write(builder)

    async def _copyable(
        self, manifest: Manifest, destination: Destination, no_copy: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if not self._account.copies:
            return (), ()
        samples = await asyncio.to_thread(_samples, manifest)
        copy_from: list[str] = []
        notes: list[str] = []
        for bucket, (source, size) in samples.items():
            if bucket in no_copy:
                continue
            proof = await self._account.multipart.may_copy(source, size, destination)
            if proof.proven:
                copy_from.append(bucket)
            else:
                notes.append(
                    f"nothing is copied from s3://{bucket}, all of it passes through this host: {proof.reason}"
                )
        return tuple(copy_from), tuple(notes)


def cut(layout: Layout, copy_from: Sequence[str]) -> list[Part]:
    """The parts of the archive: always the same for the same layout and buckets. Takes a while: for a thread."""
    manifest, buckets = layout.manifest, frozenset(copy_from)

    def may_copy(entry: int) -> bool:
        source = manifest.source(entry)
        return not isinstance(source, bytes) and source.bucket in buckets

    try:
        return plan_parts(layout, may_copy=may_copy)
    except ArchiveTooLarge as error:
        raise TooLargeForUpload(str(error)) from error


def refuse_longer(parts: Sequence[Part], most_built_bytes: int) -> None:
    """Raise TooLargeForUpload where a part that is built, which is done in memory, is longer than that."""
    longest = max(part.length for part in parts if part.kind is not Kind.COPIED)
    if longest > most_built_bytes:
        raise TooLargeForUpload(
            f"S3 takes {AWS.most_parts:,} parts, so an archive of {parts[-1].stop:,} bytes of such objects needs "
            f"parts of {longest:,} bytes made in memory here, two at once, and {most_built_bytes:,} is the most: "
            f"raise BUCKETZIP_PART_BYTES, or make several archives"
        )


def _samples(manifest: Manifest) -> dict[str, tuple[Source, int]]:
    """An object of each bucket that S3 may have to copy from; better one with a CRC: some take that for the copy's."""
    samples: dict[str, tuple[Source, int]] = {}
    with_crc: set[str] = set()
    for entry, size in enumerate(manifest.sizes):
        if size <= AWS.least_bytes:
            continue
        source = manifest.source(entry)
        if isinstance(source, bytes):
            continue
        known = manifest.crc(entry) is not None
        if source.bucket not in samples or (known and source.bucket not in with_crc):
            samples[source.bucket] = (source, size)
            if known:
                with_crc.add(source.bucket)
    return samples
