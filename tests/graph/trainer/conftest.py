"""The fixtures of the tests of downloads."""

from support.trainer.downloads import at_once  # noqa: F401
from support.trainer.fetching import as_before, flags, server  # noqa: F401
