"""A real Prometheus on a loopback port, scraping the local cluster as the chart's example tells it to."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.errors import ClusterError
from lab.cluster.layout import PROJECT
from lab.cluster.processes import answers, wait_until
from lab.operator.process import free_port

CHART_FILES = PROJECT / "charts/bertfinetune-operator/files"
JOBS = CHART_FILES / "prometheus/scrape-configs.yaml"
RULES = CHART_FILES / "rules/bertfinetune.yaml"
INTERVAL = 2  # seconds between scrapes and between evaluations of the rules
EXPORTER_JOB = "npu-exporter"


@dataclass(frozen=True)
class Prometheus:
    """A server that answers questions."""

    url: str

    def ask(self, path: str, **parameters: Any) -> Any:
        """What the HTTP API answers; a query that it refuses is an error with its reason."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}") as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ClusterError(f"{path} {parameters}: {json.load(error)['error']}") from None

    def instant(self, expr: str, at: float) -> dict[str, Any]:
        """The answer at a Unix time: resultType and result."""
        return self.ask("query", query=expr, time=at)

    def between(self, expr: str, start: float, end: float, step: float) -> dict[str, Any]:
        """The answer over a time range, a value each `step` seconds."""
        return self.ask("query_range", query=expr, start=start, end=end, step=step)


def jobs(discovery: str) -> list[dict[str, Any]]:
    """The chart's scrape jobs, which find pods at the URL of `discovery.serve` instead of asking Kubernetes."""
    scrape_configs = yaml.safe_load(JOBS.read_text())
    for job in scrape_configs:
        (asked,) = job.pop("kubernetes_sd_configs")
        assert asked["role"] == "pod"
        namespaces = ",".join(asked.get("namespaces", {}).get("names", ()))
        job["http_sd_configs"] = [{"url": discovery + namespaces, "refresh_interval": f"{INTERVAL}s"}]
    return scrape_configs


def of_one_cluster(scrape_configs: list[dict[str, Any]], cluster: str) -> list[dict[str, Any]]:
    """The same jobs where several clusters share a Prometheus, and the npu-exporter has a ServiceMonitor of its own.

    That one sets the target's namespace and pod, and the exporter's own become exported_namespace.
    """
    scrape_configs = deepcopy(scrape_configs)
    for job in scrape_configs:
        job["relabel_configs"].append({"target_label": "cluster", "replacement": cluster})
        if job["job_name"] == EXPORTER_JOB:
            job["honor_labels"] = False
            for name in ("namespace", "pod_name"):
                label = {"source_labels": [f"__meta_kubernetes_{name}"], "target_label": name.removesuffix("_name")}
                job["relabel_configs"].append(label)
    return scrape_configs


@contextmanager
def serve(folder: Path, scrape_configs: Sequence[Mapping[str, Any]]) -> Iterator[Prometheus]:
    """A Prometheus with the chart's rules and these jobs, with its data in an empty folder, until the block ends."""
    program = shutil.which("prometheus")
    if not program:
        raise ClusterError("prometheus is not on PATH: run make test-node, which puts it there")
    configuration = {
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": scrape_configs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    ready = f"http://{address}/-/ready"
    command = [program, f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    log = folder / "prometheus.log"
    with log.open("w") as output:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=output, stdout=output)
    try:
        if not wait_until(lambda: process.poll() is not None or answers(ready), 30) or process.poll() is not None:
            raise ClusterError(f"prometheus does not start:\n{log.read_text()}")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)
