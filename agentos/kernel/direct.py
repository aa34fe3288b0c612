"""One call without a plan: through dispatch like any step, without the graph that several steps and waiting need.

The graph writes a checkpoint before each of its steps, which a single call would pay for and never read: a call
that waits for nobody either was made, which the audit trail says, or was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, Retry, TooMany, UserError
from agentos.kernel.render import render
from agentos.syscall import Syscall
from agentos.types import Approval, Call, Decision, Denied, Event, Json, NeedsPerson

Tell = Callable[[Event], None]
YES = "--yes"
"""What stands for the held call where a yes was given beforehand."""


class Dispatch(Protocol):
    """The only path to a syscall."""

    def validated(self, call: Call) -> tuple[Call, Syscall]:
        """The call with its arguments checked, under the names that rules know."""
        ...

    def check(self, call: Call, yes: bool = False) -> Decision:
        """What policy says before the call is made; with `yes` to whom says it beforehand."""
        ...

    def confirms(self, call: Call) -> bool:
        """Whether the caller may say yes to the call beforehand."""
        ...

    async def run(self, call: Call, approval: Approval | None, emit: Any) -> Any:
        """Makes the call."""
        ...


@dataclass(frozen=True)
class Ready:
    """A call that may be made, or denied, at once."""

    decision: Decision
    approval: Approval | None


def ready(dispatcher: Dispatch, call: Call, yes: bool) -> Ready | None:
    """The call where no person has to be waited for; None where one has, or where it does not validate.

    Args:
        dispatcher: Asked what policy says.
        call: The call.
        yes: Whether the caller confirms it beforehand, as far as they may.
    """
    try:
        decision = dispatcher.check(call, yes)
    except AgentosError:
        return None
    if not isinstance(decision, NeedsPerson):
        return Ready(decision, None)
    return Ready(decision, yes_of(call)) if yes and dispatcher.confirms(call) else None


def yes_of(call: Call) -> Approval:
    """The yes that a caller gave beforehand."""
    return Approval(call.caller.user, "once", YES)


def word(decision: Decision, confirmed: bool = True) -> str:
    """A decision as an event says it."""
    if isinstance(decision, Denied):
        return "deny"
    return "allow" if confirmed or not isinstance(decision, NeedsPerson) else "confirm"


async def make(
    dispatcher: Dispatch, call: Call, step: str, approval: Approval | None, *, language: str, tell: Tell
) -> dict[str, Any]:
    """What a call gave (`result`, `text`), or why it did not (`message`, `kind`); all is told as it happens."""

    async def emit(event: Event) -> None:
        tell(Event(event.kind, {"step": step, "syscall": call.syscall, **event.data}))

    try:
        outcome = await dispatcher.run(call, approval, emit)
    except AgentosError as error:
        failure: dict[str, Any] = {"message": str(error), "kind": kind_of(error)}
        await emit(Event("error", failure))
        return failure
    shown = outcome.result if outcome.value is None else outcome.value
    gave: dict[str, Json] = {"result": outcome.result, "text": render(shown, language)}
    await emit(Event("result", gave))
    return gave


def kind_of(error: AgentosError) -> str:
    """An error in one word: who must act."""
    kinds: list[tuple[type[AgentosError], str]] = [
        (TooMany, "too_many"), (DeniedError, "denied"), (ApprovalNeeded, "held"), (UserError, "user"), (Retry, "retry"),
    ]
    return next((said for kind, said in kinds if isinstance(error, kind)), "failed")
