"""`agentos groups` and `agentos roles`."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from typing import Any
from urllib.parse import quote

from agentos.errors import UserError
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.commands_policy import done, listed
from agentos.interfaces.session import Session, ready
from agentos.interfaces.show import clean

_KINDS = ("model", "dataset", "job")
_ROLES = (Column("ROLE"), Column("BASE"), Column("ALLOWED"), Column("AFTER A YES"), Column("DENIED"))
_MAY = (Column("SYSCALL"), Column("EFFECT"), Column("DECISION"), Column("RULE", rank=1))


def groups(args: Namespace) -> int:
    """`agentos groups`, `… create|delete GROUP`, `… add|remove GROUP USER…`, `… give|take GROUP KIND NAME`."""
    action, name, words = args.action or "list", args.group, args.words
    if action != "list" and not name:
        raise UserError(f"which group? agentos groups {action} GROUP")
    if action in ("add", "remove") and not words:
        raise UserError(f"which user? agentos groups {action} {name} USER")
    if action in ("give", "take") and (len(words) != 2 or words[0] not in _KINDS):
        raise UserError(f"what? agentos groups {action} {name} model|dataset|job NAME")
    session = ready(args)
    if action == "list":
        return listed(args.json, session.client.request("GET", "/v1/groups"), "groups", session.say("no_groups"))
    path = f"/v1/groups/{quote(name, safe='')}"
    if action == "create":
        said = session.client.request("POST", "/v1/groups", {"name": name})
        return done(args.json, said, session.say("group_made", name))
    if action == "delete":
        return done(args.json, session.client.request("DELETE", path), session.say("group_gone", name))
    if action in ("give", "take"):
        kind, thing = words
        said = session.client.request("POST", f"{path}/{action}", {"kind": kind, "name": thing})
        return done(args.json, said, session.say(f"group_{action}", name, kind, thing))
    method = "PUT" if action == "add" else "DELETE"
    for user in words:
        said = session.client.request(method, f"{path}/members/{quote(user, safe='')}", {})
        done(args.json, said, session.say(f"group_{action}", name, user))
    return 0


def roles(args: Namespace) -> int:
    """`agentos roles`, `… show NAME`, `… create NAME --base ROLE [--allow WHAT] [--forbid WHAT]`, `… delete NAME`."""
    action, name = args.action or "list", args.name
    if action != "list" and not name:
        raise UserError(f"which role? agentos roles {action} NAME")
    if action == "create" and not args.base:
        raise UserError("from which role? agentos roles create NAME --base viewer|operator --allow … --forbid …")
    if action != "create" and (args.base or args.allow or args.forbid):
        raise UserError("--base, --allow and --forbid are for `agentos roles create`")
    session = ready(args)
    path = f"/v1/roles/{quote(name, safe='')}"
    if action == "create":
        body = {"name": name, "base": args.base, "allow": args.allow, "forbid": args.forbid}
        made = session.client.request("POST", "/v1/roles", body)
        return done(args.json, made, session.say("role_made", name, made["file"]))
    if action == "delete":
        return done(args.json, session.client.request("DELETE", path), session.say("role_gone", name))
    said = session.client.request("GET", path if action == "show" else "/v1/roles")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    if action == "list":
        rows = [[row["role"], row["base"], row["allow"], row["confirm"], row["deny"]] for row in said["roles"]]
        _table(_ROLES, rows)
        return 0
    _role(session, said)
    return 0


def _role(session: Session, said: dict[str, Any]) -> None:
    if said["file"]:
        print(session.say("role_from", said["role"], said["base"], said["file"]))
    _table(_MAY, [[row["syscall"], row["effect"], row["decision"], row["rule"]] for row in said["may"]])


def _table(columns: tuple[Column, ...], rows: list[list[Any]]) -> None:
    cells = [[clean(str(cell), lines=False) for cell in row] for row in rows]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    print("\n".join(laid(columns, cells, room)))
