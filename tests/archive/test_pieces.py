"""The CRCs of pieces, told in any order, are the CRC of the whole."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketzip.archive.crc import crc32
from bucketzip.archive.pieces import PieceMismatch, Pieces, joined
from bucketzip.archive.segments import Span


@given(st.lists(st.binary(max_size=50)))
def test_joined_crcs_are_that_of_the_whole(pieces: list[bytes]) -> None:
    assert joined((crc32(piece), len(piece)) for piece in pieces) == crc32(b"".join(pieces))


def test_lengths_beyond_32_bits_are_joined() -> None:
    """Of zeros, doubled from 1 MiB to 64 TiB: no content of that length is ever read."""
    zeros = crc32(bytes(1 << 20))
    for bits in range(20, 46):
        doubled = joined([(zeros, 1 << bits), (zeros, 1 << bits)])
        tail = joined([(0x12345678, 1), (zeros, 1 << bits), (zeros, 1 << bits)])
        assert joined([(0x12345678, 1), (doubled, 2 << bits)]) == tail
        zeros = doubled


@given(st.lists(st.binary(min_size=2, max_size=200), min_size=1, max_size=5), st.data())
def test_an_entry_is_told_when_its_last_piece_is(contents: list[bytes], data: st.DataObject) -> None:
    spans = []
    for entry, content in enumerate(contents):
        cuts = data.draw(st.sets(st.integers(1, len(content) - 1), max_size=6))
        spans += [Span(entry, start, stop) for start, stop in pairwise(sorted({0, len(content), *cuts}))]
    left = [sum(span.entry == entry for span in spans) for entry in range(len(contents))]
    pieces = Pieces([len(content) for content in contents])
    for span in data.draw(st.permutations(spans)):
        entry, start, stop = span
        left[entry] -= 1
        told = pieces.add(span, crc32(contents[entry][start:stop]))
        assert told == (None if left[entry] else crc32(contents[entry]))
    assert len(pieces) == 0


def test_a_piece_may_be_told_again() -> None:
    pieces = Pieces([30])
    content = random.Random(0).randbytes(30)
    for start in (10, 10, 0, 0, 10):
        assert pieces.add(Span(0, start, start + 10), crc32(content[start : start + 10])) is None
    assert len(pieces) == 1
    assert pieces.add(Span(0, 20, 30), crc32(content[20:])) == crc32(content)


@pytest.mark.parametrize("again", [(Span(0, 0, 10), 2), (Span(0, 0, 11), 1)])
def test_a_piece_that_differs_when_told_again_is_refused(again: tuple[Span, int]) -> None:
    pieces = Pieces([30])
    pieces.add(Span(0, 0, 10), 1)
    with pytest.raises(PieceMismatch):
        pieces.add(*again)


@pytest.mark.parametrize(
    "spans", [[(0, 20), (10, 30)], [(0, 10), (5, 20), (25, 30)], [(10, 30), (5, 15)], [(0, 29), (28, 30)]]
)
def test_pieces_that_overlap_tell_nothing(spans: list[tuple[int, int]]) -> None:
    pieces = Pieces([30])
    *first, last = [Span(0, *span) for span in spans]
    for span in first:
        assert pieces.add(span, 1) is None
    with pytest.raises(PieceMismatch):
        pieces.add(last, 1)


def test_many_pieces_take_no_time_each() -> None:
    """A whole upload of one entry: 10,000 pieces, told from the last to the first."""
    pieces = Pieces([10_000])
    for start in range(9_999, 0, -1):
        assert pieces.add(Span(0, start, start + 1), crc32(b"x")) is None
    assert pieces.add(Span(0, 0, 1), crc32(b"x")) == crc32(b"x" * 10_000)
