"""What a run tells is kept for who listens, in bounds, and for nobody else."""

from __future__ import annotations

from contextlib import aclosing

from agentos.kernel.heard import UNHEARD, Heard
from agentos.types import Event

PIECE = Event("text", {"text": "x" * (UNHEARD // 8)})


async def test_what_is_told_is_heard_to_its_end() -> None:
    heard = Heard()
    for event in (PIECE, Event("end", {"ok": True}), None):
        heard.tell(event)
    assert [event.kind async for event in heard.hear()] == ["text", "end"]


async def test_nothing_is_kept_for_a_listener_who_has_gone() -> None:
    heard = Heard()
    heard.tell(PIECE)
    async with aclosing(heard.hear()) as events:
        assert await anext(events) is PIECE
    for _ in range(20):
        heard.tell(PIECE)
    heard.tell(None)
    assert heard.gone and heard.kept == 0


async def test_a_listener_who_does_not_keep_up_is_told_so_and_no_more() -> None:
    heard = Heard()
    for _ in range(20):
        heard.tell(PIECE)
    heard.tell(None)
    kinds = [event.kind async for event in heard.hear()]
    assert kinds[-2:] == ["error", "end"] and set(kinds[:-2]) == {"text"} and len(kinds) < 10
