"""The tests of this folder run without TensorFlow, whose import alone takes seconds."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

from support.trainer.downloads import at_once  # noqa: F401
from support.trainer.fetching import as_before, flags, server  # noqa: F401
from support.trainer.fixtures import corpus  # noqa: F401


class NoTensorFlow(MetaPathFinder):
    """Refuses TensorFlow to whatever a test imports."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname.partition(".")[0] in ("tensorflow", "tensorflow_core"):
            raise ImportError("tests/unit/trainer does without TensorFlow; a test that needs it belongs to tests/graph")


sys.meta_path.insert(0, NoTensorFlow())
