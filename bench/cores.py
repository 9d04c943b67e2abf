"""Which core runs what: the measured process has one to itself, everything else shares the other.

Without this the scheduler moves origin, zipper and curl about, and a run measures its luck.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOWED = sorted(os.sched_getaffinity(0))

#: The measured process alone.
CONTENDER = frozenset(_ALLOWED[:1])
#: Origin, delay line and curl.
SURROUNDINGS = frozenset(_ALLOWED[1:2]) or CONTENDER
#: A store that the line keeps from taking much of them, but for its own copies.
ALL = CONTENDER | SURROUNDINGS


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Run the block on `cores`; processes started inside inherit it before their first instruction.

    Setting the affinity of a running child would miss the threads it has already made (Go makes several at once).
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> str:
    """One line for the table's head."""
    if CONTENDER == SURROUNDINGS:
        return "one core only: origin, client and contender share it, so wall times say little"
    return f"contender on core {min(CONTENDER)}, origin and client on core {min(SURROUNDINGS)}"
