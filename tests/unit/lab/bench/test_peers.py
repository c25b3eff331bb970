"""Who can be compared with, and that make builds what each needs."""

import subprocess

import pytest
import yaml

from lab.bench.operator import kubeflow_trainer
from lab.bench.operator.__main__ import CHOICES, parse
from lab.bench.operator.controllers import PEER_CERTIFICATES
from lab.bench.operator.kubeflow_trainer import CONFIGURATION, Installation
from lab.bench.operator.objects import CONFIG, Raw
from lab.bench.operator.peers import PEERS
from lab.bench.operator.results import TITLES
from lab.cluster import installed
from lab.cluster.layout import PROJECT


def made(*words: str) -> str:
    """What make would run for the benchmark."""
    command = ("make", "--dry-run", "--no-print-directory", "bench-operator", *words)
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout


@pytest.mark.parametrize("choice", CHOICES)
def test_make_builds_the_peers_that_take_part(choice: str) -> None:
    recipe = made(f"PEER={choice}")
    [built] = [line.split(" kwok")[1].split() for line in recipe.splitlines() if " kwok" in line]
    assert built == list(CHOICES[choice])
    for module in built:
        assert (PROJECT / "tests/lab/cluster/go" / module / "go.mod").exists()
    assert f"--peer={choice} " in recipe
    assert parse([f"--peer={choice}"]).peers == tuple(built)


def test_makes_default_is_the_programs() -> None:
    assert f"--peer={parse([]).peer} " in made()


def test_the_help_names_all_choices() -> None:
    line = next(line for line in (PROJECT / "Makefile").read_text().splitlines() if line.startswith("bench-operator:"))
    assert f"[PEER={'|'.join(CHOICES)}]" in line


def test_every_peer_has_a_title() -> None:
    assert TITLES.keys() == PEERS.keys()


def manifests(namespace: str, name: str) -> list[Raw]:
    """The parts of an installation that the benchmark reads, in the shape that both modules have."""
    pod = {
        "serviceAccountName": name,
        "containers": [{"args": ["--config=/controller_manager_config.yaml", "--zap-log-level=2"]}],
        "volumes": [{"name": "config", "configMap": {"name": "c"}}, {"name": "cert", "secret": {"secretName": "s"}}],
    }
    config = {"kind": "Configuration", "leaderElection": {"leaderElect": True}, "metrics": {"bindAddress": ":8443"}}
    hook = {"clientConfig": {"service": {"name": "hooks", "namespace": namespace}}}
    return [
        {"kind": "ConfigMap", "metadata": {"name": "public"}, "data": {"version": "v1"}},
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {CONFIGURATION: yaml.safe_dump(config)}},
        {"kind": "Service", "metadata": {"name": "metrics"}, "spec": {"ports": []}},
        {"kind": "Service", "metadata": {"name": "hooks"}, "spec": {"selector": {"a": "b"}}},
        {
            "kind": "Deployment",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"template": {"spec": pod}},
        },
        {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "v"}, "webhooks": [hook]},
    ]


def jobset() -> Installation:
    return Installation(
        "jobset",
        "127.0.0.2",
        kubeflow_trainer.FOLDER / "own",
        manifests("jobset-system", "jobset-controller-manager"),
    )


def trainer() -> Installation:
    objects = manifests("kubeflow-system", "kubeflow-trainer-controller-manager")
    return Installation("trainer-controller-manager", "127.0.0.3", PEER_CERTIFICATES, objects)


def test_a_process_is_what_its_manifests_say() -> None:
    one = jobset()
    program, config, *further = one.process.argv
    assert program.endswith("/.build/bin/jobset")
    assert config == f"--config={kubeflow_trainer.FOLDER}/jobset.yaml"
    assert further == ["--zap-log-level=2"]
    assert (one.namespace, one.secret, one.service) == ("jobset-system", "s", "hooks")


def test_the_configuration_keeps_what_need_not_differ() -> None:
    config = jobset().configuration
    assert config["kind"] == "Configuration"
    assert config["leaderElection"] == {"leaderElect": True, "resourceNamespace": "jobset-system"}
    assert config["webhook"] == {
        "host": "127.0.0.2",
        "port": 443,
        "certDir": str(kubeflow_trainer.FOLDER / "own"),
    }
    assert "certDir" not in trainer().configuration["webhook"], "Trainer refuses fields that it does not know"


def test_the_webhooks_lead_to_the_process() -> None:
    one = jobset()
    objects = installed.without_pods(one.manifests, one.service, one.address)
    services = {raw["metadata"]["name"]: raw["spec"] for raw in objects if raw["kind"] == "Service"}
    assert services == {"metrics": {"ports": []}, "hooks": {"type": "ExternalName", "externalName": "127.0.0.2"}}
    assert "Deployment" not in {raw["kind"] for raw in objects}


def test_the_audit_log_is_about_both_users() -> None:
    rules = yaml.safe_load((CONFIG / "audit.yaml").read_text())["rules"]
    assert {jobset().user, trainer().user} < set(rules[1]["users"])
