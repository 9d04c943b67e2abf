"""Every decision about a failed read, without a network."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketzip.s3.errors import EXPIRED_CODES, WRONG_REGION_CODES
from bucketzip.s3.head import Malformed
from bucketzip.s3.rangeget import Refused
from bucketzip.s3.retry import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Again, Crawling, Tries, pause_seconds

DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
NOW = 1767323045.0
RESET = ConnectionResetError("reset")


def refused(status: int, code: str = "", date: str = DATE) -> Refused:
    return Refused(status, code, "", date, "s3://bucket/key")


def decide(
    error: Exception, tries: Tries | None = None, *, received: int = 0, silent: bool = False, now: float = 0
) -> Again | None:
    return (tries or Tries(3)).failed(error, received=received, reused_and_silent=silent, now=now)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RESET, "connection"),
        (ConnectionRefusedError(), "connection"),
        (OSError(), "connection"),
        (ssl.SSLError(), "connection"),
        (TimeoutError(), "stall"),
        (Malformed(), "malformed"),
        (refused(503, "SlowDown"), "slow_down"),
        (refused(503), "slow_down"),
        (refused(429), "slow_down"),
        (refused(500, "InternalError"), "s3_error"),
        (refused(500), "s3_error"),
        (refused(502), "s3_error"),
        (refused(400, "RequestTimeout"), "s3_error"),
        (refused(408), "s3_error"),
    ],
)
def test_tried_again_after_a_pause(error: Exception, reason: str) -> None:
    tries = Tries(3)
    for failures in (1, 2):
        again = decide(error, tries)
        assert again is not None
        assert again == Again(reason, again.pause_seconds)
        assert 0 < again.pause_seconds <= FIRST_PAUSE_SECONDS * 2 ** (failures - 1)
    assert decide(error, tries) is None


@pytest.mark.parametrize(
    "error",
    [
        refused(400, "InvalidRequest"),
        refused(400),
        refused(401),
        refused(403, "AccessDenied"),
        refused(403, "SignatureDoesNotMatch"),
        refused(403, "InvalidAccessKeyId"),
        refused(403, "InvalidObjectState"),
        refused(403),
        refused(404, "NoSuchKey"),
        refused(404),
        refused(405, "MethodNotAllowed"),
        refused(412, "PreconditionFailed"),
        refused(412),
        refused(416, "InvalidRange"),
        refused(304),
        refused(403, "RequestTimeTooSkewed", date=""),
        refused(403, "RequestTimeTooSkewed", date="yesterday"),
        ssl.SSLCertVerificationError(),
    ],
)
def test_final(error: Exception) -> None:
    assert decide(error, Tries(100)) is None


MENDED = [
    *((refused(400, code), Again("credentials", renew_credentials=True)) for code in sorted(EXPIRED_CODES)),
    (refused(403, "RequestTimeTooSkewed"), Again("clock", set_clock=NOW)),
    *((refused(400, code), Again("region", find_region=True)) for code in sorted(WRONG_REGION_CODES)),
    *((refused(status), Again("region", find_region=True)) for status in (301, 302, 307, 308)),
]


@pytest.mark.parametrize(("error", "mend"), MENDED)
def test_mended_at_once_but_only_once(error: Exception, mend: Again) -> None:
    """And that costs no try. Then it is a failure as any other."""
    tries = Tries(2)
    assert decide(error, tries) == mend
    again = decide(error, tries)
    assert again is not None
    assert again == Again(mend.reason, again.pause_seconds)
    assert again.pause_seconds > 0
    assert decide(error, tries) is None


def test_each_thing_is_mended_once() -> None:
    tries = Tries(1)
    assert decide(refused(400, "ExpiredToken"), tries) == Again("credentials", renew_credentials=True)
    assert decide(refused(403, "RequestTimeTooSkewed"), tries) == Again("clock", set_clock=NOW)
    assert decide(refused(301), tries) == Again("region", find_region=True)
    assert decide(RESET, tries, silent=True) == Again("idle_connection")
    assert decide(RESET, tries) is None


@pytest.mark.parametrize("error", [RESET, BrokenPipeError(), OSError()])
def test_closed_while_idle(error: Exception) -> None:
    tries = Tries(2)
    assert decide(error, tries, silent=True) == Again("idle_connection")
    again = decide(error, tries, silent=True)
    assert again is not None
    assert again.pause_seconds > 0


@pytest.mark.parametrize("error", [Malformed(), TimeoutError(), refused(500)])
def test_not_taken_for_closed_while_idle(error: Exception) -> None:
    again = decide(error, silent=True)
    assert again is not None
    assert again.reason != "idle_connection"
    assert again.pause_seconds > 0


def test_progress_forgives() -> None:
    tries = Tries(2)
    for received in range(1, 100):
        assert decide(RESET, tries, received=received) is not None
    assert decide(RESET, tries, received=99) is None
    assert tries.failures == 2


def test_progress_is_more_than_before_and_not_more_than_nothing() -> None:
    tries = Tries(3)
    assert decide(RESET, tries, received=50) is not None
    assert decide(RESET, tries, received=50) is not None
    assert decide(RESET, tries, received=50) is None


@given(st.integers(1, 10), st.floats(0, 600))
def test_slow_down_has_a_time_limit_and_no_count(most: int, patience_seconds: float) -> None:
    """A storm may refuse a read as often as it likes; each read waits longer and longer, and counts from its first."""
    tries, now, refusals = Tries(most, patience_seconds), 1000.0, 0
    while (again := decide(refused(503, "SlowDown"), tries, now=now)) is not None:
        refusals += 1
        assert again == Again("slow_down", again.pause_seconds)
        assert refusals < most or now - 1000 < patience_seconds
        now += again.pause_seconds
    assert now - 1000 >= patience_seconds
    assert refusals >= most - 1


def test_slow_down_costs_no_try() -> None:
    tries = Tries(2, 60)
    for now in range(50):
        assert decide(refused(503), tries, now=now) is not None
    assert decide(RESET, tries, now=51) is not None
    assert decide(refused(503), tries, now=52) is not None
    assert decide(RESET, tries, now=53) is None


def test_progress_ends_a_storm() -> None:
    tries = Tries(1, 60)
    assert decide(refused(503), tries, now=0) is not None
    assert decide(refused(503), tries, now=59, received=1) is not None
    assert decide(refused(503), tries, now=118, received=1) is not None
    assert decide(refused(503), tries, now=119, received=1) is None


def test_a_crawling_body_is_no_failure() -> None:
    tries = Tries(1)
    for _ in range(10):
        assert decide(Crawling(), tries) == Again("crawl")
    assert decide(RESET, tries) is None


def test_one_try_is_one_try() -> None:
    assert decide(RESET, Tries(1)) is None


def test_pauses_grow_to_their_limit_and_differ() -> None:
    for failures in range(1, 101):
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
        pauses = [pause_seconds(failures) for _ in range(50)]
        assert all(longest / 10 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 25
    assert pause_seconds(10_000) <= LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (DATE, NOW),
        ("Fri, 02 Jan 2026 04:04:05 +0100", NOW),
        ("", None),
        ("garbage", None),
        ("Fri, 99 Jan 2026 03:04:05 GMT", None),
        ("Fri, 02 Jan 2026 03:04:05 +9999999999", None),
        ("Fri, 02 Jan 99999 03:04:05 GMT", None),
        ("\xff\xfe", None),
    ],
)
def test_the_servers_clock(date: str, seconds: float | None) -> None:
    assert refused(403, date=date).server_time() == seconds
