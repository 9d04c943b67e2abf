"""The order in which entries lie in an archive that S3 copies together: small ones are the glue between large ones.

A body can be copied where 5 MiB that are built here lie in front of it. Where small entries do not fill them, the first
bytes of the large one have to, and those pass through this host too. So a large entry with too few small ones in front
of it is given some from where they are too many. Everything else lies in the user's order.

The order follows from sizes alone: not from what may be copied, since the archive has the same bytes in any case, nor
from the records between the entries, which only add to the glue.
"""

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise

from bucketzip.archive.limits import AWS, Limits
from bucketzip.archive.parts import largest


def arrange(sizes: Sequence[int], limits: Limits = AWS) -> Sequence[int]:
    """The numbers of entries as they should lie, from the bytes of content of each."""
    orders = range(len(sizes)), _glued(sizes, limits)
    return min(orders, key=lambda order: _built_bytes(order, sizes, limits.least_bytes))


def _glued(sizes: Sequence[int], limits: Limits) -> Sequence[int]:
    """The user's order, but for small entries that were moved in front of large ones."""
    copied = _worth_a_copy(sizes, limits)
    gaps = [range(last + 1, entry) for last, entry in pairwise([-1, *copied, len(sizes)])]
    spare, short = _compare(gaps, sizes, limits.least_bytes)
    given = _give(spare, short, sizes)
    if not given:
        return range(len(sizes))
    taken = bytearray(len(sizes))
    for entry in chain.from_iterable(given.values()):
        taken[entry] = 1
    order = array("I")
    for number, gap in enumerate(gaps):
        order.extend(entry for entry in gap if not taken[entry])
        order.extend(sorted(given.get(number, ())))
        order.extend(copied[number : number + 1])
    return order


def _worth_a_copy(sizes: Sequence[int], limits: Limits) -> list[int]:
    """Entries of twice the least and more, and the largest of those below for which there is glue.

    Glue for the former may come from their own bodies. The latter would not be long enough then.
    """
    least = limits.least_bytes
    glue_bytes = sum(size for size in sizes if size < least)
    always = sum(size >= 2 * least for size in sizes)
    candidates = [entry for entry, size in enumerate(sizes) if size >= least]
    most = min(max(always, glue_bytes // least), limits.most_copied)
    return sorted(largest(candidates, sizes, most))


def _compare(
    gaps: Sequence[range], sizes: Sequence[int], least_bytes: int
) -> tuple[list[range], list[tuple[int, int]]]:
    """What each gap could do without, and what each lacks: a heap of (bytes, negative, number of the gap)."""
    sums = array("Q", accumulate(sizes, initial=0))
    *before, behind = gaps
    spare, short = [behind], []
    for number, gap in enumerate(before):
        needed_from = bisect_right(sums, sums[gap.stop] - least_bytes) - 1
        if needed_from < gap.start:
            short.append((sums[gap.stop] - sums[gap.start] - least_bytes, number))
        else:
            spare.append(range(gap.start, needed_from))
    heapq.heapify(short)
    return spare, short


def _give(spare: list[range], short: list[tuple[int, int]], sizes: Sequence[int]) -> dict[int, list[int]]:
    """Give spare entries to short gaps, by their number: the largest to what lacks most, so few have to move."""
    given: dict[int, list[int]] = {}
    if not short:
        return given
    for entry in sorted(chain.from_iterable(spare), key=sizes.__getitem__, reverse=True):
        if not short or not sizes[entry]:
            break
        lack, number = short[0]
        given.setdefault(number, []).append(entry)
        if lack + sizes[entry] < 0:
            heapq.heapreplace(short, (lack + sizes[entry], number))
        else:
            heapq.heappop(short)
    return given


def _built_bytes(order: Iterable[int], sizes: Sequence[int], least_bytes: int) -> int:
    """Bytes that have to be built where entries lie in this order, records not counted."""
    built = gap = 0
    for entry in order:
        gap += sizes[entry]
        if sizes[entry] >= least_bytes and gap >= 2 * least_bytes:
            built += max(gap - sizes[entry], least_bytes)
            gap = 0
    return built + gap
