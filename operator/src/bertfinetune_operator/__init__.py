"""Fine-tunes BERT on Kubernetes: reconciles BertFinetunes into Jobs on Ascend 910 cards or CPUs."""

__version__ = "0.2.0"
