"""Batches of encoded pairs as an Estimator input function."""

from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Union

import tensorflow.compat.v1 as tf

from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.layouts.flat import FlatLayout
from bert_trainer.layouts.packed import PackedLayout, Placement

Layout = Union[PackedLayout, FlatLayout]


class Dataset(NamedTuple):
    """Encoded pairs and the layout of the batches in which they are fed."""

    pairs: List[EncodedPair]
    layout: Layout


def specs(layout: Layout) -> Dict[str, tf.TensorSpec]:
    """Returns type and shape of every array of the layout's batches."""
    arrays = layout.assemble([], [])
    return {
        name: tf.TensorSpec(array.shape if layout.is_static else [None], array.dtype) for name, array in arrays.items()
    }


def input_fn(dataset: Dataset, batches: Iterable[List[Placement]]) -> Callable[[], tf.data.Dataset]:
    """Returns an Estimator input function that feeds the batches once, as (features, labels)."""

    def arrays() -> Iterator[Any]:
        for placements in batches:
            features = dataset.layout.assemble(placements, dataset.pairs)
            yield features, features.pop("labels")

    def read() -> tf.data.Dataset:
        features = specs(dataset.layout)
        example = (features, features.pop("labels"))
        types = tf.nest.map_structure(lambda spec: spec.dtype, example)
        shapes = tf.nest.map_structure(lambda spec: spec.shape, example)
        return tf.data.Dataset.from_generator(arrays, types, shapes).prefetch(2)

    return read
