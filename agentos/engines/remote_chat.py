"""A request in OpenAI's form, as providers take it, and the calls of functions that come back in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentos.engines import tools
from agentos.types import Generation, Logprob, Message, Prompt


def messages(prompt: Prompt | tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation."""
    if not isinstance(prompt, Prompt):
        return [_turn(turn) for turn in prompt]
    if not prompt.chat:
        return [{"role": "user", "content": prompt.text}]
    system = prompt.prefix + "".join(prompt.blocks)
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt.tail}]


def asked(request: Generation, context: int) -> dict[str, Any]:
    """All but the conversation and the model.

    Args:
        request: What is asked.
        context: An answer of exactly so many tokens at most is one without a limit of its own.
    """
    said: dict[str, Any] = {
        "max_tokens": request.max_tokens if request.max_tokens != context else None,
        "temperature": request.temperature, "stop": list(request.stop) or None, "seed": request.seed,
    }
    if request.top_p < 1:
        said["top_p"] = request.top_p
    if request.logprobs is not None:
        said |= {"logprobs": True, "top_logprobs": request.logprobs or None}
    if request.schema is not None:
        form = {"name": "answer", "schema": request.schema, "strict": True}
        free = request.schema == {"type": "object"}
        said["response_format"] = {"type": "json_object"} if free else {"type": "json_schema", "json_schema": form}
    if request.tools:
        choice = request.tool_choice
        named = choice not in ("auto", "none", "required")
        said["tools"] = tools.functions(request.tools)
        said["tool_choice"] = {"type": "function", "function": {"name": choice}} if named else choice
    return said


def likely(choice: Any) -> list[Logprob]:
    """What a choice of a stream says of its tokens' probabilities."""
    found = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return [
        Logprob(one.token, one.logprob, tuple((top.token, top.logprob) for top in one.top_logprobs or ()))
        for one in found
    ]


class Calls:
    """Calls of functions that a provider streams."""

    def __init__(self) -> None:
        """None yet."""
        self._found: dict[int, list[str]] = {}

    def take(self, deltas: Sequence[Any] | None) -> bool:
        """Takes pieces in; gives whether there were any."""
        for delta in deltas or ():
            call = self._found.setdefault(delta.index or 0, ["", ""])
            call[0] += getattr(delta.function, "name", None) or ""
            call[1] += getattr(delta.function, "arguments", None) or ""
        return bool(deltas)

    def text(self) -> str:
        """The calls as an answer writes them."""
        return "\n".join(tools.written(name, arguments) for name, arguments in self._found.values())


def _turn(turn: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
        said["content"] = turn.content or None
    if turn.role == "tool":
        said["tool_call_id"] = turn.call
    return said
