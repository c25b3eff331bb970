"""What a trainer of somebody's own image can do to the Prometheus that scrapes it."""

import yaml

from support.helm import CHART, OPERATOR, render


def test_a_trainer_speaks_for_itself_only() -> None:
    objects = render(**{"monitoring.podMonitor.enabled": True})
    monitor = objects["PodMonitor", "system", f"{OPERATOR}-trainers"]["spec"]
    assert monitor["sampleLimit"] == 1000
    for endpoint in monitor["podMetricsEndpoints"]:
        assert not endpoint.get("honorLabels", False)
    configs = yaml.safe_load((CHART / "files/prometheus/scrape-configs.yaml").read_text())
    [trainers] = [config for config in configs if config["job_name"] == "bertfinetune-trainers"]
    assert trainers["sample_limit"] == 1000
    assert not trainers.get("honor_labels", False)
