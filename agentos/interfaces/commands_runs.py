"""Commands that run something: ask, call, undo, and the prompt."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentos.config import load
from agentos.errors import AgentosError, Failed, UserError
from agentos.interfaces.session import Outcome, Session, answer_lines


@dataclass
class CallWords:
    """What was said after `agentos call`."""

    name: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    yes: bool = False
    wait: bool = False
    json: bool = False
    help: bool = False
    user: str = ""


def call_words(words: Sequence[str]) -> CallWords:
    """Reads `NAME --parameter value …`; a parameter given again makes a list, `-` and `_` are the same.

    Raises:
        UserError: there is no name, a parameter has no value, or a word belongs to nothing.
    """
    said, left = CallWords(), list(words)
    while left:
        word = left.pop(0)
        if word in ("--yes", "--wait", "--json", "--help", "-h"):
            setattr(said, word.lstrip("-") if word != "-h" else "help", True)
        elif word.startswith("--") and len(word) > 2:
            name, equals, given = word[2:].partition("=")
            if not equals:
                if not left or (left[0].startswith("--") and len(left[0]) > 2):
                    raise UserError(f"{word} needs a value; write {word}=VALUE where it begins with --")
                given = left.pop(0)
            _put(said, name.replace("-", "_"), given)
        elif not said.name:
            said.name = word
        else:
            raise UserError(f"{word!r} belongs to no parameter; write `agentos call {said.name} --parameter {word}`")
    if not said.name and not said.help:
        raise UserError("which syscall? `agentos syscalls` lists them: agentos call NAME --parameter value")
    return said


def _put(said: CallWords, name: str, given: str) -> None:
    if name == "as":
        said.user = given
    elif name in said.args:
        before = said.args[name]
        said.args[name] = [*before, given] if isinstance(before, list) else [before, given]
    else:
        said.args[name] = given


def ask(args: Namespace) -> int:
    """`agentos ask`."""
    session = Session(load(), user=args.user, quiet=args.json)
    outcome = session.follow(session.client.run(" ".join(args.text)), yes=args.yes)
    if args.json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False))
    return outcome.exit_code


def call(args: Namespace) -> int:
    """`agentos call`."""
    said = call_words(args.words)
    if said.help:
        from agentos.interfaces.commands_system import syscalls

        return syscalls(Namespace(name=said.name or None, json=False, user=args.user))
    return _call(said, said.user or args.user)


def undo(args: Namespace) -> int:
    """`agentos undo`."""
    return _call(CallWords("kernel.undo", {"item": args.id} if args.id else {}, json=args.json), args.user)


def _call(said: CallWords, user: str) -> int:
    session = Session(load(), user=user, quiet=said.json)
    try:
        outcome = session.follow(session.client.call(said.name, said.args, said.yes), hide=("plan",))
        if said.wait and outcome.ok:
            outcome = _with_job(session, outcome)
    except AgentosError as error:
        session.printer.error(str(error))
        failed = {"kind": "user" if isinstance(error, UserError) else "failed", "message": str(error)}
        outcome = Outcome(False, error.exit_code, errors=[failed])
    if said.json:
        print(json.dumps(shown(outcome), ensure_ascii=False))
    return outcome.exit_code


def shown(outcome: Outcome) -> Any:
    """A single call's result as one object: its fields, or `waiting`, or `error` with the fields there are."""
    if outcome.ok:
        return next(iter(outcome.results.values()), None)
    if outcome.waiting:
        return {"waiting": outcome.waiting}
    error = outcome.errors[-1] if outcome.errors else {"kind": "failed", "message": "it did not finish"}
    known = next(iter(outcome.results.values()), None)
    return {**(known if isinstance(known, dict) else {}), "error": {"type": error["kind"], "message": error["message"]}}


def _with_job(session: Session, outcome: Outcome) -> Outcome:
    """The outcome once the job that the call started, if it did, has ended; its result is the job's too."""
    result = next(iter(outcome.results.values()), None)
    if not isinstance(result, dict) or not isinstance(job := result.get("job"), str):
        return outcome
    ended = waited(session, job)
    card = next(iter(ended.results.values()), None) or {}
    if ended.ok or not card:
        return Outcome(ended.ok, ended.exit_code, outcome.run, results={"": {**result, **card}}, errors=ended.errors)
    failed = {"kind": "failed", "message": f"job {job} ({card['name']}) {card['state']}: {card['reason']}"}
    return Outcome(False, ended.exit_code, outcome.run, results={"": {**result, **card}}, errors=[failed])


def waited(session: Session, job: str) -> Outcome:
    """The outcome of a job once it has ended, over restarts of the system; 1 where it did not succeed."""
    for patience in (1.0, 2.0, 4.0, 8.0, None):
        try:
            outcome = session.follow(session.client.call("jobs.wait", {"job": job}), hide=("plan", "result", "reply"))
            break
        except Failed:  # the system ended while we waited; the job did not
            if patience is None:
                raise
            time.sleep(patience)
    card = next(iter(outcome.results.values()), None)
    if outcome.ok and card:
        outcome.ok = card["state"] == "succeeded"
        outcome.exit_code = 0 if outcome.ok else 1
    return outcome


def prompt(args: Namespace) -> int:
    """`agentos` alone: the prompt, or an answer to each line of a pipe."""
    settings = load()
    if not sys.stdin.isatty():
        return answer_lines(Session(settings, user=args.user), iter(sys.stdin.readline, ""))
    from agentos.interfaces.repl import Repl

    return Repl(settings, user=args.user).run()
