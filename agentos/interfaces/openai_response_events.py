"""A response as it grows, and the events that tell of it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from agentos.interfaces.openai_calls import CallReader
from agentos.types import Answer, ToolCall

Told = dict[str, Any]


class Output:
    """What a response has come to; each change gives the events that tell of it."""

    def __init__(self, head: Told, names: Collection[str]) -> None:
        """`head` is all of it but what it comes to; `names` are functions that may be called."""
        self.reader = CallReader(names)
        self.text = ""
        self.said: Told = {**head, "status": "in_progress", "output": [], "usage": None}
        self._number = 0
        self._message: Told | None = None

    def begin(self) -> Iterator[Told]:
        """It has begun; said once."""
        if self._number:
            return
        yield self._event("response.created", response=self._now())
        yield self._event("response.in_progress", response=self._now())

    def add(self, text: str, calls: Sequence[ToolCall]) -> Iterator[Told]:
        """More text, and calls that are complete."""
        if text:
            if self._message is None:
                yield from self._open()
            assert self._message is not None
            self.text += text
            self._message["content"][0]["text"] += text
            yield self._event("response.output_text.delta", **self._where(), delta=text, logprobs=[])
        for call in calls:
            yield from self._close()
            yield from self._called(call)

    def end(self, answer: Answer) -> Iterator[Told]:
        """It is whole."""
        if not self.said["output"]:
            yield from self._open()
        short = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish_reason)
        yield from self._close("incomplete" if short else "completed")
        made, asked = answer.tokens, answer.prompt_tokens
        self.said |= {
            "status": "incomplete" if short else "completed",
            "incomplete_details": {"reason": short} if short else None,
            "usage": {
                "input_tokens": asked, "input_tokens_details": {
                    "cached_tokens": answer.cached_tokens, "cache_write_tokens": 0,
                },
                "output_tokens": made, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": asked + made,
            },
        }
        yield self._event("response.incomplete" if short else "response.completed", response=self._now())

    def fail(self, error: Mapping[str, Any]) -> Iterator[Told]:
        """It came to nothing, for the reason that `error` has as OpenAI's errors have it."""
        yield from self.begin()
        said = {key: error[key] for key in ("code", "message", "param")}
        yield self._event("error", **said)
        code = said["code"] if said["code"] == "rate_limit_exceeded" else "server_error"
        self.said |= {"status": "failed", "error": {"code": code, "message": said["message"]}}
        yield self._event("response.failed", response=self._now())

    def _open(self) -> Iterator[Told]:
        part: Told = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        item: Told = {
            "id": f"msg_{secrets.token_hex(16)}", "type": "message", "role": "assistant", "status": "in_progress",
            "content": [],
        }
        self.said["output"].append(item)
        self._message = item
        yield self._event("response.output_item.added", output_index=self._index(), item={**item})
        item["content"] = [part]
        yield self._event("response.content_part.added", **self._where(), part={**part})

    def _close(self, status: str = "completed") -> Iterator[Told]:
        item, self._message = self._message, None
        if item is None:
            return
        item["status"] = status
        part = item["content"][0]
        where = {"item_id": item["id"], "output_index": self._index(), "content_index": 0}
        yield self._event("response.output_text.done", **where, text=part["text"], logprobs=[])
        yield self._event("response.content_part.done", **where, part={**part})
        yield self._event("response.output_item.done", output_index=self._index(), item={**item})

    def _called(self, call: ToolCall) -> Iterator[Told]:
        item: Told = {
            "id": f"fc_{secrets.token_hex(16)}", "type": "function_call", "call_id": call.id, "name": call.name,
            "arguments": "", "status": "in_progress",
        }
        self.said["output"].append(item)
        index = self._index()
        yield self._event("response.output_item.added", output_index=index, item={**item})
        item |= {"arguments": call.arguments, "status": "completed"}
        where = {"item_id": item["id"], "output_index": index}
        yield self._event("response.function_call_arguments.delta", **where, delta=call.arguments)
        yield self._event("response.function_call_arguments.done", **where, arguments=call.arguments, name=call.name)
        yield self._event("response.output_item.done", output_index=index, item={**item})

    def _index(self) -> int:
        return len(self.said["output"]) - 1

    def _where(self) -> Told:
        assert self._message is not None
        return {"item_id": self._message["id"], "output_index": self._index(), "content_index": 0}

    def _now(self) -> Told:
        return {**self.said, "output": [{**item} for item in self.said["output"]]}

    def _event(self, kind: str, **said: Any) -> Told:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **said}
