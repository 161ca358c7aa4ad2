"""Entry point of the `threadseek` command. It imports next to nothing: so Ctrl-C ends the command
quietly from the start, while it still loads what it needs, too (`bots.commands`).
"""

import io
import os
import signal
import sys


def main() -> None:
    """Entry point of the console script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a narrow terminal shows "?" for a smile
    from bots.commands import app

    app()
