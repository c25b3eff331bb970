import os
import subprocess
import sys

import pytest

from bertfinetune_operator.errors import SettingsError
from bertfinetune_operator.settings import Settings

IMAGES = {"BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "a", "BERTFINETUNE_TRAINER_IMAGE_CPU": "c"}


def test_environment_is_read_and_typed() -> None:
    settings = Settings.from_environ(
        IMAGES | {"BERTFINETUNE_METRICS_PORT": "1234", "BERTFINETUNE_PROGRESS_INTERVAL": "0.5"}
    )
    assert settings == Settings("a", "c", metrics_port=1234, progress_interval=0.5)
    assert not settings.leader_election  # it is for one process, run by hand
    assert settings.watch_namespaces == ()
    assert (settings.trainer_image("Ascend910"), settings.trainer_image("CPU")) == ("a", "c")


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
        ({"BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "a"}, "BERTFINETUNE_TRAINER_IMAGE_CPU is not set"),
        (IMAGES | {"BERTFINETUNE_WORKERS": "four"}, "BERTFINETUNE_WORKERS='four': invalid literal for int"),
        (
            IMAGES | {"BERTFINETUNE_LEADER_ELECTION": "yes"},
            "BERTFINETUNE_LEADER_ELECTION='yes': neither true nor false",
        ),
        (IMAGES | {"BERTFINETUNE_LEADER_ELECTION": "true"}, "BERTFINETUNE_NAMESPACE is not set: leader election needs"),
        (IMAGES | {"BERTFINETUNE_WATCH_NAMESPACES": "a,dev-*"}, r"'dev-\*' is not the name of a namespace"),
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
