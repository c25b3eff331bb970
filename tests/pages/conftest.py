"""The copy of the project that the pages' commands run in, and the choice of pages: each test here is of one page."""

from pathlib import Path
from typing import Any

import pytest

from pages import record, sandbox

FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--changed-pages", action="store_true", help="run only the pages that differ from followed.txt")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the pages that are as they were when all of them were last run."""
    if not config.getoption("--changed-pages"):
        return
    chosen = record.pages_to_run()
    unchanged = [item for item in items if item.path.parent == FOLDER and page_of(item) not in chosen]
    config.hook.pytest_deselected(items=unchanged)
    left_out = set(unchanged)
    items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """That no page has changed is no failure."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("--changed-pages"):
        session.exitstatus = pytest.ExitCode.OK


def page_of(item: pytest.Item) -> str:
    """The page that a test is about: its parameter."""
    assert isinstance(item, pytest.Function), item
    parameters: dict[str, Any] = item.callspec.params
    return parameters["page"]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: the root of a copy."""
    return sandbox.make(tmp_path_factory.mktemp("project"))
