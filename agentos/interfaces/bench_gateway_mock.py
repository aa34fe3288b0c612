"""An OpenAI-compatible server that answers at once: `PYTHON -I bench_gateway_mock.py`, the upstream of measurements.

It prints its port and serves loopback until it is ended. An answer is what the last turn said, whole or as a stream of
its words. Standard library only, so that it starts at once and takes little of the machine that is measured.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

_TYPES = {False: b"application/json", True: b"text/event-stream"}
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._read = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request that is whole by now."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._read[:end]).lower().split(b"\r\n")[1:]
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(self._read) < end + 4 + length:
                return
            asked = bytes(self._read[end + 4 : end + 4 + length])
            del self._read[: end + 4 + length]
            self._transport.write(answer(json.loads(asked or b"{}")))


def answer(asked: dict[str, Any]) -> bytes:
    """The whole response to a request."""
    turns = asked.get("messages") or [{"content": ""}]
    said = turns[-1]["content"]
    text = said if isinstance(said, str) else "".join(part["text"] for part in said)
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    usage = {"prompt_tokens": len(words), "completion_tokens": len(words), "total_tokens": 2 * len(words)}
    head = {"id": "chatcmpl-1", "created": 1, "model": asked.get("model", "mock")}
    if not asked.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        return _HEAD % (_TYPES[False], b"content-length: %d" % len(body)) + body
    head["object"] = "chat.completion.chunk"
    events = [{**head, "choices": [_choice({"role": "assistant", "content": ""})]}]
    events += [{**head, "choices": [_choice({"content": word})]} for word in words]
    events.append({**head, "choices": [_choice({}, "stop")]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": usage})
    body = b"".join(_chunk(b"data: " + json.dumps(event).encode() + b"\n\n") for event in events)
    last = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return _HEAD % (_TYPES[True], b"transfer-encoding: chunked") + body + last


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    """Serves until it is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
