"""Archives for tests of `transfer`: a manifest of objects whose content follows from their number."""

import io
from collections.abc import Sequence
from functools import lru_cache

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.archive.segments import Literal, Span

KEY = "object-{}"


@lru_cache(maxsize=64)
def content(entry: int, size: int) -> bytes:
    """The bytes of an entry."""
    pattern = bytes((entry * 7 + i * i) % 256 for i in range(251))
    return (pattern * (size // len(pattern) + 1))[:size]


def lay_out(sizes: Sequence[int], known: frozenset[int] = frozenset()) -> Layout:
    """An archive of entries of these sizes, of which some have a CRC that is known."""
    builder = ManifestBuilder()
    for entry, size in enumerate(sizes):
        crc = crc32(content(entry, size)) if entry in known else None
        builder.add(f"{entry}.bin", Source("b", KEY.format(entry), '"e"'), size=size, mtime=1_700_000_000, crc=crc)
    file = io.BytesIO()
    builder.write(file)
    return Layout(Manifest(file.getvalue()))


def whole(layout: Layout) -> bytes:
    """The archive's bytes, straight from its layout."""
    sizes = layout.manifest.sizes
    out = bytearray()
    for segment in layout.cut(0, layout.size):
        if isinstance(segment, Literal):
            out += segment.data
        elif isinstance(segment, Span):
            out += content(segment.entry, sizes[segment.entry])[segment.start : segment.stop]
        else:
            out += layout.encode(segment, crc32(content(segment.entry, sizes[segment.entry])))
    return bytes(out)
