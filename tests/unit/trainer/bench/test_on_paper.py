"""The page about the speed on a card says what its derivation computes."""

import pytest

from lab.bench.trainer import on_paper
from lab.bench.trainer.on_paper import BASE, LARGE, PACKED_ROWS, PADDED_ROWS, Size, parameters, products, step


def test_the_page_has_the_table_that_is_computed() -> None:
    text = on_paper.PAGE.read_text()
    assert text == on_paper.document(text), "PYTHONPATH=tests python -m lab.bench.trainer.on_paper"


def test_parameters_are_those_of_the_published_models() -> None:
    assert (parameters(BASE), parameters(LARGE)) == (109_482_240, 335_141_888)  # Devlin et al.: 110 and 340 million


def test_products() -> None:
    hidden, tokens = 768, 4096
    layer = tokens * (24 * hidden**2 + 4 * 128 * hidden)
    assert products(BASE, PADDED_ROWS, whole_last_layer=True) == 3 * 12 * layer
    assert products(BASE, PADDED_ROWS, whole_last_layer=False) < 3 * 11.2 * layer


@pytest.mark.parametrize("config", [BASE, LARGE])
def test_each_change_saves_something(config: Size) -> None:
    reference, padded = (step(config, PADDED_ROWS, ours=ours) for ours in (False, True))
    packed, fused = (step(config, PACKED_ROWS, ours=True, fused=fused) for fused in (False, True))
    assert reference.total > padded.total > packed.total > fused.total
    assert fused.products == pytest.approx(padded.products / 2, rel=0.02)
