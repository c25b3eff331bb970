"""What tests of whole runs share: a tiny model, a tiny task, and the flags of a run on them."""

from pathlib import Path
from typing import Callable, List

import pytest

from bert_trainer.program import quiet_tensorflow

quiet_tensorflow()

from bert_trainer.config import Config  # noqa: E402
from bert_trainer.reporting.stop import StopRequest  # noqa: E402
from support.trainer import small_bert, small_task  # noqa: E402


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vocabulary, configuration and random weights of 2 layers of 64."""
    return small_bert.write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training and thirteen development pairs."""
    return small_task.write_task(tmp_path_factory.mktemp("data"))


@pytest.fixture
def make_config(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., Config]:
    """Returns a Config of ten steps of eight pairs; keyword arguments replace flags."""
    return lambda **flags: Config(**small_task.flags(model_folder, data_folder, tmp_path / "output", **flags))


@pytest.fixture
def make_arguments(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., List[str]]:
    """Returns the same as command line arguments."""

    def make(**flags: object) -> List[str]:
        return small_task.arguments(small_task.flags(model_folder, data_folder, tmp_path / "output", **flags))

    return make


@pytest.fixture
def signals_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer, run in this process, leaves pytest's signal handlers alone."""
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)
