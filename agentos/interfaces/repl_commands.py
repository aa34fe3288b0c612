"""What begins with a slash at the prompt."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any, Protocol

from prompt_toolkit.history import History
from prompt_toolkit.shortcuts import clear

from agentos.errors import UserError
from agentos.interfaces.client import Event
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.commands_policy import row_text
from agentos.interfaces.commands_system import status_text, table_text
from agentos.interfaces.repl_watch import Beside
from agentos.interfaces.session import Session
from agentos.interfaces.show import Printer, clean, colourful, moving, plain

_LINES = 20
_LANGUAGES = ("en", "zh")


class Sitting(Protocol):
    """The prompt that the commands are typed at."""

    left: bool

    def edit(self, sentence: str) -> None:
        """Plans, lets edit and runs."""
        ...

    def correct(self, rest: str) -> None:
        """Keeps the right plan of what was said last."""
        ...

    def ask(self, call: Event) -> str:
        """Shows a held call and takes the answer."""
        ...


class Commands:
    """The commands of one sitting, by name."""

    def __init__(self, sitting: Sitting, session: Session, beside: Beside, history: History) -> None:
        """Commands for a prompt, its system, what goes on beside it, and what was typed before."""
        self._sitting, self._session, self._beside, self._history = sitting, session, beside, history
        self._say, self._out, self._client = session.say, session.printer, session.client
        self._made: dict[str, Callable[[str], None]] = {
            "/help": self._help, "/plan": self._plan, "/edit": lambda rest: sitting.edit(self._needed("/edit", rest)),
            "/correct": sitting.correct, "/undo": self._undo, "/approvals": self._approvals, "/jobs": self._jobs,
            "/logs": self._logs, "/models": self._models, "/runs": self._runs, "/ps": self._ps, "/top": self._top,
            "/status": self._status, "/syscalls": self._syscalls, "/who": self._who, "/history": self._typed,
            "/lang": self._lang, "/clear": lambda rest: clear(), "/quit": self._quit, "/exit": self._quit,
        }

    @property
    def names(self) -> list[str]:
        """All of them."""
        return list(self._made)

    def run(self, name: str, rest: str) -> None:
        """Runs one with what stands after it.

        Raises:
            UserError: there is none of that name.
        """
        if name not in self._made:
            raise UserError(self._say("unknown_command", clean(name, lines=False)))
        self._made[name](rest)

    def pending(self) -> list[dict[str, Any]]:
        """Calls that wait for the person."""
        rows: list[dict[str, Any]] = self._client.request("GET", "/v1/approvals")["approvals"]
        return rows

    def _needed(self, name: str, rest: str) -> str:
        if not rest:
            raise UserError(self._say("needs_text", name))
        return rest

    def _help(self, rest: str) -> None:
        names = [name for name in self._made if name != "/exit"]
        wide = max(map(len, [*names, "!COMMAND"]))
        for name in names:
            self._out.note(f"  {name:{wide}}  {self._say(f'help_{name[1:]}' if name != '/help' else 'help')}")
        self._out.note(f"  {'!COMMAND':{wide}}  {self._say('help_shell')}")
        self._out.note(self._say("help_keys"))

    def _plan(self, rest: str) -> None:
        made = self._client.plan(self._needed("/plan", rest))
        Printer(sys.stdout, sys.stdout, self._say).plan(made)
        if made.get("reply"):
            self._out.note(clean(str(made["reply"])))

    def _status(self, rest: str) -> None:
        self._out.note(status_text(self._session, self._client.status()))

    def _jobs(self, rest: str) -> None:
        from agentos.interfaces.commands_jobs import live

        live(self._session, {"state": rest or "all"})

    def _logs(self, rest: str) -> None:
        self._call("jobs.logs", {"job": self._needed("/logs", rest), "follow": True})

    def _models(self, rest: str) -> None:
        self._call("models.list", {"state": rest or "all"})

    def _runs(self, rest: str) -> None:
        from agentos.interfaces import commands_training, plots

        if not rest:
            room = shutil.get_terminal_size((80, 24)).columns - 1
            self._out.note("\n".join(commands_training.table(commands_training.listed(self._client), room)))
            return
        told = {run: commands_training.events(self._client, run) for run in rest.split()}
        curves = {clean(run, lines=False): plots.curve(events, "loss") for run, events in told.items()}
        size = shutil.get_terminal_size((80, 24))
        ascii_only = plain(sys.stdout)
        if moving(sys.stdout) and any(curves.values()):
            height = min(20, size.lines - 2)
            self._out.note(plots.terminal(curves, size.columns, height, colourful(sys.stdout), ascii_only))
        rows = {row["run"]: row for row in commands_training.listed(self._client)["runs"]}
        for run, events in told.items():
            shown = commands_training.shown(rows.get(run, {"run": run}), events, ascii_only)
            self._out.note("\n".join(shown))

    def _ps(self, rest: str) -> None:
        from agentos.interfaces.commands_ps import live

        live(self._session)

    def _top(self, rest: str) -> None:
        from agentos.interfaces.top import live

        live(self._session)

    def _syscalls(self, rest: str) -> None:
        self._out.note(table_text(self._client.request("GET", "/v1/syscalls")["syscalls"]))

    def _who(self, rest: str) -> None:
        me = self._client.request("GET", "/v1/brief")
        self._out.note(self._say("who", clean(str(me["user"]), lines=False), me["role"]))
        if me["role"] == "admin":
            users = self._client.request("GET", "/v1/users")["users"]
            rows = [[clean(str(user["name"]), lines=False), clean(str(user["role"]), lines=False)] for user in users]
            room = shutil.get_terminal_size((80, 24)).columns - 1
            titles = [Column(self._say("who_user")), Column(self._say("who_role"))]
            self._out.note("\n".join(laid(titles, rows, room)))

    def _approvals(self, rest: str) -> None:
        waiting = self.pending()
        if not waiting:
            self._out.note(self._say("none_pending"))
        for row in waiting:
            name = str(row.get("id") or row.get("approval"))
            if rest and rest != name:
                continue
            answer = self._sitting.ask({**row, "approval": name, "args": row.get("arguments")})
            if answer:
                self._session.follow(self._client.answer(name, answer))
            elif not rest:
                self._out.note(row_text(row))

    def _undo(self, rest: str) -> None:
        self._call("kernel.undo", {"item": rest} if rest else {})

    def _typed(self, rest: str) -> None:
        lines = [line for line in self._history.get_strings() if rest.lower() in line.lower()]
        self._out.note("\n".join(clean(line) for line in lines[-_LINES:]) or self._say("no_history"))

    def _lang(self, rest: str) -> None:
        if rest and rest not in _LANGUAGES:
            raise UserError(self._say("lang_what"))
        self._say.language = rest or self._say.language
        self._out.note(self._say("lang_now"))

    def _quit(self, rest: str) -> None:
        self._sitting.left = True

    def _call(self, name: str, args: dict[str, Any]) -> None:
        self._session.follow(self._client.call(name, args), hide=("plan",))
