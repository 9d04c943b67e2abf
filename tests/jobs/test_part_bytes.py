"""How long parts are that are made in memory: as the setting allows, and no archive is begun that needs longer ones."""

from io import BytesIO

import pytest

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.archive.parts import Part
from bucketzip.errors import TooLargeForUpload
from bucketzip.jobs.archive_job import cut, refuse_longer

MIB, GIB = 1 << 20, 1 << 30


@pytest.fixture
def parts() -> list[Part]:
    """Of an archive of one huge object that S3 may not copy."""
    builder, file = ManifestBuilder(descriptors=False), BytesIO()
    builder.add("huge.bin", Source("bucket", "huge.bin", '"etag"'), size=2048 * GIB, mtime=1_700_000_000)
    digest = builder.write(file)
    return cut(Layout(Manifest(file.getvalue()), digest), copy_from=())


def test_longer_parts_are_refused_before_anything_is_sent(parts: list[Part]) -> None:
    with pytest.raises(
        TooLargeForUpload, match=r"2,199,0\d\d,\d+,\d+ bytes .* parts of 2\d\d,\d+,\d+ .* BUCKETZIP_PART_BYTES"
    ):
        refuse_longer(parts, 64 * MIB)


def test_a_host_with_more_memory_makes_them(parts: list[Part]) -> None:
    refuse_longer(parts, 256 * MIB)
    assert 9_000 < len(parts) <= 10_000
