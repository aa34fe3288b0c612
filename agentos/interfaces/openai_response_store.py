"""Responses that later ones go on from: in memory alone, and each its asker's."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agentos.errors import NotFound
from agentos.types import Message

MOST = 512
"""Responses kept in all; the oldest goes first."""
LONGEST = 16 * 1024 * 1024
"""Characters of all together: the conversations, and what is given back of each."""
_TURN = 64
"""Characters that a turn counts for besides its text, so that empty ones are not free."""


@dataclass(frozen=True)
class Kept:
    """A response and the conversation up to it."""

    user: str
    said: dict[str, Any]
    turns: tuple[Message, ...]
    """Without its instructions, which hold for one response alone."""

    @cached_property
    def size(self) -> int:
        """How many characters it has."""
        turns = sum(
            _TURN + len(turn.content) + sum(_TURN + len(call.name) + len(call.arguments) for call in turn.calls)
            for turn in self.turns
        )
        return turns + len(json.dumps(self.said))


class ResponseStore:
    """What is kept of responses until the system ends."""

    def __init__(self) -> None:
        """Nothing."""
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0

    def put(self, kept: Kept) -> None:
        """Keeps one, and forgets the oldest where there are too many."""
        self._kept[kept.said["id"]] = kept
        self._size += kept.size
        while len(self._kept) > MOST or (self._size > LONGEST and self._kept):
            self._size -= self._kept.popitem(last=False)[1].size

    def get(self, name: str, user: str) -> Kept:
        """One of a user's.

        Raises:
            NotFound: there is none of that id, any more or for them.
        """
        kept = self._kept.get(name)
        if kept is None or kept.user != user:
            raise NotFound(
                f"there is no response {name!r} of yours; they are kept in memory, {MOST} at most, until the system "
                "ends. Send the whole conversation."
            )
        return kept

    def drop(self, name: str, user: str) -> None:
        """Forgets one of a user's.

        Raises:
            NotFound: there is none of that id.
        """
        self._size -= self.get(name, user).size
        del self._kept[name]
