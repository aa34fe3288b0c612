"""Commands for the audit trail: search it, export it, and verify a home's or an export against signed heads."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from agentos.config import load
from agentos.errors import AgentosError, Failed, UserError
from agentos.interfaces.client import Client
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.session import ready
from agentos.interfaces.show import clean

if TYPE_CHECKING:
    from agentos.policy.verifying import Verified

_COLUMNS = (
    Column("row", right=True), Column("time"), Column("user"), Column("syscall"), Column("decision"), Column("outcome"),
    Column("rule", rank=1), Column("door", rank=3), Column("arguments", rank=2),
)


def audit(args: Namespace) -> int:
    """`agentos audit search|export|verify`."""
    if args.file and args.action != "export":
        raise UserError(f"{args.file!r} is for export alone: agentos audit verify --export {args.file}")
    return {"search": _search, "export": _export, "verify": _verify}[args.action](args)


def _search(args: Namespace) -> int:
    session = ready(args)
    found = session.client.request("GET", _path("/v1/audit", args, ("user", "syscall", "decision", "since", "limit")))
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    rows = found["rows"]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    print("\n".join(laid(_COLUMNS, [_cells(row) for row in rows], room)) if rows else "no rows")
    if found["total"] > len(rows):
        session.printer.note(f"the newest {len(rows)} of {found['total']}")
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    said = [
        row["id"], time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["time"])), row["user"], row["syscall"],
        row["decision"], row["outcome"], row["rule"], row["door"], json.dumps(row["arguments"], ensure_ascii=False),
    ]
    return [clean(str(cell), lines=False) for cell in said]


def _export(args: Namespace) -> int:
    """Rows and the signed head; a file is written whole or not at all."""
    session = ready(args, quiet=True)
    lines = session.client.lines(_path("/v1/audit/export", args, ("user", "since")))
    if not args.file:
        sys.stdout.flush()
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return 0
    end = _write(Path(args.file), lines)
    if args.json:
        print(json.dumps({"file": args.file, **end}, ensure_ascii=False))
    else:
        print(f"{end['rows']} rows in {args.file}, signed with the key {end['key']}")
        if "part" in end:
            session.printer.note(f"it is {end['part']}")
    return 0


def _write(file: Path, lines: Iterable[bytes]) -> dict[str, Any]:
    draft = file.with_name(f"{file.name}.part")
    line = b"{}"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as out:
            for line in lines:
                out.write(line)
            out.flush()
            os.fsync(handle)
        end: dict[str, Any] = json.loads(line)
        if "public_key" not in end:
            raise Failed(f"the export broke off; {file} was not written. Ask again.")
        draft.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {str(file)!r}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return end


def _verify(args: Namespace) -> int:
    """0 where the trail is what was written, 1 where it is not. Reads files alone; a running system signs first."""
    from agentos.policy.exporting import kept_head, verify
    from agentos.policy.heads import public_key
    from agentos.policy.verifying import verify_home

    settings = load()
    key = public_key(_bytes(args.key), args.key) if args.key else None
    kept = kept_head(_bytes(args.head), args.head) if args.head else None
    if args.export:
        with _opened(args.export) as file:
            found = verify(file, args.export, key, kept)
    else:
        if settings.url:
            raise UserError(
                "a trail is verified where it is; nothing was checked. Here: agentos audit export FILE, then"
                " agentos audit verify --export FILE --key PUBLIC.pem"
            )
        with suppress(AgentosError):
            Client(settings, user=args.user, autostart=False).request("POST", "/v1/audit/head", {})
        found = verify_home(settings.database, key, kept)
    print(json.dumps(asdict(found), ensure_ascii=False) if args.json else _said(found, bool(args.export), key is None))
    return 0 if found.ok else 1


def _said(found: Verified, export: bool, unpinned: bool) -> str:
    if not found.ok:
        where = f"first bad row {found.first_bad}: " if found.first_bad else ""
        return clean(f"not right: {where}{found.reason}. {found.rows} rows before it are right.")
    lines = [f"right: {found.rows} rows"]
    if found.head is not None:
        signed = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.head.time))
        lines.append(f"signed to row {found.head.row} by head {found.head.number}, {signed}, key {found.head.key}")
    if found.uncovered:
        lines.append(f"{found.uncovered} of the newest rows are not covered by a signed head yet")
    if found.found:
        lines.append(f"{found.found} rows were signed as a start found them, not as they were written")
    if export and unpinned:
        lines.append("the key is the export's own; hold it against the public key that you were given (--key)")
    return "\n".join(lines)


def _path(base: str, args: Namespace, names: tuple[str, ...]) -> str:
    given = {name: args.holder if name == "user" else getattr(args, name) for name in names}
    asked = {name: said for name, said in given.items() if said not in (None, "")}
    return f"{base}?{urlencode(asked)}" if asked else base


def _opened(name: str) -> Any:
    try:
        return open(name, "rb")
    except OSError as error:
        raise UserError(f"cannot read {name!r}: {error.strerror}; nothing was checked") from None


def _bytes(name: str) -> bytes:
    with _opened(name) as file:
        said: bytes = file.read()
    return said
