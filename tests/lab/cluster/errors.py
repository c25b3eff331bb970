"""What can go wrong for a person who starts the cluster or the demo: one sentence each, never a traceback."""

import sys
from collections.abc import Callable


class ClusterError(Exception):
    """A failure with a message a person can act on; commands print it as ``error: ...`` and exit 1."""


def exit_code(work: Callable[[], None], *, interrupted: str) -> int:
    """Do the work of a command: 0, 1 with the error's sentence, or 130 with what an interruption leaves behind."""
    try:
        work()
    except ClusterError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; {interrupted}", file=sys.stderr)
        return 130
    return 0
