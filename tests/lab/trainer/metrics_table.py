"""The trainer's metrics as a document, from their registry: `python tests/lab/trainer/metrics_table.py` writes it."""

import time
from pathlib import Path

from bert_trainer.reporting.telemetry import Telemetry

DOCUMENT = Path(__file__).parents[3] / "trainer_image" / "docs" / "metrics.md"
START = """\
# Metrics of the trainer

What `/metrics` of a trainer pod serves: Prometheus' text format or, for who asks for it, OpenMetrics. There, each
bucket of the step duration names the last step that fell into it. A series is absent while its value is unknown, and a
score where the task has none of that name.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
"""


def telling() -> Telemetry:
    """Returns the telemetry of a run that has a value for each metric."""
    run = Telemetry("cpu", "MRPC", started=time.monotonic() - 5.0)
    run.start(140, 343, epochs=3.0)
    for step, seconds in ((141, 30.0), (142, 2.0), (143, 1.0), (144, 0.5)):
        run.step(step, 0.43219, seconds, 32, learning_rate=1.5e-5)
    run.evaluated({"accuracy": 0.81, "f1": 0.87, "matthews": 0.55, "collapsed": False})
    return run


def document() -> str:
    """Returns the whole document."""
    rows = []
    for family in sorted(telling().registry.collect(), key=lambda family: family.name):
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        names = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{family.name}` | {family.type} | {names} | {family.documentation} |\n")
    return START + "".join(rows)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
