"""Fine-tunes BERT on sentence-pair tasks with TensorFlow 1.15, on one Ascend 910 card or on CPUs."""

__version__ = "0.2.0"
