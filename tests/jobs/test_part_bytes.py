"""How long parts are that are made in memory: as the setting allows, and no archive is begun that needs longer ones."""

from io import BytesIO

import pytest

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.errors import TooLargeForUpload
from bucketzip.jobs.archive_job import compressed_part_bytes, cut, refuse_longer

MIB, GIB = 1 << 20, 1 << 30
TOO_LONG = r"2,199,0\d\d,\d+,\d+ bytes .* parts of 2\d\d,\d+,\d+ .* BUCKETZIP_PART_BYTES"


def manifest_of(*sizes: int) -> Manifest:
    builder, file = ManifestBuilder(descriptors=False), BytesIO()
    for number, size in enumerate(sizes):
        builder.add(f"{number}.bin", Source("bucket", "huge.bin", '"etag"'), size=size, mtime=1_700_000_000)
    builder.write(file)
    return Manifest(file.getvalue())


def test_longer_parts_are_refused_before_anything_is_sent() -> None:
    """Of one huge object that S3 may not copy."""
    manifest = manifest_of(2048 * GIB)
    parts = cut(Layout(manifest), copy_from=())
    assert 9_000 < len(parts) <= 10_000
    longest = max(part.length for part in parts)
    with pytest.raises(TooLargeForUpload, match=TOO_LONG):
        refuse_longer(longest, manifest.sizes[0], 64 * MIB)
    refuse_longer(longest, manifest.sizes[0], 256 * MIB)


def test_those_of_a_compressed_archive_by_what_it_may_become() -> None:
    manifest = manifest_of(2048 * GIB)
    with pytest.raises(TooLargeForUpload, match=TOO_LONG):
        compressed_part_bytes(manifest, 16 * MIB, 64 * MIB)
    assert 2048 * GIB / 10_000 < compressed_part_bytes(manifest, 16 * MIB, 256 * MIB) < 210 * MIB
    assert compressed_part_bytes(manifest, 300 * MIB, 256 * MIB) == 300 * MIB, "whoever asks for longer ones has them"
    assert compressed_part_bytes(manifest_of(50 * GIB), 16 * MIB, 64 * MIB) == 16 * MIB
    with pytest.raises(TooLargeForUpload, match=r"might have .* an upload holds"):
        compressed_part_bytes(manifest_of(20 << 40, 30 << 40), 16 * MIB, 64 * MIB)
