"""The forward pass of a small model's real weights against the published implementation, from text to logits."""

from pathlib import Path

import pytest

from support.trainer.forward_pass import assert_logits_are_the_reference_s


@pytest.mark.parametrize("name", ["minilm"])
def test_logits_of_real_weights_are_the_reference_s(corpus: Path, name: str) -> None:
    assert_logits_are_the_reference_s(corpus, name)
