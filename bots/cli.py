"""Entry point of the `threadseek` command. It imports next to nothing: so Ctrl-C ends the command
quietly from the start, while it still loads what it needs, too (`bots.commands`).
"""

import errno
import io
import os
import signal
import sys
from contextlib import suppress

# What writing fails with, beyond a reader who has gone: full, hung up, not open for writing.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main() -> None:
    """Entry point of the console script."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    _open_streams()
    try:
        try:
            from bots.commands import app

            app()
        finally:
            sys.stdout.flush()  # here, where its failure can be told
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        ended = error.__context__
        if error.errno == errno.EIO and isinstance(ended, SystemExit):
            os._exit(int(ended.code or 0))  # the terminal was closed, and what was to do is done
        with suppress(OSError):
            told = f"The output can't be written: {error.strerror}. Write it to another place."
            print(told, file=sys.stderr, flush=True)  # noqa: T201
        os._exit(1)  # at its end Python would try once more to write what is left, and complain


def _open_streams() -> None:
    """A stream that is closed is as good as /dev/null. What the input has that is no text, and what
    the output can't show, is replaced.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
