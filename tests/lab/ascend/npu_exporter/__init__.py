"""A stand-in for MindCluster's npu-exporter: its names and labels, simulated numbers, the kubelet's real allocation."""
