"""What all of the trainer's tests share: Hypothesis without a deadline, and the corpus. No TensorFlow."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from support.trainer.places import PROJECT

settings.register_profile("no deadline", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of MRPC, or of the sample in its format that ships with the project."""
    named = os.environ.get("BERTFINETUNE_MRPC")
    beside, sample = PROJECT.parent / "shared/data/MRPC", PROJECT / "tests/lab/demo/paraphrase_sample"
    places = [Path(named)] if named else [beside, sample]
    return next(place for place in places if (place / "train.tsv").exists())
