"""`agentos policy`: the rules in force; check files without a system, test them with cases, ask what they say."""

from __future__ import annotations

import json
import shutil
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from agentos.config import load
from agentos.errors import DeniedError, UserError
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.session import Session, ready
from agentos.interfaces.show import clean

_COLUMNS = (Column("RULE"), Column("WHERE"), Column("REASON", rank=1))
_EXPLAINED = ("syscall", "user", "role", "effect", "decision", "rule", "reason")


def policy(args: Namespace) -> int:
    """`agentos policy`, `agentos policy check [FOLDER]`, `… test [FILE]`, `… explain USER SYSCALL`."""
    if args.action != "explain" and (args.given or args.owner is not None):
        raise UserError("--args and --owner belong to a call: agentos policy explain USER SYSCALL")
    if args.action in ("check", "test") and len(args.words) > 1:
        raise UserError(f"agentos policy {args.action} takes one path, and not {' '.join(args.words)!r}")
    doing = {"check": _check, "test": _test, "explain": _explain}.get(args.action or "", _show)
    return doing(args)


def _show(args: Namespace) -> int:
    """The rules that the system decides by, and the change that it refused, if there is one."""
    session = ready(args)
    said = session.client.request("GET", "/v1/policy")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    rows = [(rule["id"], f"{rule['file']}:{rule['line']}", clean(rule["reason"], lines=False))
            for rule in said["rules"]]
    room = shutil.get_terminal_size((1000, 24)).columns if sys.stdout.isatty() else 10_000
    print("\n".join(laid(_COLUMNS, rows, room)))
    print(f"in force since {_moment(said['since'])}; yours are in {clean(said['folder'], lines=False)}")
    refused = said["refused"]
    if refused:
        print(f"not taken in at {_moment(refused['time'])}, and the rules above stay in force:")
        print("\n".join(clean(fault) for fault in refused["faults"]))
    return 0


def _check(args: Namespace) -> int:
    """Compiles the owner's files with the package's as a start would; 2 where they make no set."""
    from agentos.policy.monitor import Monitor
    from agentos.policy.rules import RulesError, added, shipped
    from agentos.registry import installed

    folder = Path(args.words[0]) if args.words else load().home / "policies"
    if args.words and not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}; nothing was checked")
    table = installed()
    try:
        rules = Monitor(table, lambda user: None, extra=folder).rules.rules.values()
        files = [Path(path).name for path in added(folder)]
    except RulesError as error:
        faults = [{"file": fault.file, "line": fault.line, "message": fault.what} for fault in error.faults]
        if args.json:
            print(json.dumps({"ok": False, "folder": str(folder), "faults": faults}, ensure_ascii=False))
        else:
            print("\n".join(clean(str(fault)) for fault in error.faults), file=sys.stderr)
        return 2
    from agentos.policy import outgoing

    over = outgoing.compiled(folder)
    replaced = sorted({*files} & {*shipped()})
    ours = sum(rule.file in shipped() for rule in rules)
    if args.json:
        print(json.dumps({
            "ok": True, "folder": str(folder), "rules": len(rules), "shipped": ours, "added": len(rules) - ours,
            "files": files, "replaced": replaced, "syscalls": len(table), "output": len(over), "faults": [],
        }, ensure_ascii=False))
        return 0
    print(f"ok: {len(rules)} rules for {len(table)} syscalls, {ours} shipped and {len(rules) - ours} from "
          f"{len(files)} files in {folder}; {len(over)} rules over replies")
    if replaced:
        print(f"in the place of shipped ones: {', '.join(replaced)}")
    return 0


def _test(args: Namespace) -> int:
    """Runs a suite of cases against the package's rules and the owner's; 1 where an answer or its rule differs."""
    from agentos.interfaces.suites import suite_text
    from agentos.policy import permissions
    from agentos.registry import installed

    name = args.words[0] if args.words else "permissions"
    suite = permissions.read_suite(suite_text(name), name)
    report = permissions.evaluate(suite, installed(), load().home / "policies")
    print(json.dumps(report.to_json(name), ensure_ascii=False) if args.json else clean(report.text(name)))
    return 1 if report.wrong else 0


def _explain(args: Namespace) -> int:
    """What a user's call would get and by which rule; or a question, planned as any sentence is."""
    if len(args.words) not in (1, 2):
        raise UserError("who would call what? agentos policy explain USER SYSCALL, or a question in quotes")
    given = _object(args.given)
    session = ready(args)
    if len(args.words) == 1:
        if args.words[0] in _users(session):
            raise UserError(f"which call of {args.words[0]!r}? agentos policy explain {args.words[0]} SYSCALL")
        if given is not None or args.owner is not None:
            raise UserError("--args and --owner belong to a call: agentos policy explain USER SYSCALL")
        return _asked(session, args.words[0], args.json)
    body: dict[str, Any] = {"user": args.words[0], "syscall": args.words[1], "args": given, "owner": args.owner}
    said = session.client.request("POST", "/v1/policy/explain", body)
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    print("\n".join(f"{name:9} {clean(str(said[name]), lines=False)}" for name in _EXPLAINED if said[name] != ""))
    return 0


def _asked(session: Session, sentence: str, as_json: bool) -> int:
    """Plans a question and makes the calls if all of them explain: what only asks must not come to do something."""
    from agentos.interfaces.commands_runs import shown

    plan = session.client.plan(sentence)
    calls = [step["syscall"] for step in plan["steps"]]
    if not calls or set(calls) != {"policy.explain"}:
        what = f"it came to {', '.join(calls)}" if calls else str(plan.get("reply") or "no call answers it")
        raise UserError(f"this is no question about what is permitted: {clean(what, lines=False)}. Nothing was run. "
                        "Name the user and the call (agentos policy explain USER SYSCALL), or say it to `agentos ask`.")
    session.printer.plan(plan)
    outcomes = [
        session.follow(session.client.call(step["syscall"], step["args"]), hide=("plan",)) for step in plan["steps"]
    ]
    if as_json:
        said = [shown(outcome) for outcome in outcomes]
        print(json.dumps(said[0] if len(said) == 1 else said, ensure_ascii=False))
    return max(outcome.exit_code for outcome in outcomes)


def _users(session: Session) -> set[str]:
    """Everybody's names, for an administrator; nobody's for others, who ask about themselves."""
    try:
        return {row["name"] for row in session.client.request("GET", "/v1/users")["users"]}
    except DeniedError:
        return set()


def _object(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        said = json.loads(text)
    except ValueError as error:
        form = '--args \'{"model": "churn"}\''
        raise UserError(f"--args is not JSON ({error}); nothing was explained. As in {form}") from None
    if not isinstance(said, dict):
        raise UserError("--args must be a JSON object of arguments by name; nothing was explained")
    return said


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
