"""The ages of the watches."""

from bertfinetune_operator.informer.watches import PATIENCE, Watches
from bertfinetune_operator.kinds import BERTFINETUNES, PODS


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_heard_makes_a_watch_young() -> None:
    clock = Clock()
    watches = Watches([PODS, BERTFINETUNES], ["a"], 10, clock)
    assert watches.age("pods") == 0
    watches.start()
    clock.now = 120
    assert watches.age("pods") == watches.age("bertfinetunes") == 20
    watches.hear(PODS.path("a"))
    clock.now = 131
    assert (watches.age("pods"), watches.failure()) == (11, "the watch of bertfinetunes has been silent for 31 s")


def test_of_several_namespaces_the_most_silent_one_counts() -> None:
    clock = Clock()
    watches = Watches([PODS], ["a", "b"], 10, clock)
    watches.start()
    clock.now += 10 * PATIENCE
    watches.hear(PODS.path("b"))
    assert watches.age("pods") == 10 * PATIENCE
    assert watches.failure() == ""
    clock.now += 0.1
    assert watches.failure() == "the watch of pods has been silent for 30 s"
