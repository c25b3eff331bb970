"""Operator and trainer share no package, so they share a text: the two contract.py are equal below their docstrings."""

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TWINS = (
    PROJECT / "operator/src/bertfinetune_operator/contract.py",
    PROJECT / "trainer_image/src/bert_trainer/contract.py",
)


def body(source: str) -> str:
    """The text below the module docstring."""
    docstring = ast.parse(source).body[0]
    assert isinstance(docstring, ast.Expr)
    assert docstring.end_lineno
    return "\n".join(source.splitlines()[docstring.end_lineno :])


def test_twins_are_equal() -> None:
    operator, trainer = (twin.read_text() for twin in TWINS)
    assert body(operator) == body(trainer)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.parent.name)
def test_twins_are_plain_constants_that_python_3_7_reads(twin: Path) -> None:
    module = ast.parse(twin.read_text(), feature_version=(3, 7))
    assert all(isinstance(node, ast.Expr | ast.Assign) for node in module.body)
    assert not [node for node in ast.walk(module) if isinstance(node, ast.Call | ast.Import | ast.ImportFrom)]


def test_there_is_no_package_that_shadows_the_standard_library() -> None:
    assert "operator" in sys.modules
    folders = [PROJECT / "operator", *(PROJECT / "tests").rglob("operator")]
    assert len(folders) > 3
    assert [folder for folder in folders if (folder / "__init__.py").exists()] == []
