"""A compressed archive is the same to the byte wherever it was cut, and by whoever goes on; and it fits an upload."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.deflated import DIRECTORY_BATCH, Compression
from bucketzip.archive.deflated_parts import most_bytes, part_bytes
from bucketzip.archive.limits import AWS, Limits
from bucketzip.archive.manifest import ManifestBuilder
from bucketzip.archive.parts import ArchiveTooLarge
from bucketzip.archive.walked import Form, Walked
from tests.archive.compressing import walk
from tests.archive.rendering import SOME_TIME, Entry, built, read_back, source
from tests.archive.test_deflated import AUTO, FAST, MIXED, RANDOM, TEXT

MIB = 1 << 20
WAYS = (FAST, AUTO)
KINDS = [
    Entry("empty"),
    Entry("small.txt", TEXT[:2000], crc_known=False),
    Entry("large.txt", TEXT[: 2 * BLOCK_BYTES + 1], crc_known=False),
    Entry("stored as it is", RANDOM[: BLOCK_BYTES + 1]),
    Entry("wrapped.jpg", RANDOM[: BLOCK_BYTES + 1], crc_known=False),
    Entry("MISSING.txt", TEXT[: BLOCK_BYTES + 1], inline=True),
    Entry("folder/", inline=True),
    *(Entry(f"{number}", b"%d" % number) for number in range(2 * DIRECTORY_BATCH)),
]
STEPS = {way: [step for step, _ in walk(KINDS, way)] for way in WAYS}


def parts_of(way: Compression, ends: Sequence[int], checkpoints: Sequence[bytes] = ()) -> tuple[list[bytes], Walked]:
    """What the walk gives, in parts that end behind these numbers of steps; and how far it is then.

    To `checkpoints`, of which the first so many ends are, those of the others are added.
    """
    made = list(checkpoints)
    steps: list[bytes] = []
    first = ends[len(made) - 1] if made else 0
    for number, (step, archive) in enumerate(walk(KINDS, way, (100_000, BLOCK_BYTES), checkpoints), first + 1):
        steps.append(step)
        if number in ends:
            made.append(archive.walked.checkpoint())
    walked = Walked(len(KINDS))
    for checkpoint in made:
        walked.unpack(checkpoint)
    return [b"".join(steps), *made], walked


@st.composite
def ends(draw: st.DrawFn) -> tuple[Compression, list[int], int]:
    """Ends of parts, and how many of these are there when the walk is broken off."""
    way = draw(st.sampled_from(WAYS))
    last = len(STEPS[way])
    # What comes in few steps, content and directory, is as often cut as what comes in many.
    few = st.one_of(st.integers(1, 20), st.integers(last - 4, last - 1), st.integers(1, last - 1))
    cuts = sorted(draw(st.sets(few, max_size=6)))
    return way, [*cuts, last], draw(st.integers(0, len(cuts)))


@given(ends())
@settings(max_examples=20, deadline=None)
def test_a_walk_goes_on_behind_any_block(cut: tuple[Compression, list[int], int]) -> None:
    way, ends, there = cut
    (whole, *checkpoints), walked = parts_of(way, ends)
    assert whole == b"".join(STEPS[way])
    (rest, *again), _ = parts_of(way, ends, checkpoints[:there])
    assert rest == b"".join(STEPS[way][ends[there - 1] if there else 0 :])
    assert again == checkpoints, "and its own checkpoints are the same"
    assert walked.complete
    assert walked.position == len(whole)
    assert walked.count(Form.STORED) + walked.count(Form.DEFLATED) + walked.count(Form.OPEN) == len(KINDS)


def test_a_checkpoint_has_its_place() -> None:
    (_, *checkpoints), _ = parts_of(FAST, [3, 6, 9, len(STEPS[FAST])])
    walked = Walked(len(KINDS))
    walked.unpack(checkpoints[0])
    with pytest.raises(ValueError, match="does not follow"):
        walked.unpack(checkpoints[2])


@pytest.mark.parametrize("way", WAYS)
def test_no_archive_becomes_longer_than_it_may(way: Compression) -> None:
    for entries in (KINDS, MIXED, [Entry("\u00fc" * 100, RANDOM, crc_known=False)], [Entry("a", bytes(5 * MIB))]):
        size = sum(len(step) for step, _ in walk(entries, way))
        content = sum(len(entry.content) for entry in entries)
        most = most_bytes(read_back(built(entries)))
        assert size <= most <= content * 1.0001 + 600 * len(entries) + 200


@given(st.integers(1, 60), st.integers(10, 200_000))
@settings(max_examples=40, deadline=None)
def test_there_are_parts_enough(most_parts: int, least_bytes: int) -> None:
    limits = Limits(most_parts=most_parts, least_bytes=least_bytes, built_bytes=2 * least_bytes)
    aim = part_bytes(read_back(built(KINDS)), 0, limits)
    lengths = [0]
    for step in STEPS[AUTO]:
        if lengths[-1] >= aim:
            lengths.append(0)
        lengths[-1] += len(step)
    assert len(lengths) <= most_parts
    assert all(length >= least_bytes for length in lengths[:-1])


def test_parts_get_longer_where_they_would_be_too_many() -> None:
    def of(*sizes: int) -> int:
        builder = ManifestBuilder()
        for number, size in enumerate(sizes):
            builder.add(str(number), source(), size=size, mtime=SOME_TIME)
        return part_bytes(read_back(builder), 16 * MIB)

    assert of(0) == of(100 << 30) == 16 * MIB
    tib = 1 << 40
    assert tib / AWS.most_parts < of(tib) < tib / AWS.most_parts * 1.001
    with pytest.raises(ArchiveTooLarge, match="10,000 parts"):
        of(25 * tib, 25 * tib)
