"""The window of one client: it opens with what the client takes, and closes when that is little."""

from bucketzip.transfer.window import COMFORTABLE_BYTES, MIN_BYTES, SECONDS, START_BYTES, Window

MIB = 1 << 20
MOST = 128 * MIB


def test_a_fast_client_gets_it_all() -> None:
    window = Window(MOST)
    for _ in range(20):
        window.taken(window.size_bytes)
        window.elapsed(0.1, 0.01, writing=True)
    assert window.size_bytes == MOST


def test_a_busy_processor_keeps_it_small() -> None:
    """More in flight would only push blocks out of the caches."""
    window = Window(MOST)
    for cpu, most in [(0.09, COMFORTABLE_BYTES), (0.01, MOST), (0.09, COMFORTABLE_BYTES)]:
        for _ in range(20):
            window.taken(window.size_bytes)
            window.elapsed(0.1, cpu, writing=True)
            window.taken(1)
        assert window.size_bytes == most


def test_a_slow_client_is_left_with_little() -> None:
    window = Window(MOST)
    window.taken(4 * MIB)  # what the kernel's buffers took at first
    for _ in range(4):
        window.elapsed(1, 0, writing=True)
        window.taken(10_000)
    window.elapsed(1, 0, writing=True)
    assert window.size_bytes == MIN_BYTES


def test_it_follows_a_steady_rate() -> None:
    window = Window(MOST)
    for _ in range(20):
        window.taken(10 * MIB)
        window.elapsed(1, 0.1, writing=True)
    assert window.size_bytes == 10 * MIB * SECONDS


def test_a_small_budget_bounds_it_from_the_start() -> None:
    assert Window(2 * MIB).size_bytes == 2 * MIB < START_BYTES


def test_waiting_for_s3_closes_nothing() -> None:
    window = Window(MOST)
    window.taken(20 * MIB)
    before = window.size_bytes
    for _ in range(5):
        window.elapsed(1, 0, writing=False)
    assert window.size_bytes >= before
