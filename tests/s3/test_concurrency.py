"""AIMD: what S3 refuses cuts the limit once a round trip, what it answers raises it a little every second."""

from hypothesis import given
from hypothesis import strategies as st

from bucketzip.s3.concurrency import CUT, LEAST, MEMORY_SECONDS, RECOVERY_SECONDS, Concurrency

limits = st.integers(1, 1024)
seconds = st.floats(0, 100, allow_nan=False)


@given(limits, st.lists(st.tuples(st.booleans(), seconds, seconds), max_size=200))
def test_always_within_bounds_and_moved_the_right_way(most: int, events: list[tuple[bool, float, float]]) -> None:
    concurrency, now = Concurrency(most), 0.0
    for refused, gap_seconds, took_seconds in events:
        now += gap_seconds
        before = concurrency.limit
        if refused:
            concurrency.refused(now - took_seconds, now)
            assert concurrency.limit <= before
        else:
            concurrency.succeeded(now)
            assert concurrency.limit >= before
        assert min(LEAST, most) <= concurrency.limit <= most
        assert concurrency.lowered or concurrency.limit == most


@given(st.integers(4, 1024), st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_a_burst_of_refusals_is_one(most: int, answered_at: list[float]) -> None:
    """All of them were sent before the first of them was refused."""
    concurrency = Concurrency(most)
    for now in sorted(answered_at):
        concurrency.refused(-0.001, now)
    assert concurrency.limit == max(LEAST, int(most * CUT))


@given(limits, st.integers(1, 50))
def test_each_round_trip_of_refusals_is_one(most: int, round_trips: int) -> None:
    concurrency, expected = Concurrency(most), float(most)
    for now in range(1, round_trips + 1):
        concurrency.refused(now - 0.5, now)
        expected = max(min(LEAST, most), expected * CUT)
    assert concurrency.limit == int(expected)


@given(limits, st.floats(0.02, 0.9))
def test_recovers_at_the_same_pace_whatever_a_round_trip_takes(most: int, round_trip_seconds: float) -> None:
    concurrency, now = Concurrency(most), 0.0
    for _ in range(100):
        now += round_trip_seconds
        concurrency.refused(now - round_trip_seconds / 2, now)
    lowest, lowest_at = concurrency.limit, now
    while concurrency.lowered:
        now += round_trip_seconds
        concurrency.succeeded(now)
        assert concurrency.limit <= lowest + most * (now - lowest_at) / RECOVERY_SECONDS + 1
    assert now - lowest_at <= RECOVERY_SECONDS + round_trip_seconds


def test_silence_shows_nothing() -> None:
    concurrency = Concurrency(100)
    concurrency.refused(0, 1)
    concurrency.succeeded(1000)
    assert concurrency.limit == 80, "one second's worth, and no more"


def test_forgotten_when_it_is_old_or_healed() -> None:
    concurrency = Concurrency(10)
    assert not concurrency.remembers(0)
    concurrency.refused(0, 1)
    assert concurrency.remembers(MEMORY_SECONDS)
    assert not concurrency.remembers(MEMORY_SECONDS + 1)


def test_finds_the_rate_that_is_taken_and_stays_near_it() -> None:
    """200 requests a second of 50 ms each are 10 at once; of those above, few are sent."""
    concurrency, now, sent, refused = Concurrency(64), 0.0, 0, 0
    while now < 60:
        now += 0.05
        excess = concurrency.limit - 10
        if now > 5:  # found by then
            sent += concurrency.limit
            refused += max(0, excess)
        if excess > 0:
            concurrency.refused(now - 0.05, now)
        concurrency.succeeded(now)
    assert refused / sent < 0.05
    assert sent / (55 / 0.05) > 8
