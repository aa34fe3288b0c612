"""Runs: a sentence or a call on its way through the graph, whoever still listens."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from agentos.errors import AgentosError, Failed, NotFound, UserError
from agentos.kernel import words
from agentos.kernel.graph import Graph, resume
from agentos.kernel.state import RunState
from agentos.policy.approvals import Refused
from agentos.registry import Registry
from agentos.store import Store
from agentos.types import Approval, Caller, Event, Json, Plan, Step

log = logging.getLogger(__name__)

_EXIT = {"denied": 3, "refused": 3, "user": 2, "held": 4}
_TABLE = """
create table if not exists runs (
    id text primary key, user text not null, state text not null, started real not null, ended real
);
"""


class Runs:
    """Starts, holds, continues and cancels runs. A run goes on when nobody listens any more."""

    def __init__(self, store: Store, graph: Graph, table: Registry, clock: Callable[[], float] = time.time) -> None:
        """Makes the table of runs."""
        self._store = store
        self._graph = graph
        self._table = table
        self._clock = clock
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        store.connection.executescript(_TABLE)

    def sentence(self, text: str, caller: Caller) -> AsyncIterator[Event]:
        """Plans a sentence and runs the plan.

        Raises:
            UserError: there is no sentence, or it is longer than 10,000 characters.
        """
        if not text.strip():
            raise UserError("there is nothing to do: the sentence is empty")
        if len(text) > 10_000:
            raise UserError(f"the sentence has {len(text)} characters; 10,000 is the most")
        return self._begin({"sentence": text.strip(), "language": words.language(text)}, caller)

    def call(
        self, syscall: str, args: Mapping[str, Json], caller: Caller, yes: bool, language: str
    ) -> AsyncIterator[Event]:
        """Runs one call, by the same way as a plan.

        Raises:
            UserError: there is no such syscall, or the arguments do not fit.
        """
        self._table[syscall].validate(args)
        plan = Plan("", (Step("s1", syscall, dict(args)),))
        return self._begin({"plan": plan.to_json(), "yes": yes, "language": language}, caller)

    def go_on(self, run: str, approval: str, answer: str, by: str, reason: str) -> AsyncIterator[Event]:
        """Continues a run that waits, with a person's answer to one of its held calls."""
        return self._listen(run, resume(approval, answer, by, reason))

    async def cancel(self, run: str, caller: Caller) -> bool:
        """Ends a run, its call's work included; False where it has ended.

        Raises:
            NotFound: there is no such run, or it is another person's.
        """
        row = self._store.connection.execute("select user from runs where id = ?", (run,)).fetchone()
        if row is None or (row[0] != caller.user and caller.role != "admin"):
            raise NotFound(f"there is no run {run!r}")
        tasks = list(self._tasks.get(run, ()))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        (state,) = self._store.connection.execute("select state from runs where id = ?", (run,)).fetchone()
        if state == "waiting":
            self._mark(run, "cancelled")
        return bool(tasks) or state == "waiting"

    async def recover(self, answered: Callable[[str], Approval | Refused | None] = lambda approval: None) -> list[str]:
        """At boot: goes on with every run that was cut off while it ran, or before it took an answer in; their ids.

        Args:
            answered: What a person said to a held call; None while it waits.
        """
        listed = "select id, state from runs where state in ('running', 'waiting') order by started"
        rows = self._store.connection.execute(listed).fetchall()
        for run, state in rows:
            if state == "running":
                self._drive(run, None)
            kept: RunState = (await self._graph.aget_state(_config(run))).values  # type: ignore[assignment]
            for approval in kept.get("held", {}).values():
                said = answered(approval)
                if said is not None:
                    word, why = (said.scope, "") if isinstance(said, Approval) else ("no", said.reason)
                    self._drive(run, resume(approval, word, said.by, why))
        return [run for run, state in rows if run in self._tasks]

    async def close(self) -> None:
        """Stops what runs, so that the next start goes on with it."""
        tasks = [task for several in self._tasks.values() for task in several]
        for task in tasks:
            task.cancel("closing")
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, state: RunState, caller: Caller) -> AsyncIterator[Event]:
        run = "r" + secrets.token_hex(5)
        with self._store.transaction() as db:
            db.execute("insert into runs values (?, ?, 'running', ?, null)", (run, caller.user, self._clock()))
        given: RunState = {"run": run, "caller": dataclasses.asdict(caller), **state}
        if "plan" in given:
            given["plan"] = {**given["plan"], "id": run}
        return self._listen(run, given)

    async def _listen(self, run: str, given: Any) -> AsyncIterator[Event]:
        events = self._drive(run, given)
        while (event := await events.get()) is not None:
            yield event

    def _drive(self, run: str, given: Any) -> asyncio.Queue[Event | None]:
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        before = list(self._tasks.get(run, ()))
        task = asyncio.create_task(self._in_turn(before, run, given, events))
        self._tasks.setdefault(run, []).append(task)
        task.add_done_callback(lambda done: self._forget(run, done))
        return events

    def _forget(self, run: str, task: asyncio.Task[None]) -> None:
        self._tasks[run].remove(task)
        if not self._tasks[run]:
            del self._tasks[run]

    async def _in_turn(
        self, before: list[asyncio.Task[None]], run: str, given: Any, events: asyncio.Queue[Event | None]
    ) -> None:
        """Works once what is under way on this run has come to its end: an answer may come while another one runs."""
        try:
            if before:
                await asyncio.wait(before)
        except asyncio.CancelledError:
            events.put_nowait(None)
            raise
        await self._work(run, given, events)

    async def _work(self, run: str, given: Any, events: asyncio.Queue[Event | None]) -> None:
        def tell(event: Event) -> None:
            events.put_nowait(Event(event.kind, {"run": run, **event.data}))

        config = _config(run)
        try:
            answers = given is not None and not isinstance(given, dict)
            if answers and not await self._waits(config, given.resume["approval"]):
                why = f"run {run!r} waits for no such answer; nothing was run"
                tell(Event("error", {"message": why, "kind": "user"}))
                tell(Event("end", {"ok": False, "exit_code": 2, "results": {}, "waiting": []}))
                return
            self._mark(run, "running")
            if isinstance(given, dict) and "plan" not in given:
                tell(Event("progress", {"message": "planning", "done": None, "total": None, "unit": ""}))
            if given is None and not (await self._graph.aget_state(config)).next:
                self._mark(run, "lost")  # it ended before its first checkpoint: nothing of it ever ran
                return
            stream = self._graph.astream(given, config, stream_mode=["custom", "updates"], durability="sync")
            async for mode, chunk in stream:
                if isinstance(chunk, Event):
                    tell(chunk)
                elif mode == "updates" and isinstance(chunk, dict):
                    for held in (item for waiting in chunk.get("__interrupt__", ()) for item in waiting.value):
                        tell(Event("held", held))
            state: RunState = (await self._graph.aget_state(config)).values  # type: ignore[assignment]
            end = _end(state)
            self._mark(run, "waiting" if state.get("held") else "done")
            tell(end)
        except asyncio.CancelledError as stopped:
            if "closing" not in stopped.args:
                self._mark(run, "cancelled")
            tell(Event("error", {"message": "cancelled; steps that were done stay done", "kind": "cancelled"}))
            tell(Event("end", {"ok": False, "exit_code": 130, "results": {}, "waiting": []}))
        except AgentosError as error:
            self._mark_failed(run)
            tell(Event("error", {"message": str(error), "kind": "failed" if error.exit_code == 1 else "user"}))
            tell(Event("end", {"ok": False, "exit_code": error.exit_code, "results": {}, "waiting": []}))
        except Exception:
            log.exception("run %s failed", run)
            self._mark_failed(run)
            tell(Event("error", {"message": "something in agentos broke; the log has the details", "kind": "failed"}))
            tell(Event("end", {"ok": False, "exit_code": 1, "results": {}, "waiting": []}))
        finally:
            events.put_nowait(None)

    async def _waits(self, config: Any, approval: str) -> bool:
        """Whether a run waits for that answer. What the graph is given is kept with its checkpoint, and a wrong answer
        would be found there by the next.
        """
        kept = await self._graph.aget_state(config)
        return "confirm" in kept.next and approval in kept.values.get("held", {}).values()

    def _mark_failed(self, run: str) -> None:
        try:
            self._mark(run, "failed")
        except Failed:  # the disk that stopped the run: its caller is told all the same, and the next boot goes on
            log.exception("run %s could not be marked as failed", run)

    def _mark(self, run: str, state: str) -> None:
        with self._store.transaction() as db:
            ended = None if state in ("running", "waiting") else self._clock()
            db.execute("update runs set state = ?, ended = ? where id = ?", (state, ended, run))


def _config(run: str) -> Any:
    return {"configurable": {"thread_id": run}, "recursion_limit": 100}


def _end(state: RunState) -> Event:
    """How a run ended, or why it waits."""
    results: dict[str, Json] = {name: given["result"] for name, given in state.get("results", {}).items()}
    waiting: list[Json] = list(state.get("held", {}).values())
    kinds = [failure["kind"] for failure in state.get("failures", {}).values() if failure["kind"] != "skipped"]
    code = 0
    if kinds:
        code = max(_EXIT.get(kind, 1) for kind in kinds)
    elif waiting:
        code = 4
    elif state.get("answered") not in ("", None, "chat"):
        code = 1
    return Event("end", {"ok": code == 0, "exit_code": code, "results": results, "waiting": waiting})
