"""Fixtures of the trainer's tests: a tiny model, a tiny task, and the real corpus where there is one."""

import os
import sys
from pathlib import Path
from typing import Callable, List

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # the helper modules: importlib mode leaves sys.path alone
settings.register_profile("no deadline", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("no deadline")

from bert_trainer import __main__ as entry  # noqa: E402

entry.quiet_tensorflow()

import small_bert  # noqa: E402

from bert_trainer.config import Config  # noqa: E402


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vocabulary, configuration and random weights of 2 layers of 64."""
    return small_bert.write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training and thirteen development pairs."""
    return small_bert.write_task(tmp_path_factory.mktemp("data"))


@pytest.fixture
def make_config(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., Config]:
    """Returns a Config of ten steps of eight pairs; keyword arguments replace flags."""
    return lambda **flags: Config(**small_bert.flags(model_folder, data_folder, tmp_path / "output", **flags))


@pytest.fixture
def make_arguments(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., List[str]]:
    """Returns the same as command line arguments."""

    def make(**flags: object) -> List[str]:
        values = small_bert.flags(model_folder, data_folder, tmp_path / "output", **flags)
        return [f"--{name}={value}" for name, value in values.items()]

    return make


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of MRPC, or of the sample in its format that ships with the project."""
    root = Path(__file__).resolve().parents[2]
    named = os.environ.get("BERTFINETUNE_MRPC")
    places = (
        [Path(named)]
        if named
        else [root.parent / "shared" / "data" / "MRPC", root / "tests" / "demo" / "paraphrase_sample"]
    )
    return next(place for place in places if (place / "train.tsv").exists())
