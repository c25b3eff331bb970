"""The operator's process: `python -m bertfinetune_operator`."""

import asyncio
import logging
import sys

import kopf

from bertfinetune_operator.election.leader import LeaseLostError
from bertfinetune_operator.errors import ClusterError, SettingsError
from bertfinetune_operator.replica import run
from bertfinetune_operator.settings import Settings

logger = logging.getLogger("bertfinetune_operator")


def log(level: str = "info", layout: str = "json") -> None:
    """Log to stderr from this level on, in JSON or in lines of text."""
    kopf.configure(log_format=kopf.LogFormat.JSON if layout == "json" else kopf.LogFormat.FULL)
    logging.getLogger().setLevel(level.upper())
    for chatty in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def main() -> int:
    """Read the settings and run; 0 after a stop signal, 1 with one line on stderr where the cause lies outside."""
    log()  # what is wrong with the settings, too
    code = 0
    try:
        settings = Settings.from_environ()
        log(settings.log_level, settings.log_format)
        asyncio.run(run(settings))
    except* (SettingsError, ClusterError, LeaseLostError) as group:
        for error in group.exceptions:
            logger.error("%s", error)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
