"""What is to be written: planned once, and found again the same after any crash.

The plan is deterministic, and what it decided is kept: the manifest by its digest, and from which buckets S3 may copy,
since that decides how the archive is cut into parts. The bytes of the archive do not depend on it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bucketzip.archive.arrange import arrange
from bucketzip.archive.deflated_parts import part_bytes
from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import AWS
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.archive.parts import ArchiveTooLarge, Kind, Part, plan_parts
from bucketzip.errors import TooLargeForUpload
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.ports import Destination
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.hidden import Hiding
from bucketzip.plan.planner import Missing, Planner, builder_for
from bucketzip.plan.request import ArchiveRequest
from bucketzip.state.manifests import Manifests


@dataclass(frozen=True)
class Planned:
    """What planning decided. S3 may copy from the buckets `copy_from`; `notes` say why not from others."""

    manifest: str
    size: int
    """Of the archive; of a compressed one, that of its content."""
    entries: int
    parts: int | None = None
    """Nobody knows of a compressed archive."""
    copy_from: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    """What the request says to leave out."""


class ArchivePlanning:
    """Plans archives that are written into a bucket."""

    def __init__(
        self,
        account: WritingAccount,
        manifests: Manifests,
        *,
        most_built_bytes: int,
        compressed_part_bytes: int,
        most_entries: int | None = None,
    ) -> None:
        self._account = account
        self._most_entries = most_entries
        self._manifests = manifests
        self._most_built_bytes = most_built_bytes
        self._compressed_part_bytes = compressed_part_bytes

    async def plan(self, request: ArchiveRequest, destination: Destination, no_copy: Sequence[str]) -> Planned:
        """List the sources, and decide everything; from the buckets `no_copy` nothing is copied.

        Raises what is missing or does not fit.
        """
        crcs = Discovery(self._account.crc_memory, None, most_copied_bytes=0)  # copies will tell them
        builder = builder_for(request, descriptors=False, origin=self._account.origin)
        catalog = Hiding(self._account.catalog, *destination)
        planner = Planner(request, catalog, crcs, builder, most_entries=self._most_entries)
        await planner.plan()
        if request.compressing:
            planned = await asyncio.to_thread(self._planned_compressed, builder)
        else:
            planned = await self._planned_stored(builder, destination, no_copy)
        if catalog.hidden:
            hidden = f"{destination.url} is left out: it is the archive itself"
            planned = replace(planned, notes=(*planned.notes, hidden))
        return replace(planned, missing=tuple(planner.missing))

    async def _planned_stored(
        self, builder: ManifestBuilder, destination: Destination, no_copy: Sequence[str]
    ) -> Planned:
        digest = await asyncio.to_thread(self._arrange_and_write, builder)
        manifest = await asyncio.to_thread(self._manifests.open, digest)
        layout = Layout(manifest, digest)
        copy_from, notes = await self._copyable(manifest, destination, no_copy)
        parts = await asyncio.to_thread(cut, layout, copy_from)
        longest = max(part.length for part in parts if part.kind is not Kind.COPIED)
        refuse_longer(longest, layout.size, self._most_built_bytes)
        return Planned(digest, layout.size, len(manifest), len(parts), copy_from, notes)

    def _planned_compressed(self, builder: ManifestBuilder) -> Planned:
        digest = self._manifests.write(builder)
        manifest = self._manifests.open(digest)
        self.compressed_part_bytes(manifest)
        return Planned(digest, sum(manifest.sizes), len(manifest))

    def compressed_part_bytes(self, manifest: Manifest) -> int:
        """How long its parts are, if it is compressed. For a thread, too."""
        return compressed_part_bytes(manifest, self._compressed_part_bytes, self._most_built_bytes)

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


def compressed_part_bytes(manifest: Manifest, wanted_bytes: int, most_built_bytes: int) -> int:
    """How long the parts of a compressed archive are, but for the last; a block more at most. Takes a while, too.

    Raises TooLargeForUpload where it may become so long that they would be longer than `most_built_bytes`.
    """
    try:
        needed_bytes = part_bytes(manifest, wanted_bytes)
    except ArchiveTooLarge as error:
        raise TooLargeForUpload(str(error)) from error
    if needed_bytes > wanted_bytes:
        refuse_longer(needed_bytes, sum(manifest.sizes), most_built_bytes)
    return needed_bytes


def refuse_longer(longest: int, size: int, most_built_bytes: int) -> None:
    """Raise TooLargeForUpload where a part of an archive of `size` bytes that is made here, in memory, is longer."""
    if longest > most_built_bytes:
        raise TooLargeForUpload(
            f"S3 takes {AWS.most_parts:,} parts, so an archive of {size:,} bytes of such objects needs "
            f"parts of {longest:,} bytes made in memory here, several at once, and {most_built_bytes:,} is the most: "
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
