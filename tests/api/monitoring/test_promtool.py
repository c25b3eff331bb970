"""What promtool says of the alerts and recording rules, of their cases, and of the simulated card exporter."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lab.ascend.npu_exporter import cards
from lab.ascend.npu_exporter.cards import Holder
from lab.cluster.layout import PROJECT

RULES = PROJECT / "charts/bertfinetune-operator/files/rules/bertfinetune.yaml"
CASES = sorted((PROJECT / "tests/api/monitoring/rules").glob("*.test.yaml"))


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], check=False, capture_output=True, text=True, input=text)


def test_it_finds_nothing_in_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_the_cases_of(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


class Node(Collector):
    """A node with a card at work and a card at fault."""

    def collect(self) -> list[GaugeMetricFamily]:
        return list(cards.families({"Ascend910-3": Holder("team-a", "mrpc", "trainer")}, {"Ascend910-5"}, 1.8e9))


def test_it_can_read_the_simulated_exporter() -> None:
    """Its linter dislikes the vendor's names and help texts; only what Prometheus could not read is an error."""
    registry = CollectorRegistry()
    registry.register(Node())
    assert "error while linting" not in promtool("check", "metrics", text=generate_latest(registry).decode()).stderr
    assert "error while linting" in promtool("check", "metrics", text="npu_chip_info_power{ 1\n").stderr
