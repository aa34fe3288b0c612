"""Conversations that clients keep themselves: which run answered last in one, told by what was said until then."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence

from agentos.interfaces.openai_shapes import Turn, joined
from agentos.kernel.context import Before
from agentos.kernel.runs import LONGEST
from agentos.types import Caller

_MOST = 4096


class Threads:
    """The last run of each conversation, each person's own."""

    def __init__(self) -> None:
        """Nothing was said."""
        self._runs: OrderedDict[str, str] = OrderedDict()

    def before(self, caller: Caller, messages: Sequence[Turn], session: str) -> Before | None:
        """What came before the last message; None where the caller's session says that.

        Of a message that is too long for a sentence nothing is known, nor of what was said before it.

        Args:
            caller: Whose conversation it is.
            messages: All of it that the client sends, which is what counts where it sends more than a sentence.
            session: The conversation's name, where the client gives it one.
        """
        said = [joined(turn.content).strip() for turn in messages[:-1] if turn.role == "user"]
        if not said:
            return None if session else Before()
        long = max((at + 1 for at, one in enumerate(said) if len(one) > LONGEST), default=0)
        return Before(self._runs.get(_key(caller, messages[:-1]), ""), tuple(filter(None, said[long:])))

    def answered(self, caller: Caller, messages: Sequence[Turn], reply: str, run: str) -> None:
        """Keeps which run a reply came from."""
        key = _key(caller, messages, reply)
        self._runs.pop(key, None)
        self._runs[key] = run
        while len(self._runs) > _MOST:
            self._runs.popitem(last=False)


def _key(caller: Caller, messages: Sequence[Turn], *more: str) -> str:
    """A digest of what was said. Notes of progress are in a stream alone, and clients trim what they keep."""
    told = [(turn.role, joined(turn.content)) for turn in messages if turn.role in ("user", "assistant")]
    told += [("assistant", text) for text in more]
    plain = [(role, _plainly(text) if role == "assistant" else text.split()) for role, text in told]
    return hashlib.sha256(json.dumps([caller.user, plain]).encode()).hexdigest()


def _plainly(text: str) -> list[str]:
    return [word for line in text.splitlines() if not line.startswith("> ") for word in line.split()]
