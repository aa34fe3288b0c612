"""Programs that are no servers, though they are started as such: `python rude.py KIND`."""

import os
import sys
import time


def silent() -> None:
    """Greets nobody."""
    time.sleep(3600)


def dead() -> None:
    """Ends before it has greeted, with words of its own."""
    sys.stderr.write("no database at /nowhere\n")
    raise SystemExit(3)


def endless() -> None:
    """Answers the greeting with a line that never ends."""
    while True:
        os.write(1, b"x" * 65536)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
