"""All checks at once, as far as none needs another's answer. One that fails or hangs hides none of the others."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from bucketzip.doctor.finding import Check, Finding, failed, unknown, untried
from bucketzip.errors import BucketzipError

_log = logging.getLogger(__name__)

Tell = Callable[[Check, Finding], None]


async def examine(checks: Sequence[Check], tell: Tell) -> list[tuple[Check, Finding]]:
    """Each check with what it found, told in their order as soon as it is known.

    Checks stand behind those that they need the answers of. Raises what `tell` raises.
    """
    tasks: dict[Check, asyncio.Task[Finding]] = {}
    found = []
    try:
        async with asyncio.TaskGroup() as group:
            for check in checks:
                before = [(each, tasks[each]) for each in check.after]
                tasks[check] = group.create_task(_found(check, before))
            for check, task in tasks.items():
                finding = await task
                tell(check, finding)
                found.append((check, finding))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # no check raises any
    return found


async def _found(check: Check, before: Sequence[tuple[Check, asyncio.Task[Finding]]]) -> Finding:
    for each, task in before:
        if (await task).blocks:
            return untried(f"not tried, because of `{each.name}`")
    try:
        async with asyncio.timeout(check.seconds):
            return await check.look()
    except TimeoutError:
        return failed(f"no answer within {check.seconds:g} s", "see whether this machine reaches the endpoint")
    except BucketzipError as error:
        return failed(str(error), error=error.code)
    except Exception as error:  # noqa: BLE001  -- whatever it is, the other checks are to be heard of
        _log.exception("the check %s failed itself", check.name)
        return unknown(f"this check failed itself: {type(error).__name__}: {error}", "please report it")
