"""Runs: a sentence or a call on its way through the graph, whoever still listens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentos import tracing
from agentos.errors import AgentosError, Failed, NotFound, UserError
from agentos.kernel import direct, words
from agentos.kernel.context import Before, Conversations
from agentos.kernel.direct import Dispatch
from agentos.kernel.edited import edited
from agentos.kernel.graph import Graph, resume
from agentos.kernel.heard import Heard
from agentos.kernel.state import RunState
from agentos.policy.held import Refused
from agentos.registry import Registry
from agentos.sealing import Unreadable
from agentos.store import Store
from agentos.types import Approval, Call, Caller, Event, Json, Plan, Step

log = logging.getLogger(__name__)

LONGEST = 10_000
"""Characters of a sentence."""
_EXIT = {"denied": 3, "too_many": 3, "refused": 3, "user": 2, "held": 4}
_TABLE = """
create table if not exists runs (
    id text primary key, user text not null, state text not null, started real not null, ended real
);
"""


@dataclass(frozen=True)
class _Done:
    """What became of a run's work."""

    state: str
    """What the run is now; empty: what it was."""
    end: Event | None = None


Work = Callable[[direct.Tell], Awaitable[_Done]]


class Runs:
    """Starts, holds, continues and cancels runs. A run goes on when nobody listens any more."""

    def __init__(
        self, store: Store, graph: Graph, table: Registry, dispatcher: Dispatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Makes the table of runs."""
        self._store = store
        self._dispatcher = dispatcher
        self._graph = graph
        self._table = table
        self._clock = clock
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._talks = Conversations()
        store.connection.executescript(_TABLE)

    def sentence(
        self, text: str, caller: Caller, plan: str = "", before: Before | None = None
    ) -> AsyncIterator[Event]:
        """Plans a sentence and runs the plan, or runs the one that the person has made of it.

        Args:
            text: The sentence.
            caller: Whose it is.
            plan: In the plan language, as the person edited it; the model's own where empty.
            before: What the client says of the conversation; where None, the caller's session is one.

        Raises:
            UserError: there is no sentence, it is longer than 10,000 characters, or the plan does not fit the table.
        """
        if not text.strip():
            raise UserError("there is nothing to do: the sentence is empty")
        if len(text) > LONGEST:
            raise UserError(f"the sentence has {len(text)} characters; {LONGEST:,} is the most")
        run = _new()
        given: RunState = {"run": run, "caller": dataclasses.asdict(caller), "language": words.language(text)}
        if plan:  # without its sentence, so that no model mends what a person has written
            given["plan"] = edited(plan, self._table, run).to_json()
        else:
            given["sentence"] = text.strip()
        self._open(run, caller)
        past = self._talks.begin(run, caller, before)
        if not plan and (past.turns or past.said):
            given["before"] = past.to_json()
        return self._listen(run, self._graphed(run, given))

    def call(
        self, syscall: str, args: Mapping[str, Json], caller: Caller, yes: bool, language: str
    ) -> AsyncIterator[Event]:
        """Runs one call: through dispatch, and through the graph where a person must be waited for.

        Raises:
            UserError: there is no such syscall, or the arguments do not fit.
        """
        self._table[syscall].validate(args)
        run, step = _new(), Step("s1", syscall, dict(args))
        plan = Plan(run, (step,))
        call = Call(f"{run}.0.{step.id}", syscall, step.args, caller)
        now = direct.ready(self._dispatcher, call, yes)
        self._open(run, caller, lasting=now is None)  # a single call's audit row follows, and puts both on disk
        if now is None:
            given: RunState = {"plan": plan.to_json(), "yes": yes, "language": language}
            return self._listen(run, self._graphed(run, {"run": run, "caller": dataclasses.asdict(caller), **given}))
        return self._listen(run, lambda tell: self._made(call, plan, now, language, tell))

    def go_on(self, run: str, approval: str, answer: str, by: str, reason: str) -> AsyncIterator[Event]:
        """Continues a run that waits, with a person's answer to one of its held calls."""
        return self._listen(run, self._graphed(run, resume(approval, answer, by, reason)))

    async def cancel(self, run: str, caller: Caller) -> bool:
        """Ends a run, its call's work included; False where it has ended.

        Raises:
            NotFound: there is no such run, or it is another person's.
        """
        row = self._store.connection.execute("select user from runs where id = ?", (run,)).fetchone()
        others = caller.role == "admin" and caller.scope is None  # a key that is for less ends no other person's
        if row is None or (row[0] != caller.user and not others):
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
            try:
                kept: RunState = (await self._graph.aget_state(_config(run))).values  # type: ignore[assignment]
            except Unreadable as error:
                log.error("run %s cannot go on: %s", run, error)
                self._mark_failed(run)
                continue
            if state == "running":
                self._drive(run, self._graphed(run, None)).gone = True
            for approval in kept.get("held", {}).values():
                said = answered(approval)
                if said is not None:
                    word, why = (said.scope, "") if isinstance(said, Approval) else ("no", said.reason)
                    self._drive(run, self._graphed(run, resume(approval, word, said.by, why))).gone = True
        return [run for run, state in rows if run in self._tasks]

    async def close(self) -> None:
        """Stops what runs, so that the next start goes on with it."""
        tasks = [task for several in self._tasks.values() for task in several]
        for task in tasks:
            task.cancel("closing")
        if tasks:
            await asyncio.wait(tasks)

    def _open(self, run: str, caller: Caller, lasting: bool = True) -> None:
        with self._store.transaction(lasting) as db:
            db.execute("insert into runs values (?, ?, 'running', ?, null)", (run, caller.user, self._clock()))

    async def _listen(self, run: str, work: Work) -> AsyncIterator[Event]:
        async with contextlib.aclosing(self._drive(run, work).hear()) as heard:
            async for event in heard:
                yield event

    def _drive(self, run: str, work: Work) -> Heard:
        events = Heard()
        before = list(self._tasks.get(run, ()))
        task = asyncio.create_task(self._in_turn(before, run, work, events))
        self._tasks.setdefault(run, []).append(task)
        task.add_done_callback(lambda done: self._forget(run, done))
        return events

    def _forget(self, run: str, task: asyncio.Task[None]) -> None:
        self._tasks[run].remove(task)
        if not self._tasks[run]:
            del self._tasks[run]

    async def _in_turn(
        self, before: list[asyncio.Task[None]], run: str, work: Work, events: Heard
    ) -> None:
        """Works once what is under way on this run has come to its end: an answer may come while another one runs."""
        try:
            if before:
                await asyncio.wait(before)
        except asyncio.CancelledError:
            events.tell(None)
            raise
        await self._work(run, work, events)

    async def _work(self, run: str, work: Work, events: Heard) -> None:
        def tell(event: Event) -> None:
            events.tell(Event(event.kind, {"run": run, **event.data}))

        try:
            with tracing.span("run", agentos__run__id=run):
                done = await work(tell)
            if done.state:
                self._mark(run, done.state)
            if done.end is not None:
                tell(done.end)
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
            events.tell(None)

    async def _made(self, call: Call, plan: Plan, now: direct.Ready, language: str, tell: direct.Tell) -> _Done:
        """A single call, made."""
        tell(Event("plan", {"plan": plan.to_json()}))
        step = plan.steps[0].id
        tell(Event("decision", {"step": step, "decision": direct.word(now.decision), "rule": now.decision.rule}))
        outcome = await direct.make(self._dispatcher, call, step, now.approval, language=language, tell=tell)
        kept: RunState = {("results" if "result" in outcome else "failures"): {step: outcome}}  # type: ignore[misc]
        return _Done("done", _end(kept))

    def _graphed(self, run: str, given: Any) -> Work:
        """A run's way through the graph, from its beginning, from where it was cut off, or from an answer on."""
        return lambda tell: self._through(run, given, tell)

    async def _through(self, run: str, given: Any, tell: direct.Tell) -> _Done:
        config = _config(run)
        kept = None if isinstance(given, dict) else await self._graph.aget_state(config)
        if given is not None and kept is not None:
            if not _waits(kept, given.resume["approval"]):
                why = f"run {run!r} waits for no such answer; nothing was run"
                tell(Event("error", {"message": why, "kind": "user"}))
                return _Done("", Event("end", {"ok": False, "exit_code": 2, "results": {}, "waiting": []}))
            self._mark(run, "running")
        if isinstance(given, dict) and "plan" not in given:
            tell(Event("progress", {"message": "planning", "done": None, "total": None, "unit": ""}))
        if given is None and kept is not None and not kept.next:
            return _Done("lost")  # it ended before its first checkpoint, or was a single call: the audit trail has it
        stream = self._graph.astream(given, config, stream_mode=["custom", "updates"], durability="sync")
        async for mode, chunk in stream:
            if isinstance(chunk, Event):
                tell(chunk)
            elif mode == "updates" and isinstance(chunk, dict):
                for held in (item for waiting in chunk.get("__interrupt__", ()) for item in waiting.value):
                    tell(Event("held", held))
                if isinstance(given, dict) and isinstance(made := chunk.get("plan"), dict):
                    self._talks.keep({**given, **made}, self._table, self._dispatcher.validated)  # type: ignore[typeddict-item]
        state: RunState = (await self._graph.aget_state(config)).values  # type: ignore[assignment]
        self._talks.keep(state, self._table, self._dispatcher.validated)
        told = kept.values.get("usage") if kept is not None else None
        return _Done("waiting" if state.get("held") else "done", _end(state, told))

    def _mark_failed(self, run: str) -> None:
        try:
            self._mark(run, "failed")
        except Failed:  # the disk that stopped the run: its caller is told all the same, and the next boot goes on
            log.exception("run %s could not be marked as failed", run)

    def _mark(self, run: str, state: str) -> None:
        with self._store.transaction() as db:
            ended = None if state in ("running", "waiting") else self._clock()
            db.execute("update runs set state = ?, ended = ? where id = ?", (state, ended, run))


def _new() -> str:
    return "r" + secrets.token_hex(5)


def _config(run: str) -> Any:
    return {"configurable": {"thread_id": run}, "recursion_limit": 100}


def _waits(kept: Any, approval: str) -> bool:
    """Whether a run waits for that answer. What the graph is given is kept with its checkpoint, and a wrong answer
    would be found there by the next.
    """
    return "confirm" in kept.next and approval in kept.values.get("held", {}).values()


def _end(state: RunState, told: Mapping[str, int] | None = None) -> Event:
    """How a run ended, or why it waits; with what its planner's model was asked, less what was told of before."""
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
    used: dict[str, Json] = {name: n - (told or {}).get(name, 0) for name, n in state.get("usage", {}).items()}
    end: dict[str, Json] = {"ok": code == 0, "exit_code": code, "results": results, "waiting": waiting}
    return Event("end", {**end, "usage": used} if used else end)
