"""When deliveries are tried again, without waiting for it."""

from itertools import pairwise

from bucketzip.notify.patience import GIVEN_UP_SECONDS, LONGEST_PAUSE_SECONDS, next_attempt_at

BEGAN = 1_700_000_000.0


def attempts(random: float, retry_after_seconds: float = 0) -> list[float]:
    """The seconds after the beginning at which one is made that always fails."""
    times, now = [0.0], BEGAN
    while (following := next_attempt_at(BEGAN, len(times), now, retry_after_seconds, random)) is not None:
        now = following
        times.append(now - BEGAN)
    return times


def test_pauses_double_up_to_an_hour_for_a_day() -> None:
    times = attempts(random=0)
    assert times[:4] == [0, 10, 30, 70]
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == LONGEST_PAUSE_SECONDS
    assert times[-1] == GIVEN_UP_SECONDS
    assert 25 < len(times) < 40


def test_what_failed_together_does_not_come_again_together() -> None:
    firsts = {next_attempt_at(BEGAN, 9, BEGAN, 0, random) for random in (0.0, 0.5, 0.999)}
    assert len(firsts) == 3
    assert all(first is not None and 0.75 * 2560 < first - BEGAN <= 2560 for first in firsts)


def test_a_receiver_is_left_alone_for_as_long_as_it_asks_but_not_beyond_the_day() -> None:
    assert next_attempt_at(BEGAN, 1, BEGAN, 500, 0) == BEGAN + 500
    assert next_attempt_at(BEGAN, 1, BEGAN, 1, 0) == BEGAN + 10
    assert attempts(random=0, retry_after_seconds=10 * GIVEN_UP_SECONDS) == [0, GIVEN_UP_SECONDS]


def test_after_a_day_off_there_is_no_other_attempt_than_the_one_that_was_due() -> None:
    assert next_attempt_at(BEGAN, 1, BEGAN + 2 * GIVEN_UP_SECONDS, 0, 0) is None


def test_many_tries_overflow_nothing() -> None:
    assert next_attempt_at(BEGAN, 10_000, BEGAN, 0, 0) == BEGAN + LONGEST_PAUSE_SECONDS
