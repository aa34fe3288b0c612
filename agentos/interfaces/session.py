"""One person at one terminal: runs what they say, asks what must be asked, and gives an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agentos.config import Settings, load
from agentos.errors import AgentosError
from agentos.interfaces.client import Client, Event
from agentos.interfaces.show import Printer
from agentos.interfaces.words import Say, Speaker, speaker

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
_CHOICES = {
    "y": "once", "yes": "once", "once": "once", "s": "session", "session": "session",
    "a": "always", "always": "always", "n": "no", "no": "no", "": "",
    "是": "once", "好": "once", "否": "no", "不": "no",
}


@dataclass
class Outcome:
    """What became of a run."""

    ok: bool = False
    exit_code: int = 1
    run: str = ""
    plan: dict[str, Any] | None = None
    results: dict[str, Any] = field(default_factory=dict)
    reply: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The outcome for a script."""
        return {
            "run": self.run, "ok": self.ok, "exit_code": self.exit_code, "plan": self.plan,
            "results": self.results, "reply": self.reply, "errors": self.errors, "waiting": self.waiting,
        }


Asked = Callable[[Event], str]
"""Shows a held call to a person and gives `once`, `session`, `always` or `no`; empty where nobody answered."""


class Session:
    """Runs requests through a client and shows what comes."""

    def __init__(
        self, settings: Settings, *, door: str = "cli", user: str = "", quiet: bool = False,
        autostart: bool = True, session: str = "",
    ) -> None:
        """`quiet` keeps results to itself, for `--json`: what is said then goes to standard error alone."""
        self.settings = settings
        if settings.plain:  # for what draws, and has no settings
            os.environ["AGENTOS_PLAIN"] = "1"
        self.say: Speaker = speaker(settings.language)
        self.printer = Printer(sys.stderr if quiet else sys.stdout, sys.stderr, self.say)
        self.quiet = quiet
        self.client = Client(
            settings, door=door, user=user, session=session or f"terminal-{os.getsid(0)}",
            autostart=autostart, told=self.printer.event,
        )
        self.asked: Asked = self.ask

    @property
    def manned(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def follow(self, events: Iterable[Event], *, yes: bool = False, hide: tuple[str, ...] = ()) -> Outcome:
        """Shows a run to its end, with the answers to what it holds; Ctrl-C cancels it.

        Args:
            events: The run, as the client gives it.
            yes: Whether held calls are confirmed without asking, but for those with words from outside.
            hide: Kinds of events not to show.
        """
        outcome = Outcome()
        hide += ("text", "result", "reply") if self.quiet else ()
        todo: list[Iterable[Event]] = [events]
        held: dict[str, Event] = {}
        with _back(self.printer.again):
            self._follow(todo, outcome, held, hide, yes)
        return outcome

    def _follow(
        self, todo: list[Iterable[Event]], outcome: Outcome, held: dict[str, Event], hide: tuple[str, ...], yes: bool
    ) -> None:
        try:
            while todo:
                self._drain(todo.pop(0), outcome, held, hide)
                for approval in list(outcome.waiting):
                    call = held.pop(approval, None)
                    sure = yes and call is not None and not call.get("outside")  # which nobody has seen beforehand
                    answer = "once" if sure else self.asked(call) if call else ""
                    if answer:
                        outcome.waiting.remove(approval)
                        todo.append(self.client.answer(approval, answer))
                        break
        except KeyboardInterrupt:
            self._cancel(outcome)
        finally:
            self.printer.settle()

    def _drain(
        self, events: Iterable[Event], outcome: Outcome, held: dict[str, Event], hide: tuple[str, ...]
    ) -> None:
        for event in events:
            kind = event.get("event")
            outcome.run = str(event.get("run") or outcome.run)
            if kind not in hide:
                self.printer.event(event)
            if kind == "plan":
                outcome.plan = event.get("plan") or event
            elif kind == "held":
                held[str(event["approval"])] = event
            elif kind == "result":
                outcome.results[str(event.get("step", ""))] = event.get("result")
            elif kind == "error":
                outcome.errors.append({key: event.get(key) for key in ("kind", "message", "step")})
            elif kind == "reply":
                outcome.reply = event.get("text")
            elif kind == "end":
                outcome.ok, outcome.exit_code = bool(event.get("ok")), int(event.get("exit_code", 1))
                outcome.results.update(event.get("results") or {})
                outcome.waiting = [str(name) for name in event.get("waiting") or []]

    def ask(self, call: Event) -> str:
        """Asks at the terminal; where nobody is, says how the call can be approved."""
        if not self.manned:
            self.printer.note(self.say("waiting", call["approval"], call.get("syscall", "")))
            return ""
        return choose(call, self.printer, self.say, _read)

    def _cancel(self, outcome: Outcome) -> None:
        outcome.ok, outcome.exit_code = False, INTERRUPTED
        self.printer.settle()
        if outcome.run and not outcome.waiting:
            try:
                self.client.cancel(outcome.run)
            except AgentosError as error:
                self.printer.error(str(error))
                return
        self.printer.note(self.say("cancelled"))


@contextmanager
def _back(again: Callable[[], None]) -> Iterator[None]:
    """Calls `again` when the person comes back from another program: Ctrl-Z, then `fg`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCONT, lambda number, frame: again())
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)


def choose(call: Event, printer: Printer, say: Say, read: Callable[[str], str]) -> str:
    """Shows a held call in full and takes the answer; the end of input is no answer."""
    printer.held(call)
    while True:
        try:
            said = read(say("choose")).strip().lower()
        except EOFError:
            printer.note(say("waiting", call["approval"], call.get("syscall", "")))
            return ""
        answer = _CHOICES.get(said, "")
        if answer:
            return answer
        printer.note(say("choose_again"))


def _read(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def answer_lines(session: Session, lines: Iterator[str]) -> int:
    """Answers each line of a pipe; 0 where all succeeded, else the first failure's code."""
    code = 0
    for line in lines:
        said = line.strip()
        if not said:
            continue
        try:
            outcome = session.follow(session.client.run(said))
            failed = outcome.exit_code
        except AgentosError as error:
            session.printer.error(str(error))
            failed = error.exit_code
        if failed == INTERRUPTED:
            return failed
        code = code or failed
    return code


def ready(args: Namespace, quiet: bool = False) -> Session:
    """A command's session, once the system is up; with `--json`, or where it is asked for, it is quiet."""
    session = Session(load(), user=args.user, quiet=quiet or getattr(args, "json", False))
    session.client.wait()
    session.printer.settle()
    return session
