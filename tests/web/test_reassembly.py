"""Whatever ranges of an archive are asked for, in whatever order and form: put together they are the archive."""

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.layout import Layout
from bucketzip.web.ranges import Outcome, decide
from tests.archive.rendering import Piece, joined, piece_length, pieces, slice_of
from tests.archive.strategies import draw_place, layouts

Part = tuple[int, list[Piece]]


def asked_for(layout: Layout, field: str) -> Part:
    """Where the part starts that a Range header gets, and what is in it."""
    asked = decide({"Range": field, "If-Range": layout.etag}, etag=layout.etag, size=layout.size)
    assert asked.outcome is Outcome.PARTIAL
    return asked.start, pieces(layout, asked.start, asked.stop)


def put_together(parts: list[Part]) -> list[Piece]:
    """Make one file of parts that may overlap, as download managers do: what is there already is skipped."""
    file: list[Piece] = []
    at = 0
    for start, part in sorted(parts, key=lambda part: part[0]):
        assert start <= at
        new = slice_of(part, at - start, sys.maxsize)
        at += sum(map(piece_length, new))
        file += new
    return joined(file)


@st.composite
def fields(draw: st.DrawFn, layout: Layout, start: int, stop: int) -> str:
    """A Range header for these bytes, in one of the forms that there are for them."""
    forms = [f"bytes={start}-{stop - 1}"]
    if stop == layout.size:
        beyond = draw(st.integers(0, 1 << 50))
        forms += [f"bytes={start}-", f"bytes=-{stop - start}", f"bytes={start}-{stop + beyond}"]
    return draw(st.sampled_from(forms))


@settings(deadline=None, max_examples=50)
@given(layouts(), st.data())
def test_any_ranges_put_together_are_the_archive(layout: Layout, data: st.DataObject) -> None:
    wanted = []
    for _ in range(data.draw(st.integers(0, 5))):
        start, stop = sorted((draw_place(layout, data), draw_place(layout, data)))
        wanted.append((start, stop))
    at = 0
    gaps = []
    for start, stop in [*sorted(wanted), (layout.size, layout.size)]:
        gaps.append((at, start))
        at = max(at, stop)
    parts = [
        asked_for(layout, data.draw(fields(layout, start, stop)))
        for start, stop in data.draw(st.permutations(wanted + gaps))
        if start < stop
    ]
    assert put_together(parts) == pieces(layout, 0, layout.size)
