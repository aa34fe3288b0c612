"""What guards files on disk: `agentos models verify [NAME]`, `agentos models sign NAME`, `agentos private …`."""

from __future__ import annotations

import json
from argparse import Namespace
from urllib.parse import quote

from agentos.errors import UserError
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.session import ready
from agentos.types.units import show_bytes


def signatures(args: Namespace) -> int:
    """Prints each model's state; 1 where one was altered."""
    if args.action == "sign":
        if not args.trace:
            raise UserError("which model? agentos models sign NAME")
        said = ready(args).client.request("POST", "/v1/signatures", {"model": args.trace})
        print(json.dumps(said) if args.json else f"signed {said['signed']}")
        return 0
    asked = f"?model={quote(args.trace, safe='')}" if args.trace else ""
    said = ready(args).client.request("GET", f"/v1/signatures{asked}")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    else:
        rows = [(row["model"], row["signed"], row["reason"]) for row in said["models"]]
        print("\n".join(laid([Column("model"), Column("signed"), Column("why")], rows, 10_000)) if rows
              else "no models are stored")
    return 1 if any(row["signed"] == "altered" for row in said["models"]) else 0


def private(args: Namespace) -> int:
    """`agentos private`, `agentos private dataset NAME`, `agentos private model NAME --off`."""
    if bool(args.kind) != bool(args.name) or (args.off and not args.kind):
        raise UserError("what is to be private? agentos private dataset NAME, or agentos private model NAME")
    client = ready(args).client
    if not args.kind:
        said = client.request("GET", "/v1/private")
        rows = [(row["kind"], row["name"]) for row in said["private"]]
        print(json.dumps(said, ensure_ascii=False) if args.json else
              "\n".join(laid([Column("kind"), Column("name")], rows, 10_000)) if rows else "nothing is private")
        return 0
    said = client.request("PUT", "/v1/private", {"kind": args.kind, "name": args.name, "private": not args.off})
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    what = f"{said['files']} files, {show_bytes(said['size'])}" if said["files"] else "it was already"
    print(f"{said['name']} is {'sealed on disk' if said['private'] else 'in clear'}: {what}")
    if said["elsewhere"]:
        print(f"{said['elsewhere']} other names of these files lie outside the home and were left as they are")
    return 0
