"""Small entries are moved to where they are glue, and only as far as that helps."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketzip.archive.arrange import arrange
from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import AWS
from bucketzip.archive.parts import bytes_through_host, plan_parts
from tests.archive.rendering import laid_out

KIB, MIB = 1 << 10, 1 << 20

SIZES = st.lists(
    st.sampled_from([0, 1, 100 * KIB, MIB, 5 * MIB - 1, 5 * MIB, 7 * MIB, 10 * MIB - 1, 10 * MIB, 64 * MIB])
    | st.integers(0, 30 * MIB),
    max_size=40,
)


def host_bytes(layout: Layout) -> int:
    return bytes_through_host(plan_parts(layout, may_copy=lambda _: True))


def records_bytes(layout: Layout) -> int:
    """Return the bytes of all headers: what `arrange` does not look at."""
    return layout.manifest.content_bytes - sum(layout.manifest.sizes)


@settings(deadline=None)
@given(SIZES)
def test_it_is_an_order_and_always_the_same(sizes: list[int]) -> None:
    order = list(arrange(sizes))
    assert sorted(order) == list(range(len(sizes)))
    assert order == list(arrange(tuple(sizes)))


@settings(deadline=None)
@given(st.lists(st.sampled_from([0, 1, 4, 5, 16, 20, 24, 32, 39, 40, 256]) | st.integers(0, 80), max_size=40))
@example([40, 0, 40, 22, 0, 44, 44, 0, 0, 22])
def test_it_costs_no_more_than_the_users_order(quarters: list[int]) -> None:
    """In steps of 256 KiB, which the headers do not add up to: where a few bytes decide, they might."""
    sizes = [256 * KIB * quarter for quarter in quarters]
    plain = laid_out(sizes)
    assert host_bytes(laid_out(sizes, arrange(sizes))) <= host_bytes(plain) + records_bytes(plain)


@settings(deadline=None)
@given(SIZES)
def test_large_entries_keep_their_order(sizes: list[int]) -> None:
    large = [entry for entry in arrange(sizes) if sizes[entry] >= 10 * MIB]
    assert large == sorted(large)


@given(st.lists(st.integers(0, 5 * MIB - 1), max_size=60))
def test_small_entries_alone_stay_where_they_are(sizes: list[int]) -> None:
    assert list(arrange(sizes)) == list(range(len(sizes)))


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [64 * MIB] * 5,
        [5 * MIB, 20 * MIB, 3 * MIB, 2 * MIB, 20 * MIB, MIB],
        [MIB] * 30 + [20 * MIB] + [MIB] * 5 + [20 * MIB] + [MIB] * 100,
        [8 * MIB] * 10,
        [20 * MIB, 0, 0, 0],
    ],
    ids=["nothing", "no glue", "just enough glue", "more than enough glue", "medium ones alone", "empty ones"],
)
def test_what_gains_nothing_stays_where_it_is(sizes: list[int]) -> None:
    assert list(arrange(sizes)) == list(range(len(sizes)))


@pytest.mark.parametrize(
    ("sizes", "order"),
    [
        ([20, 20, 4, 5, 1], [3, 0, 2, 4, 1]),
        ([1, 1, 1, 1, 1, 1, 20, 20, 2], [1, 2, 3, 4, 5, 6, 0, 8, 7]),
        ([1, 1, 3, 1, 1, 1, 20, 20], [2, 3, 4, 5, 6, 0, 1, 7]),
        ([4, 20, 4, 20, 1], [0, 4, 1, 2, 3]),
        ([8, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 0]),
    ],
    ids=["from behind", "the largest first", "from a gap with more than it needs", "a little", "a medium one"],
)
def test_entries_move_to_where_they_are_glue(sizes: list[int], order: list[int]) -> None:
    assert list(arrange([size * MIB for size in sizes])) == order


def test_glue_from_elsewhere_saves_what_it_can() -> None:
    """100 large objects listed before 5,000 small ones: the glue is all there, and nothing else is built."""
    sizes = [20 * MIB] * 100 + [110 * KIB] * 5000
    small_bytes = 5000 * 110 * KIB
    layout = laid_out(sizes, arrange(sizes))
    assert small_bytes < host_bytes(layout) < 1.01 * small_bytes + (layout.size - layout.manifest.content_bytes)
    assert host_bytes(laid_out(sizes)) > 1.9 * small_bytes


def test_medium_ones_are_copied_where_there_is_glue() -> None:
    """Raw photos and their previews, in a folder each."""
    sizes = [8 * MIB] * 100 + [500 * KIB] * 1100
    layout = laid_out(sizes, arrange(sizes))
    assert host_bytes(layout) < 1.02 * 1100 * 500 * KIB
    assert host_bytes(laid_out(sizes)) > 1.7 * 1100 * 500 * KIB


def test_no_more_are_given_glue_than_can_be_copied() -> None:
    most = AWS.most_copied
    sizes = [20 * MIB + number for number in range(most + 1)] + [5 * MIB - 1] * (most + 1)
    order = arrange(sizes)
    given = [entry for before, entry in pairwise(order) if sizes[before] < 5 * MIB and sizes[entry] > 5 * MIB]
    assert given == list(range(2, most + 1)), "all but the smallest, and the one behind it, whose glue that is"


def test_many_entries_take_little_time() -> None:
    rng = random.Random(0)
    sizes = [10 * KIB] * 200_000 + [rng.randint(5 * MIB, 40 * MIB) for _ in range(600)]
    began = time.process_time()
    order = arrange(sizes)
    assert time.process_time() - began < 2
    assert list(order) != list(range(len(sizes)))
