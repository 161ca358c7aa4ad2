"""Keeps discord.py's own log lines out of the log.

At debug level they hold whole events, at higher levels tracebacks with their texts. What matters is
told by our own events.
"""

import logging


def quiet() -> None:
    """Switch them off, for the life of the process."""
    logger = logging.getLogger("discord")
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
