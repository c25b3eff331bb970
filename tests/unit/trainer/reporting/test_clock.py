"""Every second of a run belongs to one phase."""

from typing import Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.reporting.clock import PHASES, PhaseClock, table


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spent(clock: PhaseClock) -> Dict[str, float]:
    return {phase: seconds for phase, seconds in clock.seconds().items() if seconds}


def test_phases_follow_each_other_and_nest() -> None:
    hand = Hand()
    clock = PhaseClock(97.0, hand)
    clock.enter("graph")
    hand.now += 5.0
    clock.enter("steps")
    hand.now += 10.0
    with clock.during("evaluation"):
        hand.now += 2.0
        with clock.during("checkpoint"):
            hand.now += 1.0
        hand.now += 2.0
    hand.now += 0.5
    assert spent(clock) == {"import": 3.0, "graph": 5.0, "steps": 10.5, "evaluation": 4.0, "checkpoint": 1.0}
    clock.add({"steps": 100.0, "a phase of another version": 7.0})
    assert spent(clock)["steps"] == 110.5
    assert tuple(clock.seconds()) == PHASES


def test_a_failure_ends_its_phase() -> None:
    hand = Hand()
    clock = PhaseClock(100.0, hand)

    def fail() -> None:
        with clock.during("export"):
            hand.now += 1.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    hand.now += 2.0
    assert spent(clock) == {"import": 2.0, "export": 1.0}


@given(st.lists(st.tuples(st.sampled_from(PHASES), st.integers(0, 1000))))
def test_the_sum_of_the_phases_is_the_duration(switches: List[Tuple[str, int]]) -> None:
    hand = Hand()
    clock = PhaseClock(60.0, hand)
    for phase, seconds in switches:
        clock.enter(phase)
        hand.now += seconds
    assert sum(clock.seconds().values()) == hand.now - 60.0


def test_the_table() -> None:
    assert table({"import": 2.0, "graph": 0.0, "first_step": 8.0}).splitlines() == [
        "import             2.0 s  20.0%",
        "first step         8.0 s  80.0%",
        "total             10.0 s",
    ]
