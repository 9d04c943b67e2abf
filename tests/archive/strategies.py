"""Archives of any shape for the property tests: layouts alone, since the content of some would fill a disk."""

from hypothesis import strategies as st

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import READ_AHEAD_BYTES, ManifestBuilder
from bucketzip.archive.names import Names
from tests.archive.rendering import borders_of, read_back, source

MAX_32 = 0xFFFF_FFFF
# Of each kind: a read-ahead one, one with a descriptor, one that needs Zip64, and those around the borders.
BORDERS = [
    0,
    1,
    50,
    READ_AHEAD_BYTES,
    READ_AHEAD_BYTES + 1,
    MAX_32 - 1,
    MAX_32,
    MAX_32 + 1,
    5 << 30,
    1 << 40,
]
SIZES = st.sampled_from(BORDERS) | st.integers(0, 1 << 34)
CRCS = st.none() | st.integers(0, MAX_32)
NAMES = st.text(st.sampled_from("ab/üé日"), min_size=1, max_size=12)
TIMES = st.integers(0, MAX_32)


@st.composite
def layouts(
    draw: st.DrawFn,
    *,
    sizes: st.SearchStrategy[int] = SIZES,
    crcs: st.SearchStrategy[int | None] = CRCS,
    arranged: bool = True,
) -> Layout:
    """Archives of entries of all kinds, of any size and lying in any order, without content."""
    builder, names = ManifestBuilder(descriptors=draw(st.booleans())), Names()
    for kind in draw(st.lists(st.sampled_from(["object", "object", "folder", "inline"]), max_size=12)):
        name, mtime = draw(NAMES), draw(TIMES)
        if kind == "object":
            builder.add(names.file(name), source(name), size=draw(sizes), mtime=mtime, crc=draw(crcs))
        elif kind == "inline":
            builder.add_inline(names.file(name), draw(st.binary(max_size=40)), mtime=mtime)
        elif folder := names.folder(name):
            builder.add_inline(folder, b"", mtime=mtime)
    if arranged:
        builder.arrange(draw(st.just(range(len(builder))) | st.permutations(range(len(builder)))))
    return Layout(read_back(builder))


def draw_place(layout: Layout, data: st.DataObject) -> int:
    """Return any place in the archive, most often one at a border or next to it."""
    near = st.builds(int.__add__, st.sampled_from(borders_of(layout)), st.integers(-3, 3))
    return min(max(data.draw(near | st.integers(0, layout.size)), 0), layout.size)
