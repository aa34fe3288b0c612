"""`from agentos import Client`: the system from Python, over the door that the command line uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.config import Settings, load
from agentos.errors import UserError
from agentos.interfaces.client import Client as Wire
from agentos.interfaces.client import Event
from agentos.interfaces.python_calls import Calls
from agentos.interfaces.python_events import HeldEvent, ProgressEvent, typed
from agentos.interfaces.python_run import Held, Run
from agentos.types.calls import Plan

Told = Callable[[ProgressEvent], None]


def settings_of(url: str, key: str, home: str | Path) -> Settings:
    """The settings in force, for another system where one is named.

    Raises:
        UserError: both a home and an address are named, or the settings are wrong.
    """
    if url and home:
        raise UserError("a system is reached by its url or by its home, not both; nothing was done")
    settings = load()
    if home:
        return replace(settings, home=Path(home).expanduser().absolute(), url="", key="")
    if url:  # the key of one system is not shown to another
        return replace(settings, url=url, key=key or (settings.key if url == settings.url else ""))
    return replace(settings, key=key) if key else settings


def wire(settings: Settings, user: str, session: str, autostart: bool, told: Told | None) -> Wire:
    """The way to a system."""

    def pass_on(said: Event) -> None:
        event = typed(said)
        if told is not None and isinstance(event, ProgressEvent):
            told(event)

    named = session or f"python-{uuid.uuid4().hex[:12]}"
    return Wire(settings, door="python", user=user, session=named, autostart=autostart, told=pass_on)


def sendable(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that can be sent.

    Raises:
        UserError: one is no JSON value.
    """
    for key, said in args.items():
        try:
            json.dumps(said)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name}: {key!r} cannot be sent: {error}. Nothing was done.") from None
    return dict(args)


def held_of(row: Mapping[str, Any]) -> HeldEvent:
    """A row of the calls that wait, as the stream tells it."""
    return HeldEvent(
        str(row["id"]), "", str(row["syscall"]), dict(row.get("arguments") or {}), str(row.get("effect") or ""),
        str(row.get("reason") or ""), dict(row.get("outside") or {}), str(row.get("run") or ""),
    )


class Client(Calls):
    """The system, for Python: `client.ask("…")`, and every syscall by its name, `client.models.load("…")`.

    Without arguments it is the system of this account, started if it does not run. Errors are those of
    `agentos.errors`. It can be used in a notebook, and by several threads.
    """

    def __init__(
        self, url: str = "", key: str = "", *, home: str | Path = "", user: str = "", session: str = "",
        autostart: bool = True, told: Told | None = None,
    ) -> None:
        """Connects at the first request.

        Args:
            url: A system on another machine, `https://HOST:PORT`; `AGENTOS_URL` by default.
            key: A key for it; `AGENTOS_KEY` by default.
            home: The folder of another system of this account; `AGENTOS_HOME` by default.
            user: Whom the owner speaks for.
            session: Approvals "for this session" hold for this one; a new one by default.
            autostart: Whether to start the system where it is not running.
            told: Given what calls tell of their progress.

        Raises:
            UserError: the settings are wrong.
        """
        self._told = told
        self._wire = wire(settings_of(url, key, home), user, session, autostart, told)

    def ask(self, sentence: str) -> Run:
        """Plans a sentence in English or Chinese and runs the plan; gives the run, which has begun.

        Raises:
            UserError: there is no sentence.
            DeniedError: the key is not one, or may not.
            Failed: the system cannot be reached.
        """
        return Run(self._wire, self._wire.run(sentence))

    def plan(self, sentence: str) -> Plan:
        """What a sentence comes to; nothing runs.

        Raises:
            AgentosError: as `ask`.
        """
        return Plan.from_json(self._wire.plan(sentence))

    def call(self, name: str, /, *, yes: bool = False, **args: Any) -> Any:
        """Makes one call and gives its result: `client.call("models.load", model="smollm2-135m")`.

        Args:
            name: The syscall, also one that only the system knows.
            yes: Confirms what the caller may confirm.
            args: Its arguments.

        Raises:
            UserError: there is no such syscall, or the arguments do not fit.
            DeniedError: policy says no.
            CallHeld: it waits for a person; `error.held.approve()` answers.
            Failed: it could not be done.
        """
        return self._make(name, args, yes)

    def approvals(self) -> list[Held]:
        """Calls that wait for a person: everybody's for an administrator, else the caller's own."""
        self._wire.wait()
        rows = self._wire.request("GET", "/v1/approvals")["approvals"]
        return [Held(held_of(row), Run(self._wire)) for row in rows]

    def status(self) -> dict[str, Any]:
        """How the system does; never starts it.

        Raises:
            NotRunning: there is none.
        """
        return self._wire.status()

    def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any:
        return Run(self._wire, self._telling(self._wire.call(name, sendable(name, args), yes))).result

    def _telling(self, events: Iterator[Event]) -> Iterator[Event]:
        for said in events:
            if self._wire.told is not None:
                self._wire.told(said)
            yield said

    def __repr__(self) -> str:
        """Which system it is."""
        return f"<agentos.Client of {self._wire.settings.url or str(self._wire.settings.home)!r}>"
