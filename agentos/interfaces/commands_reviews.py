"""Commands for replies that wait for review."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any
from urllib.parse import quote

from agentos.errors import UserError
from agentos.interfaces.session import Session, ready
from agentos.interfaces.show import clean
from agentos.types.units import show_seconds

_CODES = {"waiting": 4, "released": 0, "refused": 3}


def review(args: Namespace) -> int:
    """`agentos review`, `agentos review show|release|refuse|get ID`; `get` gives 0 released, 3 refused, 4 waiting."""
    if (args.action is None) != (args.id is None):
        raise UserError(f"which reply? `agentos review` lists those that wait: agentos review {args.action} ID")
    if args.action == "refuse" and not args.reason.strip():
        raise UserError(f"a refusal takes a reason: agentos review refuse {args.id} --reason …")
    session = ready(args)
    if args.action is None:
        return _list(session, args.json)
    path = f"/v1/reviews/{quote(args.id, safe='')}"
    if args.action in ("release", "refuse"):
        said = session.client.request("POST", f"{path}/{args.action}", {"reason": args.reason})
        print(json.dumps(said, ensure_ascii=False) if args.json else session.say(f"review_{said['state']}", args.id))
        return 0
    said = session.client.request("GET", path)
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    elif args.action == "show":
        print(_card(said))
    else:
        _outcome(session, said)
    return _CODES[said["state"]] if args.action == "get" else 0


def _list(session: Session, as_json: bool) -> int:
    said = session.client.request("GET", "/v1/reviews")
    if said["fault"]:
        session.printer.note(session.say("rules_broken", said["fault"]))
    if as_json:
        print(json.dumps(said, ensure_ascii=False))
    elif not said["reviews"]:
        print(session.say("no_reviews"))
    else:
        for row in said["reviews"]:
            print(clean(
                f"{row['id']}  {row['user']}  {row['model']}  {row['rule']}  {show_seconds(row['age'])}", lines=False
            ))
    return 0


def _card(said: dict[str, Any]) -> str:
    shown = ("id", "state", "user", "model", "rule", "why", "decided_by", "reason")
    lines = [f"{name:10}  {said[name]}" for name in shown if said[name]]
    lines.append(f"{'age':10}  {show_seconds(said['age'])}")
    return clean("\n".join([*lines, *(["", said["text"]] if said["text"] is not None else [])]))


def _outcome(session: Session, said: dict[str, Any]) -> None:
    if said["text"] is not None and said["state"] == "released":
        print(clean(said["text"]))
    elif said["state"] == "released":
        session.printer.note(session.say("review_gone", said["id"]))
    elif said["state"] == "refused":
        session.printer.note(session.say("review_no", said["id"], said["reason"]))
    else:
        session.printer.note(session.say("review_waits", said["id"], said["why"]))
