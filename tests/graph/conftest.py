"""The fixtures of the tests that run TensorFlow."""

from support.trainer.fixtures import corpus  # noqa: F401
from support.trainer.run_fixtures import (  # noqa: F401
    data_folder,
    make_arguments,
    make_config,
    model_folder,
    signals_of_pytest,
)
