"""validate -> policy -> confirm -> run -> audit, in that order, for every call from every door."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from agentos import tracing
from agentos.dispatch.allowance import Allowance, Unlimited
from agentos.dispatch.context import CallContext, Emit, Services
from agentos.dispatch.counting import Counts, Uncounted
from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, Failed, TooMany
from agentos.policy.limits import OverQuota
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Allowed, Approval, Call, Caller, Decision, Denied, Effect, Event, Json, NeedsPerson

Make = Callable[[CallContext], Awaitable[Any]]
_WORDS = {Allowed: "allow", NeedsPerson: "confirm", Denied: "deny"}


class Judge(Protocol):
    """The reference monitor."""

    def decide(self, call: Call, entry: Syscall, *, confirmed: bool = False) -> Decision:
        """Yes, yes once confirmed, or no."""
        ...

    def approves(self, call: Call, entry: Syscall, by: Caller) -> Decision:
        """Whether a caller may say yes to a call that waits."""
        ...


class Standing(Protocol):
    """Held calls, and yeses that hold for a session or always."""

    def covers(self, call: Call) -> Approval | None:
        """The standing yes that covers a call."""
        ...

    def full(self, call: Call) -> Denied | None:
        """No, where so many of a user's calls wait that this one cannot."""
        ...

    def hold(self, call: Call, effect: Effect, reason: str, run: str) -> str:
        """Keeps a call until a person answers; gives its id."""
        ...

    def settle(self, approval: str, answer: Literal["once", "no"], by: str, reason: str) -> None:
        """Closes a held call that no person has to answer any more."""
        ...


class Past(Protocol):
    """What became of an earlier call."""

    @property
    def outcome(self) -> str:
        """`pending`, `done`, `failed`, `refused`, `interrupted` or `cancelled`."""
        ...

    @property
    def detail(self) -> Json:
        """What it gave, or its error."""
        ...


class Trail(Protocol):
    """The audit trail, which is the record of what a call came to, too."""

    def outcome_of(self, call: str) -> Past | None:
        """What became of a call of that id, where it was let through."""
        ...

    def decided(
        self, call: Call, decision: Decision, approval: Approval | None = None, *, awaited: bool = False
    ) -> int:
        """Puts a decision on disk; gives the row. One that is `awaited` is there when `lasting` returns."""
        ...

    async def lasting(self, row: int) -> None:
        """Returns once a row is on disk."""
        ...

    def finished(self, row: int, outcome: Any, detail: Json = None, *, lasting: bool = True) -> None:
        """Puts on disk what became of an allowed call; where it need not be `lasting`, soon."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a call gave."""

    result: dict[str, Json]
    value: Any = None
    """The result as the syscall's own type; None where it was read back from the record."""


class Dispatcher:
    """Makes calls."""

    def __init__(
        self,
        table: Registry,
        judge: Judge,
        standing: Standing,
        trail: Trail,
        services: Services,
        *,
        names: Mapping[str, Callable[[str], str]] | None = None,
        made: Callable[[Syscall, object, str], None] = lambda entry, result, user: None,
        counts: Counts | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        """Wires the path.

        Args:
            table: The syscalls.
            judge: Decides.
            standing: Yeses given beforehand, and held calls.
            trail: Records decisions before effects, and outcomes after.
            services: What syscalls reach.
            names: For a parameter (`model`), how a name is made the one the rules know it by, so that
                an alias cannot pass a rule about the thing itself.
            made: Told of each finished call, so that what it made has an owner.
            counts: Told of decisions and of what becomes of calls.
            allowance: The quotas; none where None.
        """
        self._table = table
        self._judge = judge
        self._standing = standing
        self._trail = trail
        self._services = services
        self._names = names or {}
        self._made = made
        self._counts: Counts = counts or Uncounted()
        self._allowance: Allowance = allowance or Unlimited()

    def validated(self, call: Call) -> tuple[Call, Syscall]:
        """The call with its arguments checked, filled in, and under the names that rules know.

        Raises:
            UserError: there is no such syscall, or an argument does not fit.
        """
        entry = self._table[call.syscall]
        args = entry.validate(call.args)
        for name, known in self._names.items():
            said = args.get(name) if not entry.mount else None  # which knows other models and jobs than ours
            if isinstance(said, str):
                args[name] = known(said)
        return replace(call, args=args), entry

    def check(self, call: Call, yes: bool = False) -> Decision:
        """What policy says before the call is made; a standing yes counts, and so does what there is no room for.

        Args:
            call: The call.
            yes: Whether the caller says yes beforehand, so that it need not wait where they may.

        Raises:
            UserError: as `validated`.
        """
        call, entry = self.validated(call)
        decision = self._judge.decide(call, entry)
        if isinstance(decision, NeedsPerson) and self.covered(call, entry):
            confirmed = self._judge.decide(call, entry, confirmed=True)
            decision = confirmed if isinstance(confirmed, Allowed | Denied) else decision
        if isinstance(decision, NeedsPerson) and not (yes and self.confirms(call)):
            decision = self._standing.full(call) or decision
        return decision if isinstance(decision, Denied) else self._allowance.room(call, entry) or decision

    def confirms(self, call: Call) -> bool:
        """Whether the caller may say yes to their own call beforehand.

        Raises:
            UserError: as `validated`.
        """
        call, entry = self.validated(call)
        return isinstance(self._judge.approves(call, entry, call.caller), Allowed)

    def hold(self, call: Call, decision: NeedsPerson, run: str) -> str:
        """Keeps a call until a person answers; the hold itself is on the audit trail. Gives its id."""
        call, entry = self.validated(call)
        self._trail.decided(call, decision)
        self._counts.decided(call.syscall, "confirm")
        return self._standing.hold(call, entry.effect, decision.reason, run)

    def release(self, approval: str, decision: Decision | None) -> None:
        """Closes a held call that the rules decide by now, a standing yes among them, or that no longer validates."""
        answer: Literal["once", "no"] = "once" if isinstance(decision, Allowed) else "no"
        self._standing.settle(approval, answer, "policy", decision.rule if decision else "it no longer validates")

    def covered(self, call: Call, entry: Syscall) -> Approval | None:
        """The standing yes that covers a call, as long as who gave it still may."""
        found = self._standing.covers(call)
        if found is None:
            return None
        giver = Caller(found.by, "admin")  # of this role and their own policy takes the lower
        return found if isinstance(self._judge.approves(call, entry, giver), Allowed) else None

    async def run(
        self, call: Call, approval: Approval | None, emit: Emit, make: Make | None = None, *, answers: bool = False
    ) -> Outcome:
        """Makes the call, at most once: a call of an id that was made already gives what it gave then.

        Args:
            call: What policy judges and the trail records.
            approval: A person's yes to it.
            emit: Told of progress, and of text as it comes.
            make: Does what the syscall does, with more than its arguments say (a conversation in place of a prompt);
                the syscall itself where None.
            answers: Whether the answer is its only effect and nobody resumes it: it is asked for while the decision is
                put on disk, and nothing of it is let out before that is there.

        Raises:
            UserError: it does not validate.
            DeniedError: policy says no.
            ApprovalNeeded: a person must confirm it first.
            Failed: it could not be carried out, or was cut off and may have had its effect.
        """
        with tracing.span(call.syscall if call.syscall in self._table else "unknown syscall"):
            return await self._run(call, approval, emit, make, answers)

    async def _run(
        self, call: Call, approval: Approval | None, emit: Emit, make: Make | None, answers: bool
    ) -> Outcome:
        call, entry = self.validated(call)
        past = self._trail.outcome_of(call.id)
        if past is not None and not (entry.effect == "read" and past.outcome != "done"):
            return _again(call, past)
        approval = approval or self.covered(call, entry)
        row = self._let(call, entry, approval, awaited=answers)
        kept = asyncio.ensure_future(self._trail.lasting(row)) if answers else None
        result: Json = None
        pieces = 0

        async def counted(event: Event) -> None:
            nonlocal pieces
            await _there(kept)
            pieces += event.kind == "text"
            await emit(event)

        context = CallContext(self._services, call.caller, call.id, counted)
        outcome, started = "failed", time.perf_counter()
        try:
            try:
                value = await (entry.function(context, **call.args) if make is None else make(context))
            finally:
                await _there(kept)
            result = as_json(value)
            if not isinstance(result, dict):
                raise TypeError(f"{call.syscall} gave a {type(value).__name__}, and must give a dataclass")
            json.dumps(result)
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "cancelled"
            self._trail.finished(row, "cancelled", "cancelled", lasting=not answers)
            raise
        except AgentosError as error:
            self._trail.finished(row, "failed", str(error), lasting=not answers)
            if isinstance(error, OverQuota):  # by what the call itself began, a job: the trail says which rule it was
                self._trail.decided(call, error.decision)
                self._counts.decided(call.syscall, "deny")
            raise
        except Exception as error:
            self._trail.finished(row, "failed", type(error).__name__, lasting=not answers)
            raise
        finally:
            gave = result if outcome == "done" and isinstance(result, dict) else None
            self._allowance.settle(call, entry, gave, pieces, cancelled=outcome == "cancelled")
            self._counts.called(call.syscall, outcome, time.perf_counter() - started)
        self._made(entry, value, call.caller.user)
        self._trail.finished(row, "done", result, lasting=not answers)
        return Outcome(result, value)

    def _let(self, call: Call, entry: Syscall, approval: Approval | None, *, awaited: bool) -> int:
        """Lets a call through; gives the row of the trail that says so.

        Raises:
            DeniedError: policy, a quota or what waits already says no, which the trail has.
            ApprovalNeeded: a person must confirm it first.
            Failed: it could not be recorded; it must not run.
        """
        decision = self._judge.decide(call, entry, confirmed=approval is not None)
        if isinstance(decision, Allowed):
            decision = self._allowance.reserve(call, entry) or decision
        full = self._standing.full(call) if isinstance(decision, NeedsPerson) else None
        decision = full or decision
        try:
            row = self._trail.decided(call, decision, approval, awaited=awaited)
        except BaseException:
            self._allowance.settle(call, entry, None, 0)
            raise
        self._counts.decided(call.syscall, _WORDS[type(decision)])
        if isinstance(decision, NeedsPerson):
            raise ApprovalNeeded(f"{call.syscall} waits for a person: {decision.reason}", "")
        if isinstance(decision, Denied):
            error = TooMany if full else DeniedError
            raise error(f"{call.syscall} was denied to {call.caller.user} by {decision.rule}: {decision.reason}")
        return row


async def _there(kept: asyncio.Future[None] | None) -> None:
    """Returns once what is `kept` is on disk; who gives up meanwhile does not end that.

    Raises:
        Failed: it could not be put there.
    """
    if kept is not None:
        if not kept.done():
            await asyncio.wait([kept])
        kept.result()


def _again(call: Call, past: Past) -> Outcome:
    if past.outcome == "done" and isinstance(past.detail, dict):
        return Outcome(past.detail)
    if past.outcome in ("failed", "cancelled"):
        raise Failed(str(past.detail))
    raise Failed(
        f"{call.syscall} was cut off when the system ended, and may or may not have had its effect; it was not "
        "made again. Look at the state of things, then ask anew if need be."
    )


def as_json(value: Any) -> Json:
    """A result as JSON: dataclasses become objects, tuples lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return value  # type: ignore[no-any-return]
