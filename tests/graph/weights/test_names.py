"""Names: every variable of a configuration is produced exactly once, and with the shape that Google's code declares."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_weights.names import from_hugging_face
from bert_weights.sources import BERT_BASE_CONFIG
from support.trainer.tiny_bert import Config, google_shapes, hugging_face_state, tiny_config

MINILM_CONFIG = dict(BERT_BASE_CONFIG, hidden_size=384, intermediate_size=1536, num_hidden_layers=6)


@given(st.integers(0, 13), st.integers(1, 3), st.integers(1, 5))
def test_every_variable_is_produced_exactly_once(layers: int, hidden: int, intermediate: int) -> None:
    config = tiny_config(num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate)
    state = hugging_face_state(config)
    converted = from_hugging_face(state)
    assert {name: list(tensor.shape) for name, tensor in converted.items()} == google_shapes(config)
    # The position ids are the one buffer that is no variable; nothing else is dropped or collides.
    assert len(converted) == len(state) - 1
    assert Counter(tensor.size for tensor in converted.values()) == Counter(
        tensor.size for name, tensor in state.items() if name != "embeddings.position_ids"
    )


@pytest.mark.parametrize(
    ("config", "variables", "parameters"), [(BERT_BASE_CONFIG, 199, 109_482_240), (MINILM_CONFIG, 103, 22_713_216)]
)
def test_published_sizes(config: Config, variables: int, parameters: int) -> None:
    shapes = google_shapes(config).values()
    assert (len(shapes), sum(int(np.prod(shape)) for shape in shapes)) == (variables, parameters)
