"""The LangGraph graph of one run: plan, authorize, confirm, run, repair, respond.

Every step of the graph is checkpointed before the next one starts. A call's id is made of the run and
the step, and the dispatcher makes a call of one id once: a run that goes on after a crash repeats
none that had an effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt

from agentos import tracing
from agentos.dispatch.dispatcher import Dispatcher
from agentos.errors import AgentosError, UserError
from agentos.kernel import direct, words
from agentos.kernel.context import Past
from agentos.kernel.conversing import Conversing
from agentos.kernel.planner import Correction, Planner, Usage
from agentos.kernel.state import RunState, call_for, outside, plan_of, ready, without_followers
from agentos.registry import Registry
from agentos.sealing import Sealer
from agentos.types import Allowed, Approval, Decision, Event, Json, NeedsPerson, Plan, Step

Graph = CompiledStateGraph[Any, Any, Any, Any]
FROM_CONTEXT = "from-context"
"""The rule by which a call that destroys waits where the conversation said what."""
Next = Literal["confirm", "run", "repair", "respond"]


class Nodes:
    """The graph's steps."""

    def __init__(
        self, planner: Planner, dispatcher: Dispatcher, table: Registry, ended: Callable[[RunState], None]
    ) -> None:
        """What the steps work with; `ended` hears of the end of every run of a sentence that says its plan itself."""
        self._ended = ended
        self._planner = planner
        self._conversing = Conversing(planner, table)
        self._dispatcher = dispatcher
        self._table = table

    async def plan(self, state: RunState) -> dict[str, Any]:
        """Makes the plan, where none was given."""
        if "plan" in state:
            self._emit(Event("plan", {"plan": state["plan"]}))
            return {"plan": state["plan"], "answered": state.get("answered", "")}
        past = Past.from_json(state.get("before", {}))
        with tracing.span("plan") as traced:
            meant = await self._conversing.plan(state["sentence"], state["run"], past)
            _traced(traced, len(meant.plan.steps), meant.answered, meant.usage)
        # A question that is asked again takes nothing more, and what it was asked with stays what it is.
        kept = meant.taken or (meant.lacking.taken if meant.lacking is not None else ())
        taken: list[Json] = [one.to_json() for one in kept]
        plan = meant.plan.to_json()
        self._emit(Event("plan", {"plan": plan, **({"taken": taken} if taken else {})}))
        if meant.said:
            self._emit(Event("reply", {"text": meant.said}))
        update = {
            "plan": plan, "answered": meant.answered, "taken": taken, "in_context": meant.before,
            "usage": asdict(meant.usage), "language": meant.language or state.get("language", "en"),
        }
        if meant.lacking is not None:
            update["lacking"] = meant.lacking.to_json()
        return update | ({"recalled": meant.past.to_json()} if past.said else {})

    async def authorize(self, state: RunState) -> Command[Next]:
        """Asks policy about every step that waits for nothing; what it denies runs into its denial."""
        approvals, held = dict(state.get("approvals", {})), dict(state.get("held", {}))
        free = []
        for step in ready(state):
            if step.id in approvals:
                free.append(step)
                continue
            decision = self._decision(state, step)
            if step.id in held and not isinstance(decision, NeedsPerson):
                self._dispatcher.release(held.pop(step.id), decision)
            if decision is None:
                free.append(step)
                continue
            call = call_for(state, step) if isinstance(decision, NeedsPerson) else None
            # A yes that was given beforehand was given by somebody who had not seen what came from outside.
            if call and state.get("yes") and not call.outside and self._dispatcher.confirms(call):
                approvals[step.id] = asdict(direct.yes_of(call))
                free.append(step)
            elif isinstance(decision, NeedsPerson):
                assert call is not None
                held[step.id] = held.get(step.id) or self._dispatcher.hold(call, decision, state["run"])
            else:
                free.append(step)
            said = direct.word(decision, confirmed=step.id not in held)
            told: dict[str, Json] = {"step": step.id, "decision": said, "rule": decision.rule}
            self._emit(Event("decision", told))
        update = {"approvals": approvals, "held": held}
        if free:
            return Command(goto="run", update=update)
        if held:
            return Command(goto="confirm", update=update)
        return Command(goto=self._after_all(state), update=update)

    def _decision(self, state: RunState, step: Step) -> Decision | None:
        """What policy says; None where the step does not validate, which running it will tell."""
        try:
            call = call_for(state, step)
            decision = self._dispatcher.check(call, bool(state.get("yes")) and not call.outside)
        except AgentosError:
            return None
        # A yes that holds beforehand was given to what is named, and here it was told by what was said before.
        if isinstance(decision, Allowed) and state.get("taken") and self._table[step.syscall].effect == "destroy":
            return NeedsPerson(FROM_CONTEXT, "what it destroys was not named but taken from the conversation")
        return decision

    async def confirm(self, state: RunState) -> Command[Literal["authorize"]]:
        """Waits, for days if need be, until a person has answered one of the held calls: whichever they name."""
        steps = {step.id: step for step in plan_of(state).steps}
        answer = interrupt([self._shown(state, steps[name], kept) for name, kept in state["held"].items()])
        approval = answer["approval"]
        step_id = next((name for name, kept in state["held"].items() if kept == approval), None)
        if step_id is None:
            raise UserError(f"this run does not wait for {approval!r}; nothing was run")
        held = {name: kept for name, kept in state["held"].items() if name != step_id}
        if answer["answer"] == "no":
            why = f": {answer['reason']}" if answer.get("reason") else ""
            refusal: dict[str, Any] = {"message": f"refused by {answer['by']}{why}", "kind": "refused"}
            failures = {**state.get("failures", {}), step_id: refusal}
            self._emit(Event("error", {"step": step_id, **refusal}))
            return Command(goto="authorize", update={"held": held, "failures": without_followers(state, failures)})
        approved = {"by": answer["by"], "scope": answer["answer"], "id": approval}
        return Command(
            goto="authorize", update={"held": held, "approvals": {**state.get("approvals", {}), step_id: approved}}
        )

    def _shown(self, state: RunState, step: Step, approval: str) -> dict[str, Any]:
        """Exactly what would run."""
        call, entry = self._dispatcher.validated(call_for(state, step))
        decision = self._decision(state, step)
        reason = decision.reason if isinstance(decision, NeedsPerson) else ""
        shown = {"approval": approval, "step": step.id, "syscall": call.syscall, "args": dict(call.args)}
        if call.outside:
            shown["outside"] = dict(call.outside)
        return {**shown, "effect": entry.effect, "reason": reason}

    async def run(self, state: RunState) -> dict[str, Any]:
        """Makes every call that may be made now, side by side."""
        steps = [step for step in ready(state) if step.id not in state.get("held", {})]
        outcomes = await asyncio.gather(*(self._run_step(state, step) for step in steps))
        results, failures = dict(state.get("results", {})), dict(state.get("failures", {}))
        for step, outcome in zip(steps, outcomes, strict=True):
            (results if "result" in outcome else failures)[step.id] = outcome
        return {"results": results, "failures": without_followers(state, failures)}

    async def _run_step(self, state: RunState, step: Step) -> dict[str, Any]:
        """What a step gave (`result`, `text`), or why it did not (`message`, `kind`)."""
        given = state.get("approvals", {}).get(step.id)
        approval = Approval(given["by"], given["scope"], given["id"]) if given else None  # type: ignore[arg-type]
        try:
            call = call_for(state, step)
        except AgentosError as error:
            failure = {"message": str(error), "kind": direct.kind_of(error)}
            self._emit(Event("error", {"step": step.id, "syscall": step.syscall, **failure}))
            return failure
        language = state.get("language", "en")
        gave = await direct.make(self._dispatcher, call, step.id, approval, language=language, tell=self._emit)
        if "result" in gave:
            gave["outside"] = outside(self._table[call.syscall], call, gave["result"])
        return gave

    def next_after_run(self, state: RunState) -> Literal["authorize", "repair", "respond"]:
        """More steps, a repair, or the end."""
        return "authorize" if ready(state) else self._after_all(state)

    def _after_all(self, state: RunState) -> Literal["repair", "respond"]:
        kinds = {failure["kind"] for failure in state.get("failures", {}).values()}
        mendable = "user" in kinds and not kinds & {"denied", "refused", "too_many"}
        alone = state.get("sentence") and not state.get("in_context")  # or a new plan would not know what was before
        return "repair" if mendable and alone and not state.get("repaired") else "respond"

    async def repair(self, state: RunState) -> Command[Literal["authorize", "respond"]]:
        """Gives the model its error once; a plan that is no different ends the run."""
        was = plan_of(state)
        failed = state["failures"]
        step, message = next((name, one["message"]) for name, one in failed.items() if one["kind"] == "user")
        if self._quotes(state, next(one for one in was.steps if one.id == step)):
            return Command(goto="respond", update={"repaired": True})
        with tracing.span("plan", agentos__plan__repair=True) as traced:
            planned = await self._planner.plan(state["sentence"], state["run"], Correction(was, message))
            _traced(traced, len(planned.plan.steps), planned.answered, planned.usage)
        usage = asdict(Usage(**state.get("usage", {})) + planned.usage)
        kept = {step.id: state["results"][step.id] for step in was.steps if step.id in state.get("results", {})}
        same = {(s.syscall, repr(dict(s.args))) for s in planned.plan.steps} <= {
            (s.syscall, repr(dict(s.args))) for s in was.steps
        }
        if not planned.plan.steps or same:
            return Command(goto="respond", update={"repaired": True, "usage": usage})
        done = {step.id: step for step in was.steps if step.id in kept}
        fresh = [step for step in planned.plan.steps if not _made_already(step, done)]
        renamed = {step.id: _same_step(step, done) or f"r{step.id}" for step in planned.plan.steps}
        steps = [*done.values(), *(_renamed(step, renamed) for step in fresh)]
        plan = Plan(was.id, tuple(steps), None)
        self._emit(Event("plan", {"plan": plan.to_json(), "repaired": True}))
        update = {
            "plan": plan.to_json(), "failures": {}, "repaired": True, "attempt": state.get("attempt", 0) + 1,
            "usage": usage,
        }
        return Command(goto="authorize", update=update)

    def _quotes(self, state: RunState, step: Step) -> bool:
        """Whether a step's error may quote text from outside, of which no plan is made."""
        return self._table[step.syscall].untrusted or bool(call_for(state, step).outside)

    async def respond(self, state: RunState) -> dict[str, Any]:
        """Says what is left to say; what a step gave was shown when it gave it."""
        plan = plan_of(state)
        reply = plan.reply
        if reply is None and state.get("failures"):
            count, done = len(plan.steps), len(state.get("results", {}))
            if count > 1:
                reply = words.partly(state.get("sentence", ""), done, count)
        if reply:
            self._emit(Event("reply", {"text": reply}))
        if state.get("sentence") and not state.get("in_context"):
            self._ended(state)
        return {}

    def _emit(self, event: Event) -> None:
        get_stream_writer()(event)


def build(
    planner: Planner, dispatcher: Dispatcher, table: Registry, saver: BaseCheckpointSaver[Any],
    ended: Callable[[RunState], None] = lambda state: None,
) -> Graph:
    """The graph, checkpointed by `saver`."""
    nodes = Nodes(planner, dispatcher, table, ended)
    graph = StateGraph(RunState)
    graph.add_node("plan", nodes.plan)
    graph.add_node("authorize", nodes.authorize)
    graph.add_node("confirm", nodes.confirm)
    graph.add_node("run", nodes.run)
    graph.add_node("repair", nodes.repair)
    graph.add_node("respond", nodes.respond)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "authorize")
    graph.add_conditional_edges("run", nodes.next_after_run)
    graph.add_edge("respond", END)
    return graph.compile(checkpointer=saver)


async def checkpoints(database: Path) -> aiosqlite.Connection:
    """A connection for `saver_on`, to the system's own database.

    It commits by itself: the saver awaits between a write and its commit, and a lock held there would
    stall the store, which waits for it on the event loop.
    """
    connection = await aiosqlite.connect(database, timeout=30, isolation_level=None)
    await connection.execute("pragma synchronous=normal")
    return connection


class _Sealed:
    """What LangGraph asks of a cipher."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "agentos", self._sealer.seal(plaintext, "")

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return self._sealer.open(ciphertext, "")


def saver_on(connection: aiosqlite.Connection, sealer: Sealer) -> BaseCheckpointSaver[Any]:
    """Checkpoints in SQLite, sealed: they hold what people said and what calls gave. Ones in clear are still read."""
    return AsyncSqliteSaver(connection, serde=EncryptedSerializer(_Sealed(sealer)))


def resume(approval: str, answer: str, by: str, reason: str) -> Command[Any]:
    """What goes into a graph that waits for a person: their answer, and to which held call."""
    return Command(resume={"approval": approval, "answer": answer, "by": by, "reason": reason})


def _traced(span: tracing.Span, steps: int, answered: str, usage: Usage) -> None:
    """How much a plan is and took."""
    span.set("agentos.plan.steps", steps)
    span.set("agentos.plan.answered", answered or "plan")
    span.set("gen_ai.usage.input_tokens", usage.prompt)
    span.set("gen_ai.usage.output_tokens", usage.written)


def _same_step(step: Step, done: dict[str, Step]) -> str | None:
    alike = [name for name, old in done.items() if old.syscall == step.syscall and dict(old.args) == dict(step.args)]
    return alike[0] if alike else None


def _made_already(step: Step, done: dict[str, Step]) -> bool:
    return _same_step(step, done) is not None


def _renamed(step: Step, names: dict[str, str]) -> Step:
    def swap(value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            name, _, field = value["$ref"].partition(".")
            return {"$ref": f"{names.get(name, name)}.{field}"}
        return [swap(item) for item in value] if isinstance(value, list) else value

    args = {name: swap(value) for name, value in step.args.items()}
    return Step(names[step.id], step.syscall, args, tuple(names.get(name, name) for name in step.after))
