"""Batches of packed pairs as an Estimator input function."""

from typing import Any, Callable, Iterable, Iterator, List, NamedTuple

import tensorflow.compat.v1 as tf

from bert_trainer.packing import Placement, Shape, assemble
from bert_trainer.tokenization import EncodedPair


class Dataset(NamedTuple):
    """Encoded pairs, their lengths, and the static shape of the batches in which they are fed."""

    pairs: List[EncodedPair]
    lengths: List[int]
    shape: Shape


def input_fn(dataset: Dataset, batches: Iterable[List[Placement]]) -> Callable[[], tf.data.Dataset]:
    """Returns an Estimator input function that feeds the batches once."""

    def arrays() -> Iterator[Any]:
        for placements in batches:
            features = assemble(placements, dataset.pairs, dataset.shape)
            yield features, features.pop("labels")

    def read() -> tf.data.Dataset:
        features = assemble([], dataset.pairs, dataset.shape)
        example = (features, features.pop("labels"))
        types = tf.nest.map_structure(lambda array: tf.as_dtype(array.dtype), example)
        shapes = tf.nest.map_structure(lambda array: tf.TensorShape(array.shape), example)
        return tf.data.Dataset.from_generator(arrays, types, shapes).prefetch(2)

    return read
