"""The API server's clock: the times in its objects are compared with it, since this machine's own may be off."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class ServerClock:
    """Tells the API server's time by the Date of its newest answer, a whole second, and the time that has gone by."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` counts seconds. Until an answer is heard, the time is this machine's."""
        self._monotonic = monotonic
        self._started = time.time() - monotonic()

    def __call__(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._started + self._monotonic(), UTC)

    def hear(self, date: str) -> None:
        """Take the time from a Date header (RFC 9110, section 6.6.1); what is no date is ignored."""
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        self._started = told.timestamp() - self._monotonic()
