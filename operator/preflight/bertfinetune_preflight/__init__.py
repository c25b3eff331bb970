"""Tells whether a cluster is ready for a first run; it only reads. Python alone is needed, and kubectl."""
