"""The shipped command on a machine whose clock is set: `python set_clock.py FILE run`.

FILE holds by how many seconds the clock is off at this moment. Clocks that can't be set, as
`time.monotonic`, stay what they are, as in any system.
"""

import sys
import time
from pathlib import Path


def off_by(path: Path) -> None:
    """Let `time.time` be off by the seconds in the file, whenever it is asked."""
    right = time.time
    time.time = lambda: right() + float(path.read_text())


if __name__ == "__main__":
    off_by(Path(sys.argv.pop(1)))
    from bots.cli import main

    main()
