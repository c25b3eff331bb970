"""The demo's model: a real BERT (6 layers x 384, uncased) as a TensorFlow checkpoint."""

import subprocess
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import CACHE


def fetch(python37: str | Path) -> Path:
    """The folder of the checkpoint, made once a machine by a CPython 3.7 that has TensorFlow."""
    folder = CACHE / "weights" / "minilm"
    done = subprocess.run([python37, "-m", "bert_weights", "minilm", f"--output={folder}"], check=False)
    if done.returncode:
        raise ClusterError("the weights could not be made; the reason stands above")
    return folder
