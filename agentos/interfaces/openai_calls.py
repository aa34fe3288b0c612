"""Calls of functions, read off an answer as it comes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection

from agentos.engines.tools import BEGIN, END
from agentos.types import ToolCall


class CallReader:
    """Parts an answer into its text and the calls in it."""

    def __init__(self, names: Collection[str]) -> None:
        """`names` of the functions that may be called; without any, all is text."""
        self._names = names
        self._held = ""
        self.calls: list[ToolCall] = []
        self._blank = True

    def feed(self, piece: str) -> tuple[str, list[ToolCall]]:
        """What can be shown now, and the calls that are complete now."""
        if not self._names:
            return piece, []
        self._held += piece
        if self._bare(self._held):  # weak models leave the marks out
            return "", []
        text = ""
        found: list[ToolCall] = []
        while True:
            begin = self._held.find(BEGIN)
            if begin < 0:
                keep = _begun(self._held)
                text, self._held = text + self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
                return self._shown(text), found
            end = self._held.find(END, begin)
            if end < 0:
                text, self._held = text + self._held[:begin], self._held[begin:]
                return self._shown(text), found
            text += self._held[:begin]
            body, self._held = self._held[begin + len(BEGIN) : end], self._held[end + len(END) :]
            call = self._read(body)
            if call is None:
                text += f"{BEGIN}{body}{END}"
            else:
                found.append(call)
                self.calls.append(call)
                self._held = self._held.lstrip("\n")

    def close(self) -> tuple[str, list[ToolCall]]:
        """The rest; a call whose end the model left out is one all the same."""
        rest, self._held = self._held, ""
        if rest.lstrip().startswith((BEGIN, "{")) and (call := self._read(rest.replace(BEGIN, ""))) is not None:
            self.calls.append(call)
            return "", [call]
        return self._shown(rest), []

    def _bare(self, text: str) -> bool:
        """Whether the answer may be a call and nothing else, without its marks."""
        return self._blank and not self.calls and text.lstrip().startswith("{")

    def _shown(self, text: str) -> str:
        """Without the line breaks between calls, before anything is said."""
        if self._blank:
            text = text.lstrip("\n") if text.strip() or self.calls else text
        self._blank = self._blank and not text
        return text

    def _read(self, body: str) -> ToolCall | None:
        try:
            said = json.loads(body)
            name, given = said["name"], said.get("arguments", said.get("parameters", {}))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if name not in self._names or not isinstance(given, dict):
            return None
        return ToolCall(f"call_{secrets.token_hex(12)}", name, json.dumps(given, ensure_ascii=False))


def _begun(text: str) -> int:
    """How much of the end of a text may be the beginning of a call."""
    for count in range(min(len(BEGIN) - 1, len(text)), 0, -1):
        if text.endswith(BEGIN[:count]):
            return count
    return 0
