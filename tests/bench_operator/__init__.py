"""Many objects at once on a real control plane: bare Jobs, ours and Kubeflow's training-operator, in turn."""
