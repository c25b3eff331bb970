"""The copy of the project that the pages' commands run in."""

from pathlib import Path

import pytest

from docs import sandbox


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: the root of a copy."""
    return sandbox.make(tmp_path_factory.mktemp("project"))
