"""`agentos secrets rotate`: another key for all that the home has sealed, while no system runs on it."""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import Namespace

from agentos.config import load
from agentos.errors import UserError
from agentos.interfaces.place import only_system, own_folder
from agentos.types.units import show_seconds


def rotate(args: Namespace) -> int:
    """Changes the key, or goes on with a change that was killed."""
    from agentos.sealing import rotation

    settings = load()
    if settings.url:
        raise UserError("the key is changed on the machine that serves; run this there, without `url`")

    def told(step: str) -> None:
        if not args.json and sys.stderr.isatty():
            print(f"\r\x1b[K{step}", end="", file=sys.stderr, flush=True)

    own_folder(settings.home)
    with only_system(settings):
        made = rotation.rotate(settings, told)
    if args.json:
        print(json.dumps(dataclasses.asdict(made)))
        return 0
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    where = f"in {settings.home}" if made.store == "file" else "in the system's keyring"
    took = show_seconds(made.seconds)
    print(f"{made.values:,} values and {made.files:,} files are sealed with a new key, {where}, after {took}.")
    if made.unreadable:
        print(f"{made.unreadable:,} opened with neither key and were left as they are; the old one is kept for them in "
              f"{settings.home / rotation.BEFORE}1 or the next number. Delete it once you have what can be saved.")
    else:
        print("The old one is gone.")
    print("A copy of the new one belongs with every backup from now on.")
    return 0
