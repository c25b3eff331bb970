"""The model's outputs for a data set, from a checkpoint."""

from typing import Iterable, Iterator, List, Optional, Sequence

import numpy as np

from bert_trainer.data.glue import Pair
from bert_trainer.data.tokenization import encode_pairs
from bert_trainer.layouts.input_fn import Dataset, input_fn
from bert_trainer.layouts.packed import Placement
from bert_trainer.training.model_fn import Recipe, for_inference


def outputs(recipe: Recipe, checkpoint: str, dataset: Dataset, batches: List[List[Placement]]) -> Iterator[np.ndarray]:
    """Yields the [slots, task.outputs] outputs of each batch; slots are in the order of the batch's placements."""
    estimator = recipe.device.estimator(for_inference(recipe), recipe.config)
    predictions = estimator.predict(input_fn(dataset, batches), checkpoint_path=checkpoint, yield_single_examples=False)
    return (prediction["outputs"] for prediction in predictions)


def lay_out(recipe: Recipe, pairs: Sequence[Pair], slots: int, lots: int = 1) -> Dataset:
    """Returns the examples encoded, for batches of at most `slots` of them, each in so many lots."""
    width = recipe.config.max_seq_length
    encoded = encode_pairs(pairs, recipe.model.vocabulary, width, recipe.model.lower_case)
    return Dataset(encoded, recipe.device.layout([len(pair.ids) for pair in encoded], slots, width, lots))


def collect(batches: List[List[Placement]], outputs_of_batches: Iterable[np.ndarray]) -> Optional[np.ndarray]:
    """Returns the [examples, task.outputs] outputs in the data set's order; None when they ended before the batches."""
    rows = {}
    for placements, batch in zip(batches, outputs_of_batches):
        rows.update(zip((placement.pair for placement in placements), batch))
    if len(rows) < sum(map(len, batches)):
        return None
    return np.stack([rows[example] for example in range(len(rows))])
