"""A Kubernetes device plugin that advertises eight simulated Ascend 910 cards."""
