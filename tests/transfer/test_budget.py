"""The byte budget: never more than there is, a reserve for everyone, and fair when it is scarce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketzip.errors import TooBusy
from bucketzip.transfer.budget import RESERVE_BYTES, STALLED_SECONDS, Budget, Share

MIB = 1 << 20
TOTAL = 16 * MIB


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Client:
    """A download as the budget sees it, with memory it can do without."""

    def __init__(self, budget: Budget) -> None:
        self.woken = 0
        self.spare = 0
        self.share: Share = budget.join(wake=self._wake, shed=self._shed)

    def read_ahead(self, count: int) -> bool:
        granted = self.share.take(count)
        self.spare += count if granted else 0
        return granted

    def fill(self, step: int = MIB) -> None:
        while self.read_ahead(step):
            pass

    def _wake(self) -> None:
        self.woken += 1

    def _shed(self) -> None:
        spare, self.spare = self.spare, 0
        self.share.drop(spare)


def test_one_download_may_have_everything() -> None:
    budget = Budget(TOTAL, now=Clock())
    only = Client(budget)
    only.fill()
    assert budget.used_bytes == TOTAL


def test_a_newcomer_always_has_its_reserve() -> None:
    budget = Budget(TOTAL, now=Clock())
    Client(budget).fill()
    late = Client(budget)
    assert late.read_ahead(RESERVE_BYTES)
    assert budget.hungry == 0
    assert not late.read_ahead(1)
    assert budget.hungry == 1


def test_one_that_stalls_gives_way_to_one_below_its_share() -> None:
    clock = Clock()
    budget = Budget(TOTAL, now=clock)
    hog = Client(budget)
    hog.fill()
    clock.seconds = STALLED_SECONDS * 2
    late = Client(budget)
    late.fill()
    assert late.share.used_bytes >= budget.fair_bytes
    assert hog.share.used_bytes == 0


def test_one_that_moves_is_not_robbed_but_held_to_its_share() -> None:
    clock = Clock()
    budget = Budget(TOTAL, now=clock)
    hog = Client(budget)
    hog.fill()
    late = Client(budget)
    late.fill()
    assert hog.share.used_bytes == TOTAL, "nothing was taken from one that sends"
    assert not late.read_ahead(MIB)
    hog.share.give_back(MIB)
    assert late.woken, "who was refused hears of memory that came free"
    assert not hog.read_ahead(MIB), "above its share, while another is refused"
    assert late.read_ahead(RESERVE_BYTES)


def test_as_many_are_admitted_as_there_are_reserves() -> None:
    budget = Budget(TOTAL, now=Clock())
    clients = [Client(budget) for _ in range(TOTAL // RESERVE_BYTES)]
    with pytest.raises(TooBusy):
        Client(budget)
    clients[0].share.leave()
    Client(budget)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["take", "give", "shed", "wait"]), st.integers(1, 4 * MIB)),
        max_size=200,
    )
)
def test_it_is_never_overdrawn(steps: list[tuple[int, str, int]]) -> None:
    """Whatever clients do, what is used fits the budget, and everyone can have its reserve."""
    clock = Clock()
    budget = Budget(TOTAL, now=clock)
    clients = [Client(budget) for _ in range(6)]
    for who, what, count in steps:
        client = clients[who]
        if what == "take":
            client.read_ahead(count)
        elif what == "give":
            gone = min(count, client.spare)
            client.spare -= gone
            client.share.give_back(gone)
        elif what == "shed":
            client.share.shed()
        else:
            clock.seconds += 0.7
        assert budget.used_bytes <= TOTAL
        assert all(each.share.used_bytes == each.spare for each in clients)
    for client in clients:
        if client.share.used_bytes < RESERVE_BYTES:
            assert client.read_ahead(RESERVE_BYTES - client.share.used_bytes)
    assert budget.used_bytes <= TOTAL
