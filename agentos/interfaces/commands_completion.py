"""`agentos completion` and `agentos names`: what a shell needs to complete commands and names."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from agentos.config import load
from agentos.errors import AgentosError, UserError
from agentos.interfaces.client import Client
from agentos.interfaces.show import clean


def completion(args: Namespace) -> int:
    """`agentos completion bash|zsh|fish`."""
    from agentos.interfaces import completion_bash, completion_fish, completion_zsh
    from agentos.interfaces.parser import build_parser

    made = {"bash": completion_bash.bash, "zsh": completion_zsh.zsh, "fish": completion_fish.fish}
    print(made[args.shell](build_parser()), end="")
    return 0


def names(args: Namespace) -> int:
    """`agentos names KIND`: one a line; none where no system runs, and none is started for it."""
    if (args.kind == "parameter") != bool(args.syscall):
        raise UserError("agentos names KIND; or agentos names parameter SYSCALL")
    client = Client(load(), user=args.user, autostart=False)
    try:
        found = _found(client, args.kind, args.syscall)
    except AgentosError:
        found = []
    found = [name for name in found if name == clean(name, lines=False)]  # a shell takes each line for a name
    print(json.dumps({"names": found}, ensure_ascii=False) if args.json else "\n".join(found))
    return 0


def _found(client: Client, kind: str, syscall: str) -> list[str]:
    if kind == "approval":
        rows: list[dict[str, Any]] = client.request("GET", "/v1/approvals")["approvals"]
        return [str(row["id"]) for row in rows]
    if kind == "parameter":
        table = client.request("GET", "/v1/syscalls")["syscalls"]
        return [f"--{param['name']}" for call in table if call["name"] == syscall for param in call["params"]]
    return [str(name) for name in client.request("GET", "/v1/names").get(kind, [])]
