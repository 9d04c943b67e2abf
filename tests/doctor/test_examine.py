"""Checks run side by side, wait for those they need, and none hides another."""

import asyncio
import logging

import pytest

from bucketzip.doctor.examine import examine
from bucketzip.doctor.finding import Check, Finding, Outcome, ok, untried, warning
from bucketzip.errors import S3Unreachable


async def found(*checks: Check) -> dict[str, Finding]:
    told: list[str] = []
    results = await examine(checks, lambda check, _: told.append(check.name))
    assert told == [check.name for check in checks], "in their order"
    return {check.name: finding for check, finding in results}


def check(name: str, *after: Check, finding: Finding | None = None) -> Check:
    async def look() -> Finding:
        return finding or ok(name)

    return Check(name, look, after=after)


async def test_they_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def look() -> Finding:
        await met.wait()
        return ok("met")

    results = await found(Check("a", look), Check("b", look))
    assert {each.said for each in results.values()} == {"met"}


async def test_one_waits_for_what_it_needs() -> None:
    order: list[str] = []

    def noting(name: str, *after: Check) -> Check:
        async def look() -> Finding:
            await asyncio.sleep(0)
            order.append(name)
            return warning("it works", "not well")

        return Check(name, look, after=after)

    first = noting("first")
    await found(first, second := noting("second", first), noting("third", second))
    assert order == ["first", "second", "third"], "a warning holds nothing up"


async def test_behind_a_failure_nothing_is_tried_however_far() -> None:
    async def look() -> Finding:
        raise S3Unreachable("it is not there")

    broken = Check("broken", look)
    results = await found(broken, one := check("one", broken), check("two", one), check("other"))
    assert (results["broken"].outcome, results["broken"].said) == (Outcome.FAILED, "it is not there")
    assert results["broken"].facts == {"error": "s3_unreachable"}
    assert results["one"] == untried("not tried, because of `broken`")
    assert results["two"] == untried("not tried, because of `one`")
    assert results["other"].outcome is Outcome.OK


async def test_what_hangs_is_given_up() -> None:
    async def look() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    results = await found(Check("hangs", look, seconds=0.01), check("other"))
    assert (results["hangs"].outcome, results["hangs"].said) == (Outcome.FAILED, "no answer within 0.01 s")
    assert results["other"].outcome is Outcome.OK


async def test_a_mistake_in_a_check_is_no_verdict(caplog: pytest.LogCaptureFixture) -> None:
    async def look() -> Finding:
        raise ZeroDivisionError("in the check")

    with caplog.at_level(logging.ERROR):
        results = await found(Check("wrong", look), check("other"))
    assert results["wrong"].outcome is Outcome.UNKNOWN
    assert "ZeroDivisionError: in the check" in results["wrong"].said
    assert results["other"].outcome is Outcome.OK
    assert "the check wrong failed itself" in caplog.text
