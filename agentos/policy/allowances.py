"""What a call may take of somebody's quotas at most, before it is made, and what it took, after."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentos.policy.limits import OverQuota
from agentos.policy.quotas import Quotas
from agentos.syscall import Syscall
from agentos.types import Call, Caller, Denied, Json

Price = Callable[[str], tuple[float, float] | None]
"""US dollars for a token read and for one written, of a model by its name; None where nobody asks for any."""
_TEMPLATE = 64
"""Tokens that a model's own form puts around a prompt, at most."""
_PER_TOKEN = 4
"""Bytes of text that a token stands for, where nobody counted."""
_READ = ("prompt", "text", "messages", "input")


class Allowances:
    """What the dispatcher asks before a call and tells after it."""

    def __init__(self, quotas: Quotas, price: Price) -> None:
        """Reserves from and settles with `quotas`."""
        self._quotas, self._price = quotas, price

    def room(self, call: Call, entry: Syscall) -> Denied | None:
        """No, where a quota has no room for a call."""
        return self._ask(call, entry, dry=True)

    def reserve(self, call: Call, entry: Syscall) -> Denied | None:
        """Takes the most that a call may need; no, where a quota has no room, and nothing was taken."""
        return self._ask(call, entry, dry=False)

    def settle(
        self, call: Call, entry: Syscall, result: Mapping[str, Json] | None, pieces: int, *, cancelled: bool = False
    ) -> None:
        """Counts what a call took.

        Args:
            call: Which.
            entry: The syscall.
            result: What it gave; None where it failed or was cancelled.
            pieces: Of text that it has told, of about a token each.
            cancelled: Whether it was cancelled: a remote model may have been sent the prompt by then, and who runs it
                asks for what it read.
        """
        if self._quotas.since(call.id) is None:
            return
        most = self._most(call, entry)
        if result is None:  # a provider may ask for all of it, and nobody says
            about, asks = self._about(call), self._price(str(call.args.get("model", "")))
            took = {"tokens": pieces + about, "cost": most.get("cost", 0.0)} if pieces else {}
            if not pieces and cancelled and asks is not None and "tokens" in most:
                took = {"tokens": about, "cost": about * asks[0]}
            self._quotas.settle(call.id, took)
            return
        tokens, read = _number(result.get("tokens")), result.get("prompt_tokens")
        if "max_tokens" in call.args:
            tokens += _number(read) if isinstance(read, int) and read else self._about(call)
        price = self._price(str(call.args.get("model", "")))
        cost = result.get("cost")
        paid = _number(cost) if cost is not None else tokens * price[0] if price else 0.0
        self._quotas.settle(call.id, {"tokens": tokens, "cost": paid})

    def sentence(self, caller: Caller) -> None:
        """Counts a sentence that is to be planned.

        Raises:
            OverQuota: the caller's requests are used up; nothing was planned.
        """
        self._quotas.reserve("", caller.user, {"requests": 1.0})

    def _ask(self, call: Call, entry: Syscall, *, dry: bool) -> Denied | None:
        try:
            self._quotas.reserve(call.id, call.caller.user, self._most(call, entry), dry=dry)
        except OverQuota as error:
            return error.decision
        return None

    def _most(self, call: Call, entry: Syscall) -> dict[str, float]:
        found = {"requests": 1.0}
        if entry.family != "models" or entry.effect != "execute":
            return found
        read, wrote = float(_bytes(call) + _TEMPLATE), _number(call.args.get("max_tokens"))
        found["tokens"] = read + wrote
        price = self._price(str(call.args.get("model", "")))
        if price is not None:
            found["cost"] = read * price[0] + wrote * price[1]
        return found

    def _about(self, call: Call) -> float:
        return float(-(-_bytes(call) // _PER_TOKEN))


def _bytes(call: Call) -> int:
    """How long the texts are that a model is to read; no token stands for less than a byte."""
    said = [call.args.get(name) for name in _READ]
    return sum(len(str(part).encode("utf-8", "replace")) for part in said if part is not None)


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
