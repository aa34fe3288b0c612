"""Ends an answer at a stop string that nobody gets to see, whichever pieces it comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from agentos.types import Logprob


class Emit(Protocol):
    """Takes each piece of an answer."""

    def __call__(self, text: str, logprobs: Sequence[Logprob] = ()) -> None:
        """A piece, and the tokens that end in it."""
        ...


class Shown:
    """What is shown of an answer: all but what may turn out to be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str], emit: Callable[[str], None]) -> None:
        """`emit` takes each piece that is safe to show."""
        self._stops = [stop for stop in stops if stop]
        self._hold = max(map(len, self._stops), default=1) - 1
        self._emit = emit
        self._shown = 0
        self.text = ""

    def add(self, piece: str) -> bool:
        """Takes a piece in; True once a stop string has come, which is cut off with all after it."""
        self.text += piece
        cut = min((self.text.index(stop) for stop in self._stops if stop in self.text), default=-1)
        if cut >= 0:
            self.text = self.text[:cut]
        else:
            self._show(len(self.text) - self._hold)
        return cut >= 0

    def finish(self) -> str:
        """Shows what was held back; gives the whole answer."""
        self._show(len(self.text))
        return self.text

    def _show(self, end: int) -> None:
        if end > self._shown:
            self._emit(self.text[self._shown : end])
            self._shown = end


class Likely:
    """Gives each piece that is shown the log-probabilities of its tokens, and none of what is never shown."""

    def __init__(self, emit: Emit) -> None:
        """`emit` takes the pieces."""
        self._emit = emit
        self._waiting: deque[tuple[int, Logprob]] = deque()
        self._read = self._shown = 0

    def token(self, logprob: Logprob) -> None:
        """A token, before its text is shown."""
        self._read += len(logprob.token)
        self._waiting.append((self._read, logprob))

    def __call__(self, text: str) -> None:
        """A piece that is shown."""
        self._shown += len(text)
        out = []
        while self._waiting and self._waiting[0][0] <= self._shown:
            out.append(self._waiting.popleft()[1])
        self._emit(text, out)
