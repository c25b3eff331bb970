import os
import re
import subprocess
import sys

import pytest

from bertfinetune_operator.api.pods import EnvVar, Toleration
from bertfinetune_operator.errors import SettingsError
from bertfinetune_operator.settings import Settings

TOLERATIONS = (Toleration(key="npu", operator="Exists"),)
LABELS = {"team": "nlp", "kueue.x-k8s.io/priority-class": "low"}
IMAGES = {"BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "a", "BERTFINETUNE_TRAINER_IMAGE_CPU": "c"}


def test_environment_is_read_and_typed() -> None:
    settings = Settings.from_environ(
        IMAGES | {"BERTFINETUNE_METRICS_PORT": "1234", "BERTFINETUNE_PROGRESS_INTERVAL": "0.5"}
    )
    assert settings == Settings("a", "c", metrics_port=1234, progress_interval=0.5)
    assert not settings.leader_election  # it is for one process, run by hand
    assert settings.watch_namespaces == ()
    assert (settings.trainer_image("Ascend910"), settings.trainer_image("CPU")) == ("a", "c")
    assert settings.card() == "huawei.com/Ascend910"  # a chart that knows none of the newer settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TRAINER_IMAGE_PULL_SECRETS", "site, team", ("site", "team")),
        ("TRAINER_NODE_SELECTOR_ASCEND910", '{"host-arch": "huawei-arm"}', {"host-arch": "huawei-arm"}),
        ("TRAINER_NODE_SELECTOR_CPU", "{}", {}),
        ("TRAINER_LABELS", '{"team": "nlp", "kueue.x-k8s.io/priority-class": "low"}', LABELS),
        ("TRAINER_ANNOTATIONS", '{"karpenter.sh/do-not-disrupt": "true"}', {"karpenter.sh/do-not-disrupt": "true"}),
        ("TRAINER_IMAGE_PULL_POLICY", "Never", "Never"),
        ("TRAINER_TOLERATIONS_ASCEND910", '[{"key": "npu", "operator": "Exists"}]', TOLERATIONS),
        ("TRAINER_TOLERATIONS_CPU", "[]", ()),
        ("TRAINER_PRIORITY_CLASS_NAME", "training", "training"),
        ("TRAINER_ENV", '[{"name": "TZ", "value": "UTC"}]', (EnvVar(name="TZ", value="UTC"),)),
        ("TRAINER_TTL_SECONDS_AFTER_FINISHED", "0", 0),
        ("TRAINER_TTL_SECONDS_AFTER_FINISHED", "", None),
        ("LOG_LEVEL", "debug", "debug"),
        ("LOG_FORMAT", "text", "text"),
        ("TRAINER_POD_SECURITY_CONTEXT", '{"runAsNonRoot": true, "runAsUser": null}', {"runAsNonRoot": True}),
        ("ASCEND_RUNTIME_CLASS_NAME", "ascend", "ascend"),
        ("ASCEND_RESOURCE", "huawei.com/Ascend910A", "huawei.com/Ascend910A"),
        ("ASCEND_VIRTUAL_DEVICES", '{"2c": "example.com/a-2.x"}', {"2c": "example.com/a-2.x"}),
        ("ASCEND_DRIVER", "hostPath", "hostPath"),
        ("ASCEND_DEVICE_GROUPS", "1000, 2000", (1000, 2000)),
        ("ASCEND_DEVICE_GROUPS", "", ()),
        ("ASCEND_CARD_ADDRESSES", "false", False),
        ("DEFAULT_SCHEDULER_NAME", "volcano", "volcano"),
        ("DEFAULT_QUEUE", "", ""),
        ("LEADER_ELECTION", "false", False),
    ],
)
def test_a_setting_is_read(name: str, text: str, value: object) -> None:
    assert getattr(Settings.from_environ(IMAGES | {f"BERTFINETUNE_{name}": text}), name.lower()) == value


@pytest.mark.parametrize(
    ("share", "resource"),
    [(None, "example.com/npu"), ("2c", "huawei.com/Ascend910-5c.1cpu.8g"), ("16c", "example.com/npu-16c")],
)
def test_a_share_is_called_after_the_card_unless_it_is_listed(share: str | None, resource: str) -> None:
    listed = {"2c": "huawei.com/Ascend910-5c.1cpu.8g"}
    settings = Settings("a", "c", ascend_resource="example.com/npu", ascend_virtual_devices=listed)
    assert settings.card(share) == resource
    assert resource in settings.cards
    assert len(settings.cards) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ()), ("a", ("a",)), (" b, a ,,b", ("b", "a"))],
)
def test_namespaces_are_separated_by_commas(text: str, expected: tuple[str, ...]) -> None:
    assert Settings.from_environ(IMAGES | {"BERTFINETUNE_WATCH_NAMESPACES": text}).watch_namespaces == expected


def test_leader_election_is_set_with_its_lease() -> None:
    lease = {"LEADER_ELECTION": "True", "NAMESPACE": "system", "LEASE_NAME": "release", "POD_NAME": "pod-1"}
    settings = Settings.from_environ(IMAGES | {f"BERTFINETUNE_{name}": value for name, value in lease.items()})
    assert settings.leader_election
    assert (settings.namespace, settings.lease_name, settings.pod_name) == ("system", "release", "pod-1")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "BERTFINETUNE_TRAINER_IMAGE_ASCEND910 is not set"),
        (IMAGES | {"BERTFINETUNE_WORKERS": "four"}, "BERTFINETUNE_WORKERS='four': Input should be a valid integer"),
        (
            IMAGES | {"BERTFINETUNE_LEADER_ELECTION": "yes"},
            "BERTFINETUNE_LEADER_ELECTION='yes': neither true nor false",
        ),
        (IMAGES | {"BERTFINETUNE_LEADER_ELECTION": "true"}, "BERTFINETUNE_NAMESPACE is not set: leader election needs"),
        (IMAGES | {"BERTFINETUNE_WATCH_NAMESPACES": "a,dev-*"}, r"'dev-\*' is not the name of a namespace"),
        (IMAGES | {"BERTFINETUNE_ASCEND_RESOURCE": "Ascend910"}, "^BERTFINETUNE_ASCEND_RESOURCE=.*: write domain/name"),
        (IMAGES | {"BERTFINETUNE_ASCEND_RESOURCE": ""}, "'' is no extended resource: write domain/name"),
        (IMAGES | {"BERTFINETUNE_ASCEND_VIRTUAL_DEVICES": '{"3c": "a.b/c"}'}, "'2c', '4c', '8c' or '16c'"),
        (IMAGES | {"BERTFINETUNE_ASCEND_VIRTUAL_DEVICES": '{"2c": "c"}'}, "_DEVICES=.*'c' is no extended resource"),
        (IMAGES | {"BERTFINETUNE_ASCEND_VIRTUAL_DEVICES": "2c=a.b/c"}, "_DEVICES='2c=a.b/c': Invalid JSON"),
        (IMAGES | {"BERTFINETUNE_ASCEND_DEVICE_GROUPS": "HwHiAiUser"}, "_GROUPS='HwHiAiUser': .*valid integer"),
        (IMAGES | {"BERTFINETUNE_ASCEND_DEVICE_GROUPS": "-1"}, "_GROUPS='-1': .*greater than or equal to 0"),
        (IMAGES | {"BERTFINETUNE_ASCEND_DRIVER": "hostpath"}, "_DRIVER='hostpath': .*'runtime' or 'hostPath'"),
        (IMAGES | {"BERTFINETUNE_TRAINER_NODE_SELECTOR_CPU": '{"a": 1}'}, "_CPU=.*: Input should be a valid string"),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_NODE_SELECTOR_CPU": "[]"},
            "_CPU='\\[\\]': Input should be .*valid dictionary",
        ),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_IMAGE_PULL_SECRETS": "a,B"},
            "'B' is not the name of an object: use lower-case",
        ),
        (IMAGES | {"BERTFINETUNE_DEFAULT_SCHEDULER_NAME": "a b"}, "'a b' is not a name: .*, or leave it empty"),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_LABELS": '{"job-name": "a"}'},
            "job-name is set by the operator, by Kube.*: remove",
        ),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_ANNOTATIONS": '{"kueue.x-k8s.io/queue-name": "a"}'},
            "kueue.x-k8s.io/queue-name is set by .* a setting of its own: remove it",
        ),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_ANNOTATIONS": '{"huawei.com/Ascend910": "Ascend910-0"}'},
            "huawei.com/Ascend910 is set by .* a scheduler .*: remove it",
        ),
        (IMAGES | {"BERTFINETUNE_ASCEND_RUNTIME_CLASS_NAME": "A"}, "RUNTIME_CLASS_NAME='A': 'A' is not a name"),
        (IMAGES | {"BERTFINETUNE_TRAINER_IMAGE_PULL_POLICY": "Once"}, "_POLICY='Once': .*'Always', 'IfNotPresent'"),
        (IMAGES | {"BERTFINETUNE_TRAINER_TOLERATIONS_CPU": '[{"effect": "No"}]'}, "_CPU=.*'NoSchedule'"),
        (IMAGES | {"BERTFINETUNE_TRAINER_ENV": '[{"name": "RANK_ID"}]'}, "RANK_ID is set by the operator: remove it"),
        (
            IMAGES | {"BERTFINETUNE_TRAINER_ENV": '[{"name": "TZ"}, {"name": "TZ"}]'},
            "TZ is given twice: remove one of them",
        ),
        (IMAGES | {"BERTFINETUNE_TRAINER_TTL_SECONDS_AFTER_FINISHED": "-1"}, "_FINISHED='-1': .*than or equal to 0"),
        (IMAGES | {"BERTFINETUNE_LOG_LEVEL": "trace"}, "_LEVEL='trace': Input should be 'debug', 'info', 'warning'"),
        (IMAGES | {"BERTFINETUNE_DEFAULT_QUEUE": "Team"}, "BERTFINETUNE_DEFAULT_QUEUE='Team': 'Team' is not a name"),
    ],
)
def test_bad_environment_names_the_variable(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.from_environ(environ)


def test_the_process_says_in_one_line_what_is_missing() -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("BERTFINETUNE_TRAINER")}
    command = [sys.executable, "-m", "bertfinetune_operator"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "BERTFINETUNE_TRAINER_IMAGE_ASCEND910 is not set" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("layout", "level", "first"),
    [
        ("text", "info", r"\[.+\] kubernetes\S* +\[WARNING *\] Config not found: /nowhere"),
        ("json", "error", "Traceback"),
    ],
)
def test_the_log_is_as_wanted(layout: str, level: str, first: str) -> None:
    """Without a cluster the client warns of what it looked for, before it fails."""
    told = {"BERTFINETUNE_LOG_FORMAT": layout, "BERTFINETUNE_LOG_LEVEL": level, "KUBECONFIG": "/nowhere"}
    command = [sys.executable, "-m", "bertfinetune_operator"]
    done = subprocess.run(
        command, env=os.environ | IMAGES | told, capture_output=True, text=True, check=False, timeout=60
    )
    assert re.match(first, done.stderr)
