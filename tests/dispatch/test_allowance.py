"""A call takes from its caller's quotas before it runs, and what it took is counted after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agentos.dispatch.context import Services
from agentos.dispatch.dispatcher import Dispatcher
from agentos.errors import DeniedError, Failed
from agentos.policy.allowances import Allowances
from agentos.policy.approvals import Approvals
from agentos.policy.audit import Audit
from agentos.policy.limits import OverQuota
from agentos.policy.monitor import Monitor
from agentos.policy.quotas import Quotas
from agentos.registry import Registry
from agentos.store import Store
from agentos.syscall import describe, syscall
from agentos.types import Approval, Call, Caller, Denied, Event, Name, Private, Text

YES = Approval("oscar")
REMOTE = "litellm:openai/dear"


class World:
    """A dispatcher with quotas, over a model that answers when it is let."""

    def __init__(self, home: Path) -> None:
        self.store = Store(home / "agentos.db")
        self.go = asyncio.Event()
        self.entered = 0
        world = self

        @syscall(effect="execute")
        async def generate(ctx: Any, model: Name, prompt: Private, max_tokens: int = 100) -> Text:
            """Answers.

            Args:
                model: Which.
                prompt: What it is asked.
                max_tokens: At most.
            """
            world.entered += 1
            if not prompt.startswith("silent"):
                await ctx.text("piece")
            await world.go.wait()
            if prompt == "break":
                raise Failed("it broke")
            if prompt == "over":
                raise OverQuota("2 CPU hours a day")
            return Text("words", model, 40, 0.1, 0.001 if model == REMOTE else None)

        @syscall(effect="read")
        async def look(ctx: Any) -> Text:
            """Looks."""
            return Text("seen", "", 0, 0.0)

        self.table = Registry()
        for function in (generate, look):
            self.table.add(describe(function, "models"))
        roles: dict[str, Any] = {"oscar": "operator", "vera": "viewer"}
        monitor = Monitor(self.table, roles.get)
        approvals = Approvals(self.store, self.table, monitor.approves)
        self.audit = Audit(self.store, self.table)
        self.quotas = Quotas(self.store, lambda user: ())
        allowance = Allowances(self.quotas, lambda model: (1e-6, 1e-5) if model == REMOTE else None)
        nothing: Any = None
        self.dispatcher = Dispatcher(
            self.table, monitor, approvals, self.audit, Services(*[nothing] * len(fields(Services))),
            allowance=allowance,
        )

    def call(self, id: str, prompt: str = "x" * 400, model: str = "m", who: str = "oscar") -> Call:
        return Call(id, "models.generate", {"model": model, "prompt": prompt}, Caller(who, "operator"))

    async def run(self, call: Call) -> Any:
        return await self.dispatcher.run(call, YES, quiet)

    def rows(self) -> list[tuple[str, str, str]]:
        return self.store.connection.execute(
            "select d.decision, d.rule, coalesce(f.outcome, d.outcome) from audit d"
            " left join audit f on f.of = d.id and f.of != 0 where d.of = 0 order by d.id"
        ).fetchall()

    def used(self, resource: str) -> tuple[float, float]:
        (one,) = [one for one in self.quotas.standings("oscar") if one.resource == resource]
        return one.used, one.reserved


async def quiet(event: Event) -> None:
    pass


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


async def test_two_calls_at_once_cannot_exceed_what_one_may(world: World) -> None:
    world.quotas.set("user:oscar", "tokens", "day", 900, "ada")  # each may take 400 + 64 + 100 at most
    tasks = [asyncio.create_task(world.run(world.call(f"c{number}"))) for number in range(4)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    assert world.entered == 1 and world.used("tokens") == (0, 564)
    world.go.set()
    said = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [error for error in said if isinstance(error, DeniedError)]
    assert len(refused) == 3 and all("was denied to oscar by quota: 900 tokens a day" in str(one) for one in refused)
    assert world.used("tokens") == (140, 0)  # 40 written, and 400 bytes read that nobody counted
    assert sorted(world.rows()) == [("allow", "operator-works", "done"), *[("deny", "quota", "refused")] * 3]
    assert world.audit.verify().ok
    assert (await world.run(world.call("c9"))).value.text == "words"


async def test_what_was_not_done_is_not_counted_but_what_was_told_before_is(world: World) -> None:
    world.quotas.set("user:oscar", "tokens", "day", 10_000, "ada")
    world.quotas.set("user:oscar", "cost", "day", 1, "ada")
    world.go.set()
    with pytest.raises(Failed):
        await world.run(world.call("c1", "break"))
    assert world.used("tokens") == (3, 0)  # a piece, and what 5 bytes are
    world.go.clear()
    task = asyncio.create_task(world.run(world.call("c2", model=REMOTE)))
    while not world.used("cost")[1]:
        await asyncio.sleep(0)
    assert world.used("cost")[1] == pytest.approx(464e-6 + 100e-5)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.used("cost") == (pytest.approx(464e-6 + 100e-5), 0)  # the provider may ask for all of it


@pytest.mark.parametrize(("model", "tokens", "cost"), [(REMOTE, 2, 2e-6), ("m", 0, 0.0)])
async def test_a_call_cancelled_before_the_first_word_took_the_prompt_that_a_provider_was_sent(
    world: World, model: str, tokens: int, cost: float
) -> None:
    world.quotas.set("user:oscar", "tokens", "day", 10_000, "ada")
    world.quotas.set("user:oscar", "cost", "day", 1, "ada")
    task = asyncio.create_task(world.run(world.call("c1", "silent", model)))
    while not world.entered:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.used("tokens") == (tokens, 0)
    assert world.used("cost") == (pytest.approx(cost), 0)


async def test_money_is_settled_by_what_the_provider_asked(world: World) -> None:
    world.quotas.set("user:oscar", "cost", "month", 0.0025, "ada")
    world.go.set()
    await world.run(world.call("c1", model=REMOTE))
    assert world.used("cost") == (0.001, 0)
    await world.run(world.call("c2", model=REMOTE))
    with pytest.raises(DeniedError, match="by quota"):
        await world.run(world.call("c3", model=REMOTE))
    await world.run(world.call("c4"))  # a model of this machine costs nothing


async def test_every_call_is_a_request_and_a_denied_one_none(world: World) -> None:
    world.quotas.set("user:oscar", "requests", "day", 2, "ada")
    world.go.set()
    look = Call("l1", "models.look", {}, Caller("oscar", "operator"))
    await world.dispatcher.run(look, None, quiet)
    assert not isinstance(world.dispatcher.check(world.call("c1")), Denied)
    await world.run(world.call("c1"))
    assert world.used("requests") == (2, 0)
    assert world.dispatcher.check(world.call("c2")).rule == "quota"  # before a person would be asked
    with pytest.raises(DeniedError, match="2 requests a day"):
        await world.run(world.call("c2"))
    assert (await world.run(world.call("c1"))).result["text"] == "words"  # it was made, and is not made again
    assert world.used("requests") == (2, 0)


async def test_a_quota_that_is_gone_over_within_a_call_is_on_the_trail_by_its_name(world: World) -> None:
    world.go.set()
    with pytest.raises(OverQuota):
        await world.run(world.call("c1", "over"))
    assert world.rows() == [("allow", "operator-works", "failed"), ("deny", "quota", "refused")]
