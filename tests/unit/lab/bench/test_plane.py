import os

import pytest
import yaml

from lab.bench.operator import plane
from lab.bench.operator.objects import CONFIG, RESULT
from lab.cluster import processes
from lab.cluster.errors import ClusterError


def test_refused_while_a_cluster_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        processes, "running_pid", lambda component: os.getpid() if component.name == "kubelet" else None
    )
    with pytest.raises(ClusterError, match=r"a cluster is up on this machine.*`make cluster-down` first"):
        plane.check_machine()


def test_the_stages_hold_the_trainers_words() -> None:
    stages = list(yaml.safe_load_all(plane.stages()))
    assert [stage["metadata"]["name"] for stage in stages] == ["get-ready", "run", "end", "delete"]
    [end] = [stage for stage in stages if stage["metadata"]["name"] == "end"]
    assert f"message: '{RESULT}'" in end["spec"]["next"]["statusTemplate"]


def test_the_audit_policy_writes_down_the_controllers() -> None:
    rules = yaml.safe_load((CONFIG / "audit.yaml").read_text())["rules"]
    about = [rule for rule in rules if plane.CONTROLLER in rule.get("users", ())]
    assert len(about) == 2
    assert about[0]["users"] == about[1]["users"]
    assert rules[-1] == {"level": "None"}
