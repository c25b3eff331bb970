"""Names: which of Google's variables each of Hugging Face's becomes, and how it lies."""

import numpy as np
import pytest

from bert_weights.names import from_hugging_face


@pytest.mark.parametrize(
    ("theirs", "ours", "transposed"),
    [
        ("embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings", False),
        ("embeddings.position_embeddings.weight", "bert/embeddings/position_embeddings", False),
        ("embeddings.LayerNorm.weight", "bert/embeddings/LayerNorm/gamma", False),
        ("embeddings.LayerNorm.bias", "bert/embeddings/LayerNorm/beta", False),
        ("encoder.layer.10.attention.self.query.weight", "bert/encoder/layer_10/attention/self/query/kernel", True),
        (
            "encoder.layer.0.attention.output.LayerNorm.bias",
            "bert/encoder/layer_0/attention/output/LayerNorm/beta",
            False,
        ),
        ("encoder.layer.0.intermediate.dense.bias", "bert/encoder/layer_0/intermediate/dense/bias", False),
        ("pooler.dense.weight", "bert/pooler/dense/kernel", True),
    ],
)
def test_name_and_orientation(theirs: str, ours: str, transposed: bool) -> None:
    square = np.arange(9, dtype=np.float32).reshape(3, 3)
    ((name, tensor),) = from_hugging_face({theirs: square}).items()
    assert name == ours
    np.testing.assert_array_equal(tensor, square.T if transposed else square)
