"""``python -m lab.bench.operator.page``: the page of the operator's cost, with the newest records between its marks."""

from collections.abc import Iterable

from lab.bench.operator import record, report
from lab.bench.operator.record import Record
from lab.bench.operator.results import TITLES
from lab.cluster.layout import PROJECT

PAGE = PROJECT / "operator" / "docs" / "performance.md"
BEGIN = "<!-- from tests/lab/bench/operator/results.jsonl, by make generate -->"
END = "<!-- end of what is generated -->"


def page(text: str, records: Iterable[Record]) -> str:
    """The page's text with these records; what is around the marks stays."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    sections = "\n\n".join(map(section, record.newest(records)))
    return f"{before}{BEGIN}\n\n{sections}\n\n{END}{after}"


def section(run: Record) -> str:
    """All that one run printed."""
    measured = run.measured
    beside = " and ".join(TITLES[name] for name in measured.peers)
    return "\n\n".join(
        (
            f"### {run.n} objects{f' beside {beside}' if beside else ''}",
            f"{run.date}, commit {run.commit}: {run.machine}.",
            f"```json\n{report.last_line(run.figures)}\n```",
            *(tell(measured) for tell in (report.comparison, report.requests, report.programs)),
            "\n".join(f"- {line}" for line in report.further(measured.ours).splitlines()),
        )
    )


if __name__ == "__main__":
    print(page(PAGE.read_text(), record.read(record.FILE.read_text())), end="")
