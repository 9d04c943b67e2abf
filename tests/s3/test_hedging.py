"""What is late, and how much may be asked for twice: pure."""

import random

from hypothesis import given
from hypothesis import strategies as st

from bucketzip.s3.hedging import ENOUGH, MOST_SAVED, RECENT, Allowance, Usual


def usual(took: list[float]) -> Usual:
    made = Usual(factor=2, least=0.05, unknown=2)
    for seconds in took:
        made.add(seconds)
    return made


def test_nothing_is_known_at_first() -> None:
    assert usual([0.02] * (ENOUGH - 1)).late == 2


def test_late_is_twice_the_ninth_decile() -> None:
    assert usual([0.1] * ENOUGH).late == 0.2
    assert usual([each / 100 for each in range(1, 101)]).late == 2 * 0.91


def test_what_is_quick_is_never_late() -> None:
    assert usual([0.001] * 100).late == 0.05


@given(st.integers(ENOUGH, 500), st.integers(0), st.floats(1, 100))
def test_stragglers_do_not_move_the_measure(count: int, seed: int, slow: float) -> None:
    """Not until every tenth is one."""
    chance = random.Random(seed)
    took = [slow if chance.random() < 0.02 else chance.uniform(0.01, 0.02) for _ in range(count)]
    if sum(each >= 1 for each in took[-RECENT:]) < min(count, RECENT) // 10:
        assert usual(took).late == 0.05


def test_another_usual_is_learned() -> None:
    assert usual([0.02] * RECENT + [0.2] * RECENT).late == 0.4


@given(st.floats(0.001, 0.2), st.lists(st.sampled_from(["earn", "spend", "return"]), max_size=2000))
def test_the_share_is_never_exceeded(share: float, events: list[str]) -> None:
    allowance, earned, out = Allowance(share), 0, 0
    for event in events:
        if event == "earn":
            allowance.earn()
            earned += 1
        elif event == "spend":
            out += allowance.spend()
        elif out:
            allowance.give_back()
            out -= 1
        assert out <= MOST_SAVED + share * earned + 1e-6


def test_no_share_is_nothing_at_all() -> None:
    allowance = Allowance(0)
    for _ in range(1000):
        allowance.earn()
    assert not allowance.spend()
