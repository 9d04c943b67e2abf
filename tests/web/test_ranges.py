"""Which part of an archive a request asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketzip.web.ranges import Asked, Outcome, decide

ETAG = '"e7"'
SIZE = 1000
WHOLE = Asked(Outcome.FULL, 0, SIZE)


def ask(*, size: int = SIZE, **headers: str) -> Asked:
    return decide({name.replace("_", "-"): value for name, value in headers.items()}, etag=ETAG, size=size)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 1000)),
        ("bytes=10-19", (10, 20)),
        ("bytes=999-", (999, 1000)),
        ("bytes=990-5000", (990, 1000)),
        ("bytes=-1", (999, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("BYTES = 5 - 6", (5, 7)),
    ],
)
def test_one_range_is_served(field: str, expected: tuple[int, int]) -> None:
    assert ask(Range=field) == Asked(Outcome.PARTIAL, *expected)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-3",
        "bytes=0-1,5-6",
        "items=0-1",
        "bytes=--1",
        "bytes=1-2-3",
    ],
)
def test_what_is_not_one_range_gets_the_whole(field: str) -> None:
    assert ask(Range=field) == WHOLE


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=9999999999999999999-"])
def test_what_lies_behind_the_end_cannot_be_served(field: str) -> None:
    assert ask(Range=field).outcome is Outcome.UNSATISFIABLE


@pytest.mark.parametrize(("same", "partial"), [(ETAG, True), ('"other"', False), (f"W/{ETAG}", False)])
def test_a_resumed_download_is_never_spliced_from_two_archives(same: str, partial: bool) -> None:  # noqa: FBT001  -- a parameter
    assert (ask(Range="bytes=5-", If_Range=same).outcome is Outcome.PARTIAL) is partial


def test_a_date_cannot_stand_for_this_archive() -> None:
    assert ask(Range="bytes=5-", If_Range="Sat, 21 Nov 2026 23:47:58 GMT") == WHOLE


@pytest.mark.parametrize(
    ("field", "value", "outcome"),
    [
        ("If_None_Match", ETAG, Outcome.NOT_MODIFIED),
        ("If_None_Match", f'"a", W/{ETAG}', Outcome.NOT_MODIFIED),
        ("If_None_Match", "*", Outcome.NOT_MODIFIED),
        ("If_None_Match", '"a"', Outcome.FULL),
        ("If_Match", ETAG, Outcome.FULL),
        ("If_Match", "*", Outcome.FULL),
        ("If_Match", '"a"', Outcome.FAILED),
        ("If_Match", f"W/{ETAG}", Outcome.FAILED),
    ],
)
def test_conditions_come_before_the_range(field: str, value: str, outcome: Outcome) -> None:
    assert decide({field.replace("_", "-"): value}, etag=ETAG, size=SIZE).outcome is outcome


@given(st.text(max_size=40), st.text(max_size=20), st.integers(1, 1 << 50))
def test_whatever_a_client_sends_the_answer_lies_within(field: str, same: str, size: int) -> None:
    asked = ask(size=size, Range=field, If_Range=same)
    assert 0 <= asked.start <= asked.stop <= size


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.integers(1, 1 << 50))
def test_a_range_is_cut_to_what_there_is(first: int, last: int, size: int) -> None:
    asked = ask(size=size, Range=f"bytes={first}-{last}")
    expected = range(size)[first : last + 1]
    if last < first:
        assert asked == Asked(Outcome.FULL, 0, size)
    elif expected:
        assert asked == Asked(Outcome.PARTIAL, expected.start, expected.stop)
    else:
        assert asked.outcome is Outcome.UNSATISFIABLE
