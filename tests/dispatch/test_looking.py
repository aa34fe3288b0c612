"""What is watched: policy decides on each look, and the trail has a row for each watcher, written before all others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentos.dispatch.context import Services
from agentos.dispatch.dispatcher import Dispatcher
from agentos.dispatch.looking import NOTED, Looks
from agentos.errors import DeniedError, Failed, UserError
from agentos.policy.approvals import Approvals
from agentos.policy.audit import Audit
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.store import Store
from agentos.syscall import describe, syscall
from agentos.types import Call, Caller, Role

ROLES: dict[str, Role] = {"vera": "viewer", "ada": "admin"}
def table(seen: list[str]) -> Registry:
    @syscall(effect="read")
    async def look(ctx: Any, at: str = "sky") -> dict[str, str]:
        """Looks.

        Args:
            at: At what.
        """
        seen.append(at)
        if at == "sun":
            raise Failed("too bright")
        return {"seen": at}

    @syscall(effect="write")
    async def put(ctx: Any) -> dict[str, str]:
        """Puts."""
        seen.append("put")
        return {}

    made = Registry()
    for function in (look, put):
        made.add(describe(function, "t"))
    return made


class World:
    def __init__(self, home: Path) -> None:
        self.store, self.seen, self.now = Store(home / "agentos.db"), [], 1000.0
        entries = table(self.seen)
        monitor = Monitor(entries, ROLES.get, extra=home / "policies")
        approvals, audit = Approvals(self.store, entries, monitor.approves), Audit(self.store, entries)
        nothing: Any = None
        services = Services(*[nothing] * len(Services.__dataclass_fields__))
        dispatcher = Dispatcher(entries, monitor, approvals, audit, services)
        self.audit = audit
        self.looks = Looks(dispatcher, monitor, audit, services, clock=lambda: self.now)

    async def look(self, name: str = "look", who: str = "vera", **args: str) -> Any:
        caller = Caller(who, ROLES.get(who, "viewer"), "session-1", "cli")
        return await self.looks.look(Call(f"c{self.now}", f"t.{name}", dict(args), caller))

    def trail(self) -> list[tuple[str, str]]:
        return self.store.connection.execute(
            "select d.decision, coalesce(f.outcome, d.outcome) from audit d"
            " left join audit f on f.of = d.id and f.of != 0 where d.of = 0 order by d.id"
        ).fetchall()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


async def test_a_watcher_has_one_row_an_hour_and_each_look_is_fresh(world: World) -> None:
    for _ in range(3):
        assert await world.look() == {"seen": "sky"}
    assert world.seen == ["sky"] * 3 and world.trail() == [("allow", "done")]
    world.now += NOTED
    await world.look()
    await world.look(who="ada")
    await world.look(at="moon")
    assert world.trail() == [("allow", "done")] * 4
    assert world.audit.verify().ok


async def test_what_does_more_than_read_cannot_be_watched(world: World) -> None:
    with pytest.raises(UserError, match="does more than read"):
        await world.look("put", who="ada")
    assert world.seen == []


async def test_who_may_not_is_refused_each_time_and_each_time_it_is_on_the_trail(world: World) -> None:
    for _ in range(2):
        with pytest.raises(DeniedError):
            await world.look(who="nobody")
    assert world.seen == [] and world.trail() == [("deny", "refused")] * 2


async def test_a_look_that_fails_is_recorded_as_failed_and_the_next_is_recorded_anew(world: World) -> None:
    with pytest.raises(Failed, match="too bright"):
        await world.look(at="sun")
    with pytest.raises(Failed):
        await world.look(at="sun")
    assert world.trail() == [("allow", "failed")] * 2


async def test_nothing_is_shown_while_the_trail_cannot_be_written(world: World) -> None:
    world.store.connection.execute("pragma query_only = on")
    for _ in range(2):
        with pytest.raises((Failed, sqlite3.Error)):
            await world.look()
    assert world.seen == []
    world.store.connection.execute("pragma query_only = off")
    assert await world.look() == {"seen": "sky"} and world.trail() == [("allow", "done")]
