"""Blocks of deflate make one stream, that of their content alone, and it hardly grows."""

import argparse
import inspect
import random
import typing
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive import deflate
from bucketzip.archive.compressed_formats import is_compressed
from bucketzip.archive.deflate import BLOCK_BYTES, DICTIONARY_BYTES, bound, compress, shrinks, wrap

LEVELS = [1, 2, 3, 4, 6]  # all of isal's, and two of libdeflate's and zlib-ng's
BORDERS = [0, 1, 65_535, 65_536, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 1]
KINDS = ["zeros", "random", "text", "mixed"]


@lru_cache(maxsize=8)
def content(kind: str, size: int = BORDERS[-1]) -> bytes:
    if kind == "zeros":
        return bytes(size)
    if kind == "random":
        return random.Random(size).randbytes(size)
    if kind == "text":
        words = [f"{number:x}{word}" for number in range(40) for word in ("the ", "of ", "archive ", "\n")]
        return " ".join(random.Random(size).choices(words, k=size // 4 + 1)).encode()[:size]
    half = size // 2
    return content("random")[:half] + content("text")[: size - half]


def blocks(data: bytes) -> list[tuple[bytes, bytes, bool]]:
    """The blocks of a content, each with its dictionary, and whether it is the last."""
    starts = range(0, max(len(data), 1), BLOCK_BYTES)
    return [(data[at : at + BLOCK_BYTES], data[max(at - DICTIONARY_BYTES, 0) : at], at == starts[-1]) for at in starts]


def stream(data: bytes, level: int) -> bytes:
    return b"".join(compress(block, level=level, dictionary=before, last=last) for block, before, last in blocks(data))


def inflated(data: bytes) -> bytes:
    """What zlib reads; it must be one stream, to its end and no further."""
    reader = zlib.decompressobj(-15)
    out = reader.decompress(data)
    assert reader.eof
    assert not reader.unused_data
    return out


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_its_content_and_within_its_bound(kind: str, level: int) -> None:
    for size in BORDERS:
        data = content(kind)[:size]
        squeezed = stream(data, level)
        assert inflated(squeezed) == data
        assert len(squeezed) <= bound(size)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=2000),
    st.sampled_from(KINDS),
    st.one_of(st.integers(0, 5000), st.integers(BLOCK_BYTES - 1000, BLOCK_BYTES + 1000)),
    st.integers(deflate.LEAST_LEVEL, deflate.STRONGEST_LEVEL),
)
def test_any_content_comes_back(front: bytes, kind: str, size: int, level: int) -> None:
    data = (front + content(kind))[:size]
    squeezed = stream(data, level)
    assert inflated(squeezed) == data
    assert len(squeezed) <= bound(size)
    assert inflated(b"".join(wrap(block, last=last) for block, _, last in blocks(data))) == data


def test_growth_is_far_below_a_thousandth() -> None:
    assert all(bound(size) <= size * 1.0001 for size in (BLOCK_BYTES, 1 << 30, (5 << 40) + 1))
    data = content("random")[: 2 * BLOCK_BYTES]
    assert len(stream(data, 1)) == bound(len(data))  # so no block is longer than if it had not been compressed
    assert bound(0) == len(wrap(b"", last=True))


@pytest.mark.parametrize("level", LEVELS)
def test_blocks_are_the_same_whoever_compresses_them(level: int) -> None:
    data = content("mixed")
    expected = stream(data, level)
    with ThreadPoolExecutor(4) as threads:
        several = [threads.submit(stream, data, level) for _ in range(4)]
        single = [
            threads.submit(compress, block, level=level, dictionary=before, last=last)
            for block, before, last in blocks(data)
        ]
        assert {each.result() for each in several} == {expected}
        assert b"".join(each.result() for each in single) == expected


@pytest.mark.parametrize("level", LEVELS)
def test_blocks_cost_next_to_nothing(level: int) -> None:
    """By their dictionaries: without them a block would have nothing to refer to at its start."""
    data = content("text")
    in_one_go = compress(data[1:], level=level, dictionary=data[:1], last=True)
    assert len(stream(data, level)) < len(in_one_go) * 1.002


def test_a_higher_level_is_smaller_for_whole_contents_and_for_blocks() -> None:
    levels = range(deflate.LEAST_LEVEL, deflate.STRONGEST_LEVEL + 1)
    text = "".join(map(inspect.getsource, (argparse, inspect, typing))).encode()[:BLOCK_BYTES]
    whole = [compress(text, level=level, last=True) for level in levels]
    assert {inflated(each) for each in whole} == {text}
    before, block = text[:DICTIONARY_BYTES], text[DICTIONARY_BYTES:]
    parts = [compress(block, level=level, dictionary=before, last=False) for level in levels]
    for lengths in ([*map(len, whole)], [*map(len, parts)]):
        assert lengths == sorted(lengths, reverse=True)
        assert len(set(lengths)) >= len(levels) - 1  # the strongest two are alike for blocks


def test_a_block_that_ends_a_longer_content_follows_from_its_dictionary() -> None:
    """It is no content of its own, which another library may compress."""
    data = content("text")[: DICTIONARY_BYTES // 2]
    for level in LEVELS:
        alone = compress(data, level=level, last=True)
        assert len(compress(data, level=level, dictionary=data, last=True)) < len(alone) / 4


def test_what_does_not_shrink_is_seen() -> None:
    assert shrinks(content("text")[:BLOCK_BYTES])
    assert shrinks(content("zeros")[:BLOCK_BYTES])
    assert not shrinks(content("random")[:BLOCK_BYTES])
    header, body = content("text")[:100_000], content("random")[: BLOCK_BYTES - 100_000]
    assert not shrinks(header + body)


def test_formats_are_known_by_the_name() -> None:
    for name in (b"a.jpg", b"a/b.PNG", b"report.docx", b"a.tar.gz", b"x.y/z.mp4", b".zip"):
        assert is_compressed(name)
    for name in (b"a.txt", b"jpg", b"a.jpg/b", b"a.jpgx", b"a.", b"", b"a.zip/", b"report.pdf", "ü".encode()):
        assert not is_compressed(name)
