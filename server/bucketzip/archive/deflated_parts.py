"""How a compressed archive is cut into the parts of an upload, whose number is limited while its length is not known.

A part ends behind the first block (or some of the directory) with which it is long enough. So it is made of whole
blocks, and where it ends there can be a checkpoint.
"""

from bucketzip.archive import records
from bucketzip.archive.deflate import bound
from bucketzip.archive.limits import AWS, Limits
from bucketzip.archive.manifest import Manifest
from bucketzip.archive.parts import ArchiveTooLarge


def most_bytes(manifest: Manifest) -> int:
    """The most that the archive may become, whatever its content."""
    around = records.lengths(size=records.LIMIT_32, mtime=0, descriptor=True, header_at=records.LIMIT_32)
    names_bytes = sum(map(manifest.name_bytes, range(len(manifest))))
    end = records.end_records(entries=len(manifest), directory_at=records.LIMIT_32, directory_size=0)
    return sum(map(bound, manifest.sizes)) + len(manifest) * sum(around) + 2 * names_bytes + len(end)


def part_bytes(manifest: Manifest, wanted_bytes: int, limits: Limits = AWS) -> int:
    """How long each part is at least, but for the last: as wanted, or longer so that there are parts enough.

    Raises ArchiveTooLarge.
    """
    most = most_bytes(manifest)
    if most > limits.most_archive_bytes:
        raise ArchiveTooLarge(
            f"the archive might have {most:,} bytes, and an upload holds {limits.most_archive_bytes:,}:"
            f" {limits.most_parts:,} parts of {limits.most_bytes:,}"
        )
    return max(wanted_bytes, limits.least_bytes, -(-most // limits.most_parts))
