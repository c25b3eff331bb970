"""The recommended ways to fine-tune on MRPC, as flags of the trainer; their results: trainer_image/docs/accuracy.md."""

from typing import Mapping, NamedTuple, Tuple, Union


class Recipe(NamedTuple):
    """Flags and seeds; `floor` is the accuracy below which a run is a failure."""

    title: str
    flags: Mapping[str, Union[str, float]]
    seeds: Tuple[int, ...]
    floor: float


RECIPES = {
    "minilm": Recipe(
        title="6x384",
        flags={
            "optimizer": "AdamW",
            "learning_rate": 1e-4,
            "num_train_epochs": 3.0,
            "train_batch_size": 16,
            "keep_checkpoint_max": 1,
        },
        seeds=(1, 2, 3, 4, 5),
        floor=0.0,
    ),
    "bert-base-uncased": Recipe(
        title="BERT-Base",
        flags={
            "model_name": "bert-base-uncased",
            "optimizer": "AdamW",
            "learning_rate": 2e-5,
            "num_train_epochs": 3.0,
            "train_batch_size": 32,
            "keep_checkpoint_max": 1,
        },
        seeds=(1,),
        floor=0.84,
    ),
}
