"""What a job left out is named, however it came to be left out, and counted where it is too much to name."""

from bucketzip.errors import BucketzipError, NoSuchObject, ObjectArchived
from bucketzip.jobs import skipped
from bucketzip.plan.planner import Missing


def gone(url: str) -> BucketzipError:
    error = NoSuchObject(f"{url}: S3 says NoSuchKey")
    error.about = url
    return error


def archived(url: str) -> Missing:
    return Missing(url, ObjectArchived(f"{url} is archived"))


def test_a_job_that_left_nothing_out() -> None:
    nothing = {"count": 0, "objects": []}
    assert skipped.told("{}", 10) == skipped.told(skipped.after_planning("{}", []), 10) == nothing


def test_what_vanished_stays_left_out_in_all_plans_that_follow() -> None:
    kept = skipped.after_planning("{}", [archived("s3://b/1")])
    kept = skipped.after_vanishing(kept, gone("s3://b/2"))
    kept = skipped.after_vanishing(skipped.after_planning(kept, [archived("s3://b/1")]), gone("s3://b/3: odd"))
    kept = skipped.after_planning(kept, [archived("s3://b/1")])
    told = skipped.told(kept, 10)
    assert told["count"] == 3
    assert [(each["url"], each["code"]) for each in told["objects"]] == [
        ("s3://b/2", "no_such_object"),
        ("s3://b/3: odd", "no_such_object"),
        ("s3://b/1", "object_archived"),
    ]
    assert told["objects"][0]["reason"] == "s3://b/2: S3 says NoSuchKey"


def test_what_the_next_plan_misses_too_is_counted_once() -> None:
    kept = skipped.after_vanishing("{}", gone("s3://b/1"))
    kept = skipped.after_planning(kept, [Missing("s3://b/1", NoSuchObject("there is no object"))])
    assert skipped.told(kept, 10) == {
        "count": 1,
        "objects": [{"url": "s3://b/1", "code": "no_such_object", "reason": "there is no object"}],
    }


def test_only_so_many_are_named() -> None:
    kept = skipped.after_vanishing("{}", gone("s3://b/first"))
    kept = skipped.after_planning(kept, [archived(f"s3://b/{number}") for number in range(5000)])
    told = skipped.told(kept, skipped.MOST_NAMED)
    assert (told["count"], len(told["objects"])) == (5001, 1000)
    assert told["objects"][0]["url"] == "s3://b/first"
    assert len(skipped.told(kept, 10)["objects"]) == 10
