"""The prompt: history, completion from live data, streaming, and answers to what is held."""

from __future__ import annotations

import contextlib
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.output import ColorDepth

from agentos.config import Settings
from agentos.errors import AgentosError
from agentos.interfaces.client import Event
from agentos.interfaces.commands_policy import row_text
from agentos.interfaces.commands_system import status_text, table_text
from agentos.interfaces.repl_complete import Live
from agentos.interfaces.repl_history import history
from agentos.interfaces.session import Outcome, Session, choose
from agentos.interfaces.show import Printer, colourful

_MEANT = re.compile(
    r"(no|nope|wrong|sorry)[,.!:;]?\s+(what )?i (meant|mean|wanted|said)( was| is)?\b[:,]?\s+"
    r"|(不|不对|不是|错了|搞错了)[，,。！!：: ]*我(的意思|说的|指的|要的|想要的)?是(说)?[，,：: ]*",
    re.IGNORECASE,
)
"""How a person takes up what was said before, to say it another way."""


class Repl:
    """One sitting at the prompt."""

    def __init__(self, settings: Settings, user: str = "") -> None:
        """Connects when it runs."""
        self._session = Session(settings, door="repl", user=user, session=f"prompt-{uuid.uuid4().hex[:12]}")
        self._session.asked = self._ask
        self._say, self._out, self._client = self._session.say, self._session.printer, self._session.client
        self._commands: dict[str, tuple[str, Callable[[str], None]]] = {
            "/help": ("help", self._help),
            "/plan": ("help_plan", self._plan),
            "/status": ("help_status", self._status),
            "/syscalls": ("help_syscalls", self._syscalls),
            "/approvals": ("help_approvals", self._approvals),
            "/jobs": ("help_jobs", self._jobs),
            "/ps": ("help_ps", self._ps),
            "/top": ("help_top", self._top),
            "/undo": ("help_undo", self._undo),
            "/correct": ("help_correct", self._correct),
            "/quit": ("help_quit", self._quit),
        }
        self._live = Live(self._client, list(self._commands))
        depth = None if colourful(sys.stdout) else ColorDepth.DEPTH_1_BIT
        self._prompt: PromptSession[str] = PromptSession(
            history=history(settings), completer=self._live, complete_while_typing=False, color_depth=depth,
            enable_history_search=True,
        )
        self._question: PromptSession[str] = PromptSession(color_depth=depth)
        self._mark = ANSI("\x1b[1;36magentos>\x1b[0m ") if colourful(sys.stdout) else "agentos> "
        self._left = False
        self._last: tuple[str, dict[str, Any]] | None = None
        """What was said last, and the plan that was made of it."""

    def run(self) -> int:
        """Reads and answers until the person leaves.

        Raises:
            Failed: the system could not start.
        """
        said = self._client.wait()
        self._out.settle()
        self._live.refresh()
        self._out.note(self._say("welcome", said.get("version", ""), _model(said)))
        self._tell_pending()
        while not self._left:
            try:
                line = self._prompt.prompt(self._mark).strip()
                if line:
                    self._answer(line)
                    self._live.refresh()
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
        self._out.note(self._say("bye"))
        return 0

    def _answer(self, line: str) -> None:
        try:
            if line.startswith("/"):
                name, _, rest = line.partition(" ")
                if name not in self._commands:
                    self._out.error(self._say("unknown_command", name))
                    return
                self._commands[name][1](rest.strip())
            elif self._last and (meant := _MEANT.match(line)):
                self._mean(line[meant.end() :].strip())
            else:
                self._run(line)
        except AgentosError as error:
            self._out.error(str(error))
        except KeyboardInterrupt:
            self._out.note(self._say("cancelled"))

    def _run(self, line: str) -> Outcome:
        outcome = self._session.follow(self._client.run(line))
        self._last = (line, outcome.plan) if outcome.plan else None
        return outcome

    def _mean(self, line: str) -> None:
        """Runs what was meant, and keeps that the sentence before it means this, if the person wants that."""
        assert self._last is not None
        said = self._last[0]
        outcome = self._run(line)
        steps = (outcome.plan or {}).get("steps")
        if not steps or outcome.errors:
            return
        agreed = self._client.request("GET", "/v1/kernel/feedback")["agreed"]
        if agreed or self._yes(self._say("remember", said)):
            self._keep(said, self._worded(outcome.plan))

    def _correct(self, rest: str) -> None:
        if self._last is None:
            self._out.error(self._say("nothing_said"))
            return
        said, plan = self._last
        if not rest:
            was = self._worded(plan)
            self._out.note(self._say("correct_keys", said, was))
            try:
                rest = self._question.prompt("> ", default=was, multiline="\n" in was)
            except (EOFError, KeyboardInterrupt):
                self._out.note(self._say("not_kept"))
                return
            finally:
                self._question.multiline = False
        self._keep(said, rest.strip())

    def _keep(self, said: str, plan: str) -> None:
        kept = self._client.request("POST", "/v1/kernel/corrections", {"text": said, "plan": plan})
        self._out.note(self._say("kept", kept["text"], kept["plan"]))

    def _worded(self, plan: dict[str, Any] | None) -> str:
        return str(self._client.request("POST", "/v1/kernel/wording", {"plan": plan or {"steps": []}})["plan"])

    def _yes(self, question: str) -> bool:
        try:
            return self._question.prompt(question).strip().lower() in ("y", "yes", "是", "好")
        except (EOFError, KeyboardInterrupt):
            return False

    def _ask(self, call: Event) -> str:
        return choose(call, self._out, self._say, self._question.prompt)

    def _help(self, rest: str) -> None:
        wide = max(map(len, self._commands))
        for name, (key, _) in self._commands.items():
            self._out.note(f"  {name:{wide}}  {self._say(key)}")
        self._out.note(self._say("help_keys"))

    def _plan(self, rest: str) -> None:
        if not rest:
            self._out.error(self._say("needs_text", "/plan"))
            return
        made = self._client.plan(rest)
        Printer(sys.stdout, sys.stdout, self._say).plan(made)
        if made.get("reply"):
            self._out.note(str(made["reply"]))

    def _status(self, rest: str) -> None:
        self._out.note(status_text(self._session, self._client.status()))

    def _jobs(self, said: str) -> None:
        from agentos.interfaces.commands_jobs import live

        live(self._session, {"state": said or "all"})

    def _ps(self, rest: str) -> None:
        from agentos.interfaces.commands_ps import live

        live(self._session)

    def _top(self, rest: str) -> None:
        from agentos.interfaces.top import live

        live(self._session)

    def _syscalls(self, rest: str) -> None:
        self._out.note(table_text(self._client.request("GET", "/v1/syscalls")["syscalls"]))

    def _approvals(self, rest: str) -> None:
        waiting = self._pending()
        if not waiting:
            self._out.note(self._say("none_pending"))
        for row in waiting:
            name = str(row.get("id") or row.get("approval"))
            if rest and rest != name:
                continue
            answer = self._ask({**row, "approval": name, "args": row.get("arguments")})
            if answer:
                self._session.follow(self._client.answer(name, answer))
            elif not rest:
                self._out.note(row_text(row))

    def _undo(self, rest: str) -> None:
        self._session.follow(self._client.call("kernel.undo", {"item": rest} if rest else {}), hide=("plan",))

    def _quit(self, rest: str) -> None:
        self._left = True

    def _pending(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._client.request("GET", "/v1/approvals")["approvals"]
        return rows

    def _tell_pending(self) -> None:
        with contextlib.suppress(AgentosError):
            if waiting := self._pending():
                self._out.note(self._say("pending", len(waiting)))


def _model(said: dict[str, Any]) -> str:
    model = said.get("model")
    return str(model.get("name", "")) if isinstance(model, dict) else str(model or "")
