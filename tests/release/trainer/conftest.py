"""The fixtures of the tests that run TensorFlow on real weights or for long."""

from support.trainer.fixtures import corpus  # noqa: F401
from support.trainer.run_fixtures import data_folder, model_folder  # noqa: F401
