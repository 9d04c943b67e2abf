"""Where everything lies: manifest -> segments, total size, ETag.

Everything the product sends is one cut `[start, stop)` of this list: a download is all of it, a resumed one or a part
of an upload a slice. Any slice of the archive therefore equals that slice of the whole, by construction and by test.
"""

from collections.abc import Iterator

from bucketzip.archive import records
from bucketzip.archive.manifest import Manifest
from bucketzip.archive.segments import Literal, Pending, Record, Segment, Span


class Layout:
    """The segments of one manifest. Cheap to make: it computes when asked.

    `digest` is the manifest's, from its file's name; without it the manifest is hashed anew.
    """

    def __init__(self, manifest: Manifest, digest: str | None = None) -> None:
        self.manifest = manifest
        self._directory_at = manifest.content_bytes
        self._end_at = self._directory_at + manifest.directory_bytes
        self._end = records.end_records(
            entries=len(manifest), directory_at=self._directory_at, directory_size=manifest.directory_bytes
        )
        self.size = self._end_at + len(self._end)
        """Bytes of the whole archive."""
        self.etag = f'"{digest or manifest.digest()}"'
        """Strong ETag of the archive, quotes included."""

    def encode(self, pending: Pending, crc: int) -> bytes:
        """The bytes a pending record has, now that the CRC of its entry is known."""
        return self._record(pending.record, pending.entry, crc)[pending.start : pending.stop]

    def cut(self, start: int, stop: int) -> Iterator[Segment]:
        """The segments of bytes `[start, stop)` of the archive, in order; none of them is empty."""
        stop = min(stop, self.size)
        if start < min(stop, self._directory_at):
            yield from self._cut_entries(start, stop)
        if start < min(stop, self._end_at) and stop > self._directory_at:
            yield from self._cut_directory(max(start - self._directory_at, 0), stop - self._directory_at)
        tail = self._end[max(start - self._end_at, 0) : max(stop - self._end_at, 0)]
        if tail:
            yield Literal(tail)

    def told_elsewhere(self, start: int, stop: int) -> Iterator[int]:
        """Entries of which `[start, stop)` has a record that waits for a CRC, but not all of the content to tell it."""
        for segment in self.cut(start, stop):
            if isinstance(segment, Pending):
                body_at, body_end = self.content(segment.entry)
                if not start <= body_at < body_end <= stop:
                    yield segment.entry

    def content(self, entry: int) -> tuple[int, int]:
        """Where in the archive the entry's content lies."""
        header_bytes, _ = self._around(entry)
        start = self.manifest.positions[entry] + header_bytes
        return start, start + self.manifest.sizes[entry]

    def _around(self, entry: int) -> tuple[int, int]:
        """How long the records before and behind the entry's content are."""
        manifest = self.manifest
        size, late = manifest.sizes[entry], manifest.late(entry)
        lengths = records.lengths(size=size, mtime=manifest.mtime(entry), descriptor=late, header_at=0)
        return lengths.header + manifest.name_bytes(entry), lengths.descriptor

    def _cut_entries(self, start: int, stop: int) -> Iterator[Segment]:
        manifest = self.manifest
        for entry in manifest.entries_from(start):
            position = manifest.positions[entry]
            if position >= stop:
                return
            low, high = start - position, stop - position  # the cut, counted from this entry's header
            size, crc, late = manifest.sizes[entry], manifest.crc(entry), manifest.late(entry)
            body_at, tail = self._around(entry)
            body_end = body_at + size
            if low < body_at:
                first, last = max(low, 0), min(high, body_at)
                if late or crc is not None:
                    yield Literal(self._record(Record.HEADER, entry, crc or 0)[first:last])
                else:
                    yield Pending(Record.HEADER, entry, first, last)
            if size and low < body_end and high > body_at:
                first, last = max(low - body_at, 0), min(high - body_at, size)
                content = manifest.inline(entry)
                yield Span(entry, first, last) if content is None else Literal(content[first:last])
            if late and body_end < high and low < body_end + tail:
                yield self._telling(Record.DESCRIPTOR, entry, max(low - body_end, 0), min(high - body_end, tail))

    def _cut_directory(self, start: int, stop: int) -> Iterator[Segment]:
        manifest = self.manifest
        entries = len(manifest)
        for entry in range(manifest.record_at(start), entries):
            record_at = manifest.directory_at[entry]
            if record_at >= stop:
                return
            record_end = manifest.directory_at[entry + 1] if entry + 1 < entries else manifest.directory_bytes
            yield self._telling(Record.DIRECTORY, entry, max(start - record_at, 0), min(stop, record_end) - record_at)

    def _telling(self, record: Record, entry: int, start: int, stop: int) -> Segment:
        """Bytes `[start, stop)` of a record that tells a CRC, known or not."""
        crc = self.manifest.crc(entry)
        if crc is None:
            return Pending(record, entry, start, stop)
        return Literal(self._record(record, entry, crc)[start:stop])

    def _record(self, record: Record, entry: int, crc: int) -> bytes:
        manifest = self.manifest
        size = manifest.sizes[entry]
        if record is Record.DESCRIPTOR:
            return records.descriptor(size=size, crc=crc)
        name, mtime = manifest.name(entry), manifest.mtime(entry)
        late = manifest.late(entry)
        if record is Record.HEADER:
            return records.local_header(name, size=size, crc=crc, mtime=mtime, descriptor=late)
        return records.directory_record(
            name, size=size, crc=crc, mtime=mtime, descriptor=late, header_at=manifest.positions[entry]
        )
