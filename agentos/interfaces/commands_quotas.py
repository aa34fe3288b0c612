"""`agentos quotas`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from argparse import Namespace
from typing import Any
from urllib.parse import quote

from agentos.errors import UserError
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.commands_policy import done
from agentos.interfaces.session import ready
from agentos.interfaces.show import clean

_COLUMNS = (
    Column("FOR"), Column("WHAT"), Column("LIMIT"), Column("USED"), Column("RESERVED", rank=1), Column("STARTS ANEW"),
)


def quotas(args: Namespace) -> int:
    """`agentos quotas [list [USER]]`, `… set SUBJECT RESOURCE AMOUNT/PERIOD`, `… remove SUBJECT RESOURCE[/PERIOD]`."""
    action = args.action or "list"
    if action == "set":
        return _set(args)
    if action == "remove":
        return _remove(args)
    session = ready(args)
    user = args.subject.removeprefix("user:")
    said = session.client.request("GET", f"/v1/quotas?user={quote(user, safe='')}")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    elif not said["quotas"]:
        print(session.say("no_quotas"))
    else:
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
        print("\n".join(laid(_COLUMNS, [_row(row) for row in said["quotas"]], room)))
    return 0


def _set(args: Namespace) -> int:
    number, slash, period = args.amount.partition("/")
    try:
        amount = float(number.replace(",", "").replace("_", ""))
    except ValueError:
        amount = -1.0
    if not (args.subject and args.resource and slash) or amount < 0:
        raise UserError("how much? agentos quotas set user:NAME tokens 100000/day; requests, tokens, cpu-hours,"
                        " gpu-hours or cost, a minute, hour, day or month. Nothing was changed.")
    session = ready(args)
    body = {"subject": args.subject, "resource": args.resource, "amount": amount, "period": period}
    said = session.client.request("PUT", "/v1/quotas", body)
    return done(args.json, said, session.say("quota_set", args.subject, args.resource, args.amount))


def _remove(args: Namespace) -> int:
    resource, _, period = args.resource.partition("/")
    if not args.subject or not resource or args.amount:
        raise UserError("which one? agentos quotas remove user:NAME tokens[/day]. Nothing was changed.")
    session = ready(args)
    body = {"subject": args.subject, "resource": resource, "period": period}
    said = session.client.request("DELETE", "/v1/quotas", body)
    return done(args.json, said, session.say("quota_gone", args.subject, args.resource))


def _row(row: dict[str, Any]) -> list[str]:
    whose = f"{row['subject']} ({row['user']})" if row["user"] else row["subject"]
    figures = [f"{row[name]:,.10g}" for name in ("limit", "used", "reserved")]
    resets = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["resets"]))
    return [clean(cell, lines=False) for cell in (whose, f"{row['resource']}/{row['period']}", *figures, resets)]
