"""A real Kubernetes on this machine: etcd, control plane, containerd and one node with simulated Ascend cards."""
