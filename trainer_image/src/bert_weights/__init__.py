"""Public BERT weights as Google-style TF1 checkpoint folders: ``python -m bert_weights minilm --output DIR``."""

import os
import warnings

# TensorFlow 1.15 greets every import with a screen of NumPy and CUDA notices that bury this tool's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")


class WeightsError(Exception):
    """The weights cannot be made; the message names the file or command, what is wrong and the remedy."""
