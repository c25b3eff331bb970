"""What can go wrong for a person who starts the cluster: one sentence each, never a traceback."""


class ClusterError(Exception):
    """A failure with a message a person can act on; commands print it as ``error: ...`` and exit 1."""
