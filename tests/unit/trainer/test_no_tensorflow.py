"""The rule of this folder."""

import importlib

import pytest


@pytest.mark.parametrize(
    "module", ["tensorflow", "tensorflow.compat.v1", "bert_trainer.training.run", "bert.run_classifier"]
)
def test_tensorflow_is_out_of_reach(module: str) -> None:
    with pytest.raises(ImportError, match="a test that needs it belongs to tests/graph"):
        importlib.import_module(module)
