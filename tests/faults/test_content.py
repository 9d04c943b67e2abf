"""Synthetic bytes agree wherever they are cut, and differ where a 32-bit mistake would look."""

import random
import time

from tests.faults.content import BLOCK_BYTES, synthetic_bytes

FOUR_GIB = 1 << 32


def test_any_slice_equals_that_slice_of_the_whole() -> None:
    whole = synthetic_bytes(7, 0, 5 * BLOCK_BYTES)
    assert len(whole) == 5 * BLOCK_BYTES
    chance = random.Random(1)
    for _ in range(200):
        start, stop = sorted(chance.choices(range(len(whole) + 1), k=2))
        assert synthetic_bytes(7, start, stop) == whole[start:stop]
    assert synthetic_bytes(7, 5, 5) == b""


def test_places_and_seeds_differ() -> None:
    blocks = {synthetic_bytes(0, number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES) for number in range(100)}
    assert len(blocks) == 100
    for distance in (FOUR_GIB, 65_521 * BLOCK_BYTES):
        assert synthetic_bytes(0, 0, BLOCK_BYTES) != synthetic_bytes(0, distance, distance + BLOCK_BYTES)
    assert synthetic_bytes(0, 0, 100) != synthetic_bytes(1, 0, 100)


def test_it_is_no_bottleneck() -> None:
    synthetic_bytes(0, 0, BLOCK_BYTES)
    started = time.process_time()
    synthetic_bytes(0, FOUR_GIB, FOUR_GIB + (64 << 20))
    assert time.process_time() - started < 0.5  # 0.03 s; 128 MiB/s is the least a test can live with
