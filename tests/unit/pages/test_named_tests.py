"""The tests that pages name as their proof are there."""

import re

import pytest

from lab.cluster.layout import PROJECT
from pages.markdown import pages

NAMED = sorted(
    {
        (page, *named)
        for page in pages()
        for named in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (PROJECT / page).read_text())
    }
)


@pytest.mark.parametrize(("page", "path", "test"), NAMED)
def test_a_named_test_is_there(page: str, path: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (PROJECT / path).read_text(), re.MULTILINE), page


def test_there_are_such_pages() -> None:
    assert {"operator/docs/security.md", "trainer_image/README.md"} <= {page for page, _, _ in NAMED}
