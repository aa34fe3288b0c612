"""`model="agentos"`: what a person says is planned and run in their role, and told as an answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from agentos.interfaces.app import System
from agentos.interfaces.http_stream import after_boot, told
from agentos.interfaces.openai_answer import LONGEST, SYSTEM, Note, Piece, Said
from agentos.interfaces.openai_errors import BadRequest, TimedOut
from agentos.interfaces.openai_lanes import Lanes, Place
from agentos.interfaces.openai_shapes import ChatRequest, Turn, UserTurn, joined
from agentos.interfaces.openai_threads import Threads
from agentos.kernel import language, words
from agentos.kernel.context import Before
from agentos.types import Answer, Caller, Event, Json, Plan

_NOT_TAKEN = ("tools", "tool_choice", "response_format", "logprobs", "top_logprobs", "prediction")
_YES = re.compile(r"(?i)\s*(?:yes|ok|approve|同意|允许|是)(?:\s+(a[0-9a-f]{8}))?\s*[.!。！]?\s*")
_NO = re.compile(r"(?i)\s*(?:no|refuse|reject|拒绝|否|不)(?:\s+(a[0-9a-f]{8}))?\s*[.!。！]?\s*")
_ASKED = re.compile(r"`(?:yes|同意) (a[0-9a-f]{8})`")
_SAID = {
    "en": {
        "held": "`{call}` waits for a person: {reason}.\nAnswer `yes {id}` to let it run once, or `no {id}`.",
        "outside": "{name} comes from outside ({source}).",
        "gone": "no call of yours waits under {id}; nothing was run",
        "error": "Not done: {message}",
        "nothing": "Done.",
    },
    "zh": {
        "held": "`{call}` 正在等待人工确认：{reason}。\n回答 `同意 {id}` 运行一次，或 `拒绝 {id}`。",
        "outside": "{name} 来自外部（{source}）。",
        "gone": "没有编号为 {id} 的待确认调用；什么都没有执行",
        "error": "没有完成：{message}",
        "nothing": "完成。",
    },
}
_AHEAD = 256
"""Pieces that are kept for a client who reads slowly."""
_STEP = 0.1
"""How much further a piece of work must be before it is told again."""


class Spoken:
    """Speaks with the system for callers."""

    def __init__(self, system: System, lanes: Lanes) -> None:
        """Everybody's in one queue of `lanes`: one kernel plans."""
        self._system, self._lanes, self._threads = system, lanes, Threads()

    def check(self, asked: ChatRequest) -> None:
        """Refuses what the system cannot heed.

        Raises:
            BadRequest: a parameter has no meaning here, or nobody has said anything.
        """
        for name in _NOT_TAKEN:
            if getattr(asked, name):
                raise BadRequest(
                    f"{SYSTEM!r} plans with its own syscalls and takes no {name!r}; ask a model by its name, or leave "
                    "it out. Nothing was done.", name, "unsupported_parameter",
                )
        if (asked.n or 1) > 1:
            raise BadRequest(f"{SYSTEM!r} does what is asked once: 'n' must be 1. Nothing was done.", "n")
        sentence(asked.messages)

    async def stream(
        self, caller: Caller, messages: Sequence[Turn], person: Callable[[], None], session: str = ""
    ) -> AsyncGenerator[Said, None]:
        """What happens as notes, what is answered as pieces, and all of it. A run goes on when its asker goes away.

        Args:
            caller: Who asks.
            messages: The conversation; what was said last is what is done.
            person: Raises where the request cannot be a person's, who alone says yes to what is held.
            session: The conversation's name, for a client that sends its last message alone.

        Raises:
            Busy: too many wait already.
            TimedOut: it takes longer than a request may, and goes on; nobody keeps a place by listening.
        """
        said = sentence(messages)
        telling = Telling(self._system, words.language(said))
        items: asyncio.Queue[Said | Exception | None] = asyncio.Queue(_AHEAD)
        before = self._threads.before(caller, messages, session)
        began, spoken = time.monotonic(), ""

        async def place(now: Place) -> None:
            await items.put(Note(str(now)))

        async def work() -> None:
            try:
                async with asyncio.timeout(LONGEST), self._lanes.of(SYSTEM).turn(place):
                    begun = told(lambda: after_boot(
                        self._system, lambda: self._begun(caller, said, messages, person, before)
                    ))
                    async for event in begun:
                        for item in telling.items(event):
                            await items.put(item)
                if not telling.spoke:
                    await items.put(Piece(telling.says("nothing")))
                await items.put(telling.answer(time.monotonic() - began))
                await items.put(None)
            except TimeoutError:
                await items.put(TimedOut(f"it is not over after {LONGEST:.0f} s and goes on without being told here"))
            except Exception as error:
                await items.put(error)

        task = asyncio.create_task(work())
        try:
            while (item := await items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                spoken += item.text if isinstance(item, Piece) else ""
                if isinstance(item, Answer) and telling.run:
                    self._threads.answered(caller, messages, spoken, telling.run)
                yield item
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _begun(
        self, caller: Caller, said: str, messages: Sequence[Turn], person: Callable[[], None], before: Before | None
    ) -> AsyncIterator[Event]:
        """The run of a sentence, or of an answer to what an earlier one was held for."""
        for form, answer in ((_YES, "once"), (_NO, "no")):
            if (match := form.fullmatch(said)) is None:
                continue
            name = match[1] or _last_asked(messages)
            if name and any(held.id == name for held in self._system.approvals.pending(caller.user)):
                person()
                return self._system.answer(name, answer, caller)
            if match[1]:
                language_ = words.language(said)
                raise BadRequest(_SAID[language_]["gone"].format(id=name), "messages")
        return self._system.run_sentence(said, caller, before=before)


class Telling:
    """A run's events in words."""

    def __init__(self, system: System, language_: str) -> None:
        """In `en` or `zh`."""
        self._system, self._words = system, _SAID[language_]
        self._streamed: set[str] = set()
        self._far: dict[str, float] = {}
        self._within = ""
        self._used: dict[str, int] = {}
        self.spoke = False
        """Whether anything was said."""
        self.run = ""
        """Which run it is of."""

    def says(self, which: str, **given: str) -> str:
        """One of the system's own sentences."""
        return self._words[which].format(**given)

    def items(self, event: Event) -> list[Piece | Note]:
        """What an event adds."""
        data: dict[str, Any] = event.data
        self.run = str(data.get("run") or self.run)
        if event.kind == "end":
            self._used = data.get("usage") or {}
        if event.kind == "plan":
            return [Note(line) for line in self._plan(data["plan"])]
        if event.kind == "progress":
            return self._progress(data)
        ways: dict[str, Callable[[dict[str, Any]], str]] = {
            "text": self._text, "result": self._result, "held": self._question, "error": self._error,
            "reply": lambda said: str(said["text"]),
        }
        way = ways.get(event.kind)
        return self._say(way(data), str(data.get("step", "")) if event.kind == "text" else "") if way else []

    def answer(self, seconds: float) -> Answer:
        """What it took of the model that plans; nothing where that was not asked."""
        used = self._used
        return Answer(
            "", SYSTEM, used.get("written", 0), seconds, prompt_tokens=used.get("prompt", 0),
            cached_tokens=used.get("cached", 0),
        )

    def _text(self, data: dict[str, Any]) -> str:
        self._streamed.add(str(data.get("step", "")))
        return str(data["text"])

    def _result(self, data: dict[str, Any]) -> str:
        """What a step gave; a model's words were told as they came."""
        return "" if str(data.get("step", "")) in self._streamed else _block(str(data.get("text", "")))

    def _error(self, data: dict[str, Any]) -> str:
        return self.says("error", message=str(data.get("message", "")))

    def _say(self, text: str, within: str = "") -> list[Piece | Note]:
        """A paragraph of its own, or more of what a model says in the step `within`."""
        if not text:
            return []
        gap = "\n\n" if self.spoke and (not within or within != self._within) else ""
        self.spoke, self._within = True, within
        return [Piece(gap + text)]

    def _plan(self, said: dict[str, Json]) -> list[str]:
        steps = Plan.from_json(said).steps
        return language.write(steps, self._system.registry).splitlines() if steps else []

    def _progress(self, data: dict[str, Any]) -> list[Piece | Note]:
        done, total, message = data.get("done"), data.get("total"), str(data.get("message", ""))
        part = done / total if isinstance(done, int | float) and isinstance(total, int | float) and total else 0.0
        if message in self._far and part < self._far[message] + _STEP:
            return []
        self._far[message] = part
        return [Note(f"{message} {part:.0%}" if part else message)]

    def _question(self, held: dict[str, Any]) -> str:
        args = ", ".join(f"{name}={value!r}" for name, value in held["args"].items() if value is not None)
        call = f"{held['syscall']}({args})".replace("`", "'")
        lines = [self.says("held", call=call, reason=str(held["reason"]).rstrip(".。"), id=str(held["approval"]))]
        for name, source in dict(held.get("outside") or {}).items():
            lines.insert(0, self.says("outside", name=str(name), source=str(source)))
        return "\n".join(lines)


def sentence(messages: Sequence[Turn]) -> str:
    """What the person said last.

    Raises:
        BadRequest: the last message is not a person's, or is empty.
    """
    last = messages[-1]
    if not isinstance(last, UserTurn) or not joined(last.content).strip():
        raise BadRequest(
            f"the last message must be what a person says to {SYSTEM!r}: role 'user', and not empty. Nothing was done.",
            f"messages[{len(messages) - 1}]",
        )
    return joined(last.content).strip()


def _last_asked(messages: Sequence[Turn]) -> str:
    """The one held call that the answer before asked about; empty where that is not clear."""
    before = next((turn for turn in reversed(messages[:-1]) if turn.role == "assistant"), None)
    found = set(_ASKED.findall(joined(before.content))) if before is not None else set()
    return found.pop() if len(found) == 1 else ""


def _block(text: str) -> str:
    """A result as it is to be shown: what is a table keeps its columns."""
    text = text.strip("\n")
    if not text.strip():
        return ""
    return f"```\n{text}\n```" if "\n" in text or "  " in text else text
