"""What `on_missing: skip` left out of an archive: what a plan did not find, and what vanished after one.

Kept in the job's row as JSON; at most `MOST_NAMED` of it by name, since any number of objects may be archived ones.
"""

import json
from collections.abc import Sequence
from typing import Any

from bucketzip.errors import BucketzipError
from bucketzip.plan.planner import Missing

MOST_NAMED = 1000


def after_vanishing(skipped: str, error: BucketzipError) -> str:
    """With the object that a plan had found, and that was gone when it was to be read."""
    vanished = [*json.loads(skipped).get("vanished", []), _named(Missing(error.about, error))]
    return json.dumps({"vanished": vanished})


def after_planning(skipped: str, missing: Sequence[Missing]) -> str:
    """With what a plan did not find; what had vanished before it is still left out."""
    vanished = json.loads(skipped).get("vanished", [])
    urls = {each.url for each in missing}
    gone = [each for each in vanished if each["url"] not in urls]
    named = [*gone, *map(_named, missing[:MOST_NAMED])][:MOST_NAMED]
    return json.dumps({"vanished": vanished, "count": len(gone) + len(missing), "objects": named})


def told(skipped: str, most: int) -> dict[str, Any]:
    """For the owner, with at most so many of them by name."""
    kept = json.loads(skipped)
    return {"count": kept.get("count", 0), "objects": kept.get("objects", [])[:most]}


def _named(missing: Missing) -> dict[str, str]:
    return {"url": missing.url, "code": missing.error.code, "reason": str(missing.error)}
