"""`agentos mcp`: the syscall table for other programs, and other servers' tools as syscalls."""

from __future__ import annotations

import argparse
import json
import os
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NoReturn
from urllib.parse import quote

from agentos.errors import AgentosError, UserError
from agentos.interfaces.session import Session, ready
from agentos.interfaces.show import clean


class _Words(argparse.ArgumentParser):
    """Options after `agentos mcp`; what is wrong with them is an error like any other."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong."""
        raise UserError(f"{message}. Nothing was changed; `agentos mcp --help` says what there is.")


def mcp(args: Namespace) -> int:
    """`agentos mcp`."""
    said, command = _read(args.words)
    said.user = args.user
    if said.action is None:
        return _serve(said)
    acts = {"add": _add, "list": _list, "remove": _remove, "refresh": _refresh}
    if said.action == "add":
        said.command = command
    elif command:
        raise UserError(f"`agentos mcp {said.action}` takes no command. Nothing was changed.")
    return acts[said.action](said, ready(said))


def _read(words: Sequence[str]) -> tuple[Namespace, list[str]]:
    """The options, and the command after `--`, which is nobody's options but its own."""
    at = words.index("--") if "--" in words else len(words)
    parser = _Words(
        prog="agentos mcp", allow_abbrev=False,
        description="Without an action: serves the syscalls as tools over standard input and output.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", parser_class=_Words)
    add = actions.add_parser("add", help="mount a server's tools as syscalls NAME.TOOL", allow_abbrev=False,
                             usage="agentos mcp add NAME [options] (-- COMMAND [ARGUMENT ...] | --url URL)")
    add.add_argument("name", help="small letters, digits and underscores")
    add.add_argument("--url", default="", help="where it is reached; else give a command after --")
    add.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="sent with each request")
    add.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]",
                     help="a variable of the command's; without a value: as it is here")
    add.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds a call may take (60)")
    add.add_argument("--trust-read-only", action="store_true",
                     help="believe the server where it says that a tool only reads: nobody is asked then")
    remove = actions.add_parser("remove", help="take a server and its tools away", allow_abbrev=False)
    remove.add_argument("name")
    refresh = actions.add_parser("refresh", help="take in what servers offer now", allow_abbrev=False)
    refresh.add_argument("name", nargs="?", default="", help="one of them (all)")
    for made in (add, remove, refresh, actions.add_parser("list", help="show what is mounted", allow_abbrev=False)):
        made.add_argument("--json", action="store_true", help="print JSON, for scripts")
    return parser.parse_args(list(words[:at])), list(words[at + 1 :])


def _serve(said: Namespace) -> int:
    from agentos.config import load
    from agentos.interfaces.mcp_door import ClientDoor
    from agentos.interfaces.mcp_server import over_stdio

    return over_stdio(ClientDoor(load(), said.user))


def _add(said: Namespace, session: Session) -> int:
    asked: dict[str, Any] = {"name": said.name, "timeout": said.timeout, "trust_read_only": said.trust_read_only}
    if said.url:
        asked |= {"url": said.url, "headers": dict(map(_header, said.header)), "command": said.command}
    else:
        asked |= {"command": said.command, "env": dict(map(_variable, said.env)), "folder": os.getcwd()}
        if said.header or not said.command:
            raise UserError("a server is a command (after --) or an address (--url); headers are an address's."
                            " Nothing was mounted.")
    mount = session.client.request("POST", "/v1/mounts", asked)["mount"]
    if said.json:
        print(json.dumps(mount, ensure_ascii=False))
        return 0
    table = {entry["name"]: entry for entry in session.client.request("GET", "/v1/syscalls")["syscalls"]}
    for name in mount["tools"]:
        entry = table.get(name, {})
        print(f"{name:<40} {entry.get('effect', ''):<8} {clean(str(entry.get('doc', '')), lines=False)}")
    _refusals(session, mount)
    return 0


def _list(said: Namespace, session: Session) -> int:
    mounts = session.client.request("GET", "/v1/mounts")["mounts"]
    if said.json:
        print(json.dumps({"mounts": mounts}, ensure_ascii=False))
        return 0
    for mount in mounts:
        server = mount["server"]
        where = server.get("url") or server.get("command", "")
        trusted = session.say("mcp_trusted") if server.get("trust_read_only") else ""
        head = f"{mount['name']:<16} {mount['state']:<9} {len(mount['tools']):>4}"
        print(f"{head}  {clean(where, lines=False)}  {trusted}".rstrip())
        if mount["fault"]:
            session.printer.note(f"  {clean(mount['fault'], lines=False)}")
        _refusals(session, mount)
    if not mounts:
        session.printer.note(session.say("mcp_none"))
    return 0


def _remove(said: Namespace, session: Session) -> int:
    gone = session.client.request("DELETE", f"/v1/mounts/{quote(said.name, safe='')}")["removed"]
    if said.json:
        print(json.dumps(gone, ensure_ascii=False))
    else:
        session.printer.note(session.say("mcp_removed", gone["name"], len(gone["tools"])))
    return 0


def _refresh(said: Namespace, session: Session) -> int:
    names = [said.name] if said.name else [
        mount["name"] for mount in session.client.request("GET", "/v1/mounts")["mounts"]
    ]
    done: list[dict[str, Any]] = []
    code = 0
    for name in names:
        try:
            done.append(session.client.request("POST", f"/v1/mounts/{quote(name, safe='')}/refresh", {}))
        except AgentosError as error:
            if said.name:
                raise
            session.printer.error(str(error))
            code = code or error.exit_code
            continue
        if not said.json:
            _changes(session, done[-1])
    if said.json:
        print(json.dumps({"refreshed": done}, ensure_ascii=False))
    return code


def _changes(session: Session, done: dict[str, Any]) -> None:
    mount = done["mount"]
    print(f"{mount['name']:<16} {len(mount['tools']):>4}")
    for mark, key in (("+", "added"), ("-", "removed"), ("~", "changed")):
        for name in done[key]:
            print(f"  {mark} {name}")
    _refusals(session, mount)


def _refusals(session: Session, mount: dict[str, Any]) -> None:
    for one in mount["refused"]:
        session.printer.note(session.say("mcp_refused", clean(one["tool"], lines=False), one["why"]))


def _header(said: str) -> tuple[str, str]:
    name, colon, value = said.partition(":")
    if not colon:
        raise UserError("--header takes 'NAME: VALUE'; nothing was mounted")
    return name.strip(), value.strip()


def _variable(said: str) -> tuple[str, str]:
    name, equals, value = said.partition("=")
    if not equals:
        if name not in os.environ:
            raise UserError(f"the variable {name!r} is not set here; nothing was mounted. Write --env {name}=VALUE.")
        value = os.environ[name]
    return name, value
