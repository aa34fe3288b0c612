"""Asks an OpenAI-compatible server of one's own over HTTP/1.1, with nothing in between and connections kept open.

LiteLLM turns a request into each provider's own form, which takes it several milliseconds of processor time. Where the
form is OpenAI's already, what it would send is sent from here; what comes back has the attributes of its chunks.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from agentos.engines.compatible_link import Link
from agentos.engines.faults import Fault, Refused
from agentos.engines.remote import Target
from agentos.errors import Retry

_PLAIN = ("OpenAIGPTConfig", "OpenAIUnknownModelConfig")
"""LiteLLM's names for models whose requests it sends as they are."""
_LINE, _ERROR = 8 * 1024 * 1024, 64 * 1024
"""Bytes of one event, and of an error's text, at most."""


class Answered(Exception):
    """A server refused a request, or broke its answer off with an error; it has the attributes that LiteLLM reads."""

    def __init__(self, status: int, said: str, headers: Mapping[str, str]) -> None:
        super().__init__(said)
        self.status_code, self.message, self.litellm_response_headers = status, said, headers


class Server:
    """One server; used from one event loop."""

    def __init__(self, base: str, key: str | None, connect: float) -> None:
        """Nothing is asked yet.

        Args:
            base: Its address, `http://HOST[:PORT]/PATH`.
            key: What it is told as a bearer's key; none where None.
            connect: Seconds that connecting may take.
        """
        parts = urlsplit(base)
        self._host, self._port, self._connect = parts.hostname or "", parts.port or 80, connect
        said = f"authorization: Bearer {key}\r\n" if key else ""
        path = f"{parts.path.rstrip('/')}/chat/completions"
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n{said}"
            "content-type: application/json\r\naccept: text/event-stream\r\ncontent-length: "
        )
        self._idle: deque[Link] = deque()

    async def ask(self, body: Mapping[str, Any]) -> Stream:
        """Sends a request; the stream of its answer.

        Raises:
            Answered: the server refused it.
            OSError: it could not be reached, or hung up.
        """
        said = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        whole = f"{self._head}{len(said)}\r\n\r\n".encode() + said
        while True:
            link, fresh = await self._link()
            try:
                link.send(whole)
                await link.answered()
            except ConnectionError:
                link.close()
                if fresh:
                    raise
                continue  # it had hung up meanwhile, as servers do with connections that nobody uses
            except BaseException:
                link.close()
                raise
            break
        stream = Stream(link, self._idle)
        if link.status != 200:
            try:
                text = await stream.error()
            finally:
                await stream.aclose()
            raise Answered(link.status, text, link.headers)
        return stream

    async def _link(self) -> tuple[Link, bool]:
        while self._idle:
            link = self._idle.pop()
            if link.open:
                return link, False
        async with asyncio.timeout(self._connect):
            loop = asyncio.get_running_loop()
            return (await loop.create_connection(Link, self._host, self._port))[1], True


class Stream:
    """An answer's events, each an object with what it says as attributes."""

    def __init__(self, link: Link, idle: deque[Link]) -> None:
        """The head of the response is there."""
        self._link, self._idle = link, idle
        self._text = bytearray()
        self._events: deque[Any] = deque()
        self._done = False
        self.chunks: list[Any] = []
        """Those that say what the answer took."""
        self.received_finish_reason: str | None = None
        self.intermittent_finish_reason: str | None = None

    @property
    def more(self) -> bool:
        """Whether another event is here already."""
        return bool(self._events)

    def __aiter__(self) -> Stream:
        """Itself."""
        return self

    async def __anext__(self) -> Any:
        """The next event.

        Raises:
            Answered: the server says that it failed.
            Refused: it sent what is no event.
        """
        while not self._events:
            if self._done or not (data := await self._link.read()):
                raise StopAsyncIteration
            self._text += data
            self._parse()
        event = self._events.popleft()
        if (fault := getattr(event, "error", None)) is not None:
            code = str(getattr(fault, "code", ""))
            raise Answered(int(code) if code.isdecimal() else 500, str(getattr(fault, "message", "")), {})
        if getattr(event, "usage", None) is not None:
            self.chunks.append(event)
        for choice in event.choices:
            if getattr(choice, "finish_reason", None):
                self.received_finish_reason = choice.finish_reason
        return event

    async def error(self) -> str:
        """The text of a refusal."""
        text = b""
        while len(text) < _ERROR and (data := await self._link.read()):
            text += data
        return text.decode("utf-8", "replace")

    async def aclose(self) -> None:
        """Keeps the connection for the next request where this answer is all there, and hangs up otherwise."""
        if self._link.whole or self._done:
            self._link.keep(self._idle)
        else:
            self._link.close()

    def _parse(self) -> None:
        end = self._text.rfind(b"\n")
        if end < 0:
            if len(self._text) > _LINE:
                raise Refused(Fault("again", "its provider sent what cannot be read", Retry))
            return
        lines = bytes(self._text[:end]).split(b"\n")
        del self._text[: end + 1]
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # a comment, or a name that says nothing more
            said = line[5:].strip()
            if said == b"[DONE]":
                self._done = True
                return
            try:
                self._events.append(json.loads(said, object_hook=_named))
            except (ValueError, RecursionError):
                raise Refused(Fault("again", "its provider sent what cannot be read", Retry)) from None


def server(litellm: Any, target: Target, key: str | None, connect: float) -> Server | None:
    """What asks a target whose requests LiteLLM would send as they are; None where it would not.

    Args:
        litellm: The module, which knows each model's form.
        target: Who is asked.
        key: What it is told.
        connect: Seconds that connecting may take.
    """
    family, _, name = target.model.partition("/")
    if family != "openai" or not target.api_base or not plain(target.api_base):
        return None
    provider = litellm.get_llm_provider(target.model, api_base=target.api_base)[1]
    form = litellm.ProviderConfigManager.get_provider_chat_config(name, litellm.LlmProviders.OPENAI)
    if provider != family or type(form).__name__ not in _PLAIN:
        return None
    return Server(target.api_base, key, connect)


def plain(base: str) -> bool:
    """Whether an address is one that is asked from here: over HTTP, and through no proxy."""
    parts = urlsplit(base)
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
        return False
    return "http" not in urllib.request.getproxies() or bool(urllib.request.proxy_bypass(parts.hostname))


def _named(said: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**said)
