"""What the process tells of itself and of the runs: metrics and probes."""
