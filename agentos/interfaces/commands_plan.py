"""`agentos plan`: what sentences come to, one or many, without running anything."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from agentos.config import load
from agentos.errors import Retry, UserError
from agentos.interfaces.session import Session


def plan(args: Namespace) -> int:
    """`agentos plan`."""
    if (args.batch is None) == (not args.text):
        raise UserError('say a sentence, or --batch FILE: agentos plan "load smollm2-135m" --json')
    session = Session(load(), user=args.user, quiet=True)
    if args.batch is not None:
        return batch(session, args.batch)
    session.client.wait()
    session.printer.settle()
    made = session.client.plan(" ".join(args.text))
    if args.json:
        print(json.dumps(made, ensure_ascii=False))
    else:
        from agentos.interfaces.show import Printer

        Printer(sys.stdout, sys.stdout, session.say).plan(made)
        if made.get("reply"):
            print(made["reply"])
    return 0


def batch(session: Session, name: str) -> int:
    """Prints one plan for each line of a file, in order, as they come.

    Raises:
        UserError: the file cannot be read, or a line is not one; the plans before it were printed.
    """
    code = 0
    waited = False
    for number, asked in _lines(name):
        if not waited:
            session.client.wait()
            session.printer.settle()
            waited = True
        try:
            made = session.client.plan(asked["text"], str(asked["id"]))
        except (UserError, Retry) as error:
            session.printer.error(f"line {number}: {error}")
            made = {"steps": [], "reply": None, "error": {"message": str(error)}}
            code = 1
        print(json.dumps({**made, "id": asked["id"]}, ensure_ascii=False), flush=True)
    return code


def _lines(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        file = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"cannot read {name!r}: {error.strerror}") from None
    with file:
        for number, raw in enumerate(iter(file.readline, b""), 1):
            if raw.strip():
                yield number, _asked(number, raw)


def _asked(number: int, raw: bytes) -> dict[str, Any]:
    form = 'each line must be like {"id": "r1", "text": "how much memory is free?"}'
    try:
        asked = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise UserError(f"line {number} is not JSON ({error}); {form}") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        raise UserError(f"line {number} has no 'text'; {form}")
    return {"id": asked.get("id", str(number)), "text": asked["text"]}
