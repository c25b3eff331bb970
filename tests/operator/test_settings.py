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
    assert (settings.trainer_image("Ascend910"), settings.trainer_image("CPU")) == ("a", "c")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "BERTFINETUNE_TRAINER_IMAGE_ASCEND910 is not set"),
        ({"BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "a"}, "BERTFINETUNE_TRAINER_IMAGE_CPU is not set"),
        (IMAGES | {"BERTFINETUNE_WORKERS": "four"}, "BERTFINETUNE_WORKERS='four': invalid literal for int"),
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
