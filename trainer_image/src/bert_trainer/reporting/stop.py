"""The request to stop, as Kubernetes makes it: a signal, and some time to end well."""

import logging
import signal
from types import FrameType
from typing import Optional

log = logging.getLogger(__name__)


class StopRequest:
    """Remembers the signal that asked the process to stop; a second one ends the process at once."""

    def __init__(self) -> None:
        self.signal: Optional[str] = None

    def listen(self) -> None:
        """Installs itself for SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: Optional[FrameType]) -> None:
        self.signal = signal.Signals(number).name
        signal.signal(number, signal.SIG_DFL)
        log.info("%s: stopping after this step", self.signal)
