"""What the benchmark tells: tables for people, one line of JSON for programs. Pure functions of the measurements."""

import json
import statistics
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from lab.bench.trainer.programs import Measured

SHOWN_OPERATIONS = 15


class Duel(NamedTuple):
    """The same job done by another program and by ours, in turns."""

    other: List[Measured]
    ours: List[Measured]

    def medians(self, field: str) -> Tuple[float, float]:
        """Returns the median over the turns of a field of Measured, the other's and ours."""
        both = [statistics.median(getattr(turn, field) for turn in turns) for turns in self]
        return both[0], both[1]

    def ratio(self, field: str) -> float:
        """Returns how many times more the other needs."""
        other, ours = self.medians(field)
        return other / ours

    def peaks(self) -> Tuple[float, float]:
        """Returns the largest memory of any turn, in megabytes, the other's and ours."""
        both = [max(turn.peak_rss_mb for turn in turns) for turns in self]
        return both[0], both[1]


class Duels(NamedTuple):
    """All that was measured: steps of two models, and the smaller one's whole fine-tuning; steps beside PyTorch's."""

    small: Duel
    base: Duel
    whole: Duel
    small_pytorch: Duel
    base_pytorch: Duel


class Limit(NamedTuple):
    """A step of matrix products only: its seconds, what it computes, and at which rate this machine computes it."""

    seconds: float
    gflop: float
    gflops: float
    tokens: float


def comparison(duels: Duels) -> str:
    """Returns the table of the reference's and our times and memory."""
    return _compared(
        "reference",
        [
            ("ms/step, 6x384", *duels.small.medians("ms_per_step")),
            ("ms/step, BERT-Base", *duels.base.medians("ms_per_step")),
            ("start to final metric, 6x384, s", *duels.whole.medians("seconds")),
            ("start to first finished step, 6x384, s", *duels.small.medians("start_seconds")),
            ("start to first finished step, BERT-Base, s", *duels.base.medians("start_seconds")),
            ("peak memory, 6x384, MB", *_peaks(duels.small, duels.whole)),
            ("peak memory, BERT-Base, MB", *duels.base.peaks()),
        ],
    )


def beside_pytorch(duels: Duels) -> str:
    """Returns the table of PyTorch's and our times and memory."""
    return _compared(
        "PyTorch",
        [
            ("ms/step, 6x384", *duels.small_pytorch.medians("ms_per_step")),
            ("ms/step, BERT-Base", *duels.base_pytorch.medians("ms_per_step")),
            ("peak memory, 6x384, MB", *duels.small_pytorch.peaks()),
            ("peak memory, BERT-Base, MB", *duels.base_pytorch.peaks()),
        ],
    )


def limits(duels: Duels, small: Limit, base: Limit) -> str:
    """Returns how far a step is from one that does nothing but the products of its weights and its attention."""
    rows = []
    for name, duel, limit in (("6x384", duels.small, small), ("BERT-Base", duels.base, base)):
        reference, ours = duel.medians("ms_per_step")
        floor = 1000 * limit.seconds
        numbers = (limit.gflop, limit.gflops, floor, ours)
        rows.append((name, *map(_number, numbers), f"{floor / ours:.0%}", f"{reference / floor:.2f}"))
    header = ("", "GFLOP/step", "GFLOP/s here", "ms/step at that rate", "ours", "of it products", "limit of the ratio")
    return table(header, rows)


def operations(milliseconds: float, types: Sequence[Tuple[str, float]]) -> str:
    """Returns where one step of ours goes; operations overlap, so their sum may exceed the step."""
    total = sum(spent for _, spent in types)
    rest = sum(spent for _, spent in types[SHOWN_OPERATIONS:])
    rows = [*types[:SHOWN_OPERATIONS], ("all others", rest), (f"sum, in a step of {milliseconds:.0f} ms", total)]
    return table(("operation", "ms", "share"), [(name, f"{ms:.1f}", f"{ms / total:.1%}") for name, ms in rows])


def phases(measured: Measured) -> str:
    """Returns where a whole run of ours goes."""
    named = sum(measured.phases.values())
    rows = [*measured.phases.items(), ("outside of them", measured.seconds - named)]
    return table(("phase", "s", "share"), [(n, f"{s:.1f}", f"{s / measured.seconds:.1%}") for n, s in rows])


def last_line(duels: Duels) -> str:
    """Returns the benchmark's result: times and memory are ours with the 6x384 model."""
    result: Dict[str, Any] = {
        "bench": "trainer",
        "step_ratio": round(duels.small.ratio("ms_per_step"), 2),
        "step_ratio_base": round(duels.base.ratio("ms_per_step"), 2),
        "end_to_end_ratio": round(duels.whole.ratio("seconds"), 2),
        "start_seconds": round(duels.small.medians("start_seconds")[1], 2),
        "peak_rss_mb": round(_peaks(duels.small, duels.whole)[1]),
        "pytorch_ratio": round(duels.small_pytorch.ratio("ms_per_step"), 2),
        "pytorch_ratio_base": round(duels.base_pytorch.ratio("ms_per_step"), 2),
    }
    return json.dumps(result)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table in columns of equal width, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))
        return "| " + " | ".join((cells[0].ljust(widths[0]), *others)) + " |"

    rule = line(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join([line(header), rule, *map(line, rows)])


def _compared(other: str, rows: Sequence[Tuple[str, float, float]]) -> str:
    """Returns the table of another program's numbers and ours, and how many times ours the other's are."""
    cells = [(name, _number(theirs), _number(ours), f"{theirs / ours:.2f}") for name, theirs, ours in rows]
    return table(("", other, "ours", "ratio"), cells)


def _peaks(*duels: Duel) -> Tuple[float, float]:
    other, ours = zip(*(duel.peaks() for duel in duels))
    return max(other), max(ours)


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
