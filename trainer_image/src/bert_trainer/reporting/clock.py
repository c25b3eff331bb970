"""Where a run's wall-clock time goes: every second belongs to exactly one phase."""

import contextlib
import time
from typing import Callable, Dict, Iterator, Mapping

PHASES = ("import", "data", "graph", "first_step", "steps", "evaluation", "checkpoint", "shutdown", "export")


class PhaseClock:
    """A stopwatch that always runs for one of PHASES; one thread switches it, any thread reads it."""

    def __init__(self, started: float, now: Callable[[], float] = time.monotonic) -> None:
        """Begins with the first phase at the time `started`, in seconds of the clock `now`."""
        self._now = now
        self._state = (dict.fromkeys(PHASES, 0.0), PHASES[0], started)

    def enter(self, phase: str) -> None:
        """Ends the running phase and begins another."""
        seconds, running, since = self._state
        now = self._now()
        # Replaced as a whole, so that a reader never counts the same second twice.
        self._state = ({**seconds, running: seconds[running] + now - since}, phase, now)

    @contextlib.contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Runs the block in `phase` and goes back to the phase before."""
        before = self._state[1]
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(before)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds what an earlier process of the same run spent."""
        mine, running, since = self._state
        self._state = ({phase: mine[phase] + seconds.get(phase, 0.0) for phase in PHASES}, running, since)

    def seconds(self) -> Dict[str, float]:
        """Returns phase -> seconds until now; their sum is the run's duration."""
        seconds, running, since = self._state
        return {**seconds, running: seconds[running] + self._now() - since}


def table(seconds: Mapping[str, float]) -> str:
    """Returns the phases that took any time, one a line: seconds and share of the total."""
    total = sum(seconds.values())
    lines = [
        "{:<12}{:>10.1f} s{:>7.1%}".format(phase.replace("_", " "), value, value / total)
        for phase, value in seconds.items()
        if value
    ]
    return "\n".join([*lines, "{:<12}{:>10.1f} s".format("total", total)])
