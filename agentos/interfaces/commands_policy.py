"""Commands for people's decisions: approvals, rules, users, keys."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from typing import Any
from urllib.parse import quote

from agentos.config import load
from agentos.errors import UserError
from agentos.interfaces.session import Session, ready
from agentos.interfaces.show import clean, value

_TIMES = ("created", "expires", "last_use", "revoked", "time", "until", "asked", "made")


def approvals(args: Namespace) -> int:
    """`agentos approvals`."""
    session = Session(load(), user=args.user)
    session.client.wait()
    session.printer.settle()
    said = session.client.request("GET", "/v1/approvals")
    listed(args.json, said, "approvals", session.say("none_pending"))
    if said.get("expired") and not args.json:
        print(session.say("expired_calls"))
        print("\n".join(row_text(row) for row in said["expired"]))
    return 0


def approve(args: Namespace) -> int:
    """`agentos approve`."""
    return _answer(args, args.scope, "")


def refuse(args: Namespace) -> int:
    """`agentos refuse`: 0 where the refusal was taken."""
    code = _answer(args, "no", args.reason)
    return 0 if code == 3 else code


def rules(args: Namespace) -> int:
    """`agentos rules`, `agentos rules revoke ID`."""
    if (args.action is None) != (args.id is None):
        raise UserError("which rule? `agentos rules` lists them: agentos rules revoke ID")
    session = ready(args)
    if args.action is None:
        return listed(args.json, session.client.request("GET", "/v1/rules"), "rules", "no rules")
    said = session.client.request("DELETE", f"/v1/rules/{quote(args.id, safe='')}")
    return done(args.json, said, f"revoked {args.id}")


def users(args: Namespace) -> int:
    """`agentos users`, `agentos users create NAME [--role ROLE] [--service]`, `agentos users set NAME --role ROLE`."""
    if args.action == "create" and not args.name:
        raise UserError("who? agentos users create NAME [--role ROLE] [--service]")
    if args.action == "set" and (not args.name or not args.role):
        raise UserError("who, and which role? agentos users set NAME --role viewer|operator|admin")
    if args.service and args.action != "create":
        raise UserError("a service account is made as one: agentos users create NAME --service")
    session = ready(args)
    if args.action is None:
        return listed(args.json, session.client.request("GET", "/v1/users"), "users", "no users")
    if args.action == "create":
        body = {"name": args.name, "role": args.role or "viewer", "service": args.service}
        made = session.client.request("POST", "/v1/users", body)
        word = "service_made" if args.service else "user_made"
        return done(args.json, made, session.say(word, args.name, made["role"]))
    said = session.client.request("PUT", f"/v1/users/{quote(args.name, safe='')}", {"role": args.role})
    return done(args.json, said, f"{args.name} is {args.role}")


def keys(args: Namespace) -> int:
    """`agentos keys create|list|revoke`."""
    if args.action == "create" and not args.holder:
        raise UserError("for whom? agentos keys create --user NAME [--role ROLE] [--scope WHAT] [--expires 30d]")
    if args.action != "create" and (args.scope or args.read_only or args.expires):
        raise UserError("--scope, --read-only and --expires are for a new key: agentos keys create --user NAME")
    if args.action == "revoke" and not args.id:
        raise UserError("which key? `agentos keys list` has their ids: agentos keys revoke ID")
    session = ready(args)
    if args.action == "list":
        return listed(args.json, session.client.request("GET", "/v1/keys"), "keys", "no keys")
    if args.action == "revoke":
        said = session.client.request("DELETE", f"/v1/keys/{quote(args.id, safe='')}")
        return done(args.json, said, f"revoked {args.id}")
    wanted = {
        "role": args.role, "scope": args.scope, "read_only": args.read_only, "expires": args.expires,
    }
    body = {"user": args.holder, **{name: said for name, said in wanted.items() if said}}
    made = session.client.request("POST", "/v1/keys", body)
    if args.json:
        print(json.dumps(made, ensure_ascii=False))
    else:
        session.printer.note(f"the key of {args.holder}, shown this once:")
        print(made["key"])
    return 0


def _answer(args: Namespace, answer: str, reason: str) -> int:
    session = ready(args)
    outcome = session.follow(session.client.answer(args.id, answer, reason))
    if args.json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False))
    return outcome.exit_code


def listed(as_json: bool, said: dict[str, Any], name: str, none: str) -> int:
    """Prints a listing, a line a row, or what is said of an empty one."""
    rows = said[name]
    if as_json:
        print(json.dumps(said, ensure_ascii=False))
    elif not rows:
        print(none)
    else:
        print("\n".join(row_text(row) for row in rows))
    return 0


def row_text(row: dict[str, Any]) -> str:
    """One row of a listing: its id or name first, then what else is known."""
    lead = next((key for key in ("id", "approval", "user", "name") if row.get(key)), "")
    rest = [
        f"{key}={time.strftime('%Y-%m-%dT%H:%M', time.localtime(said)) if key in _TIMES else value(said)}"
        for key, said in row.items() if key != lead and said not in (None, "", [], {})
    ]
    return "  ".join(([clean(str(row[lead]), lines=False)] if lead else []) + rest)


def done(as_json: bool, said: dict[str, Any], text: str) -> int:
    """Prints what was done."""
    print(json.dumps(said, ensure_ascii=False) if as_json else text)
    return 0
