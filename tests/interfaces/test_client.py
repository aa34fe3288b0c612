import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentos.config import Settings, load
from agentos.errors import Failed
from agentos.interfaces.client import Client, NotRunning
from agentos.interfaces.place import listening
from agentos.interfaces.server import Resident
from agentos.interfaces.start import wait
from agentos.registry import installed
from agentos.syscall import describe, syscall
from agentos.system import System
from agentos.types import Context, Text

from .conftest import Agentos


@asynccontextmanager
async def resident(agentos: Agentos) -> AsyncIterator[tuple[Client, dict[str, asyncio.Event]]]:
    """A system in this process with a syscall that waits, and the events that hold it."""
    gates = {"begun": asyncio.Event(), "go": asyncio.Event(), "done": asyncio.Event()}

    @syscall(effect="read")
    async def dawdle(ctx: Context) -> Text:
        """Waits until it is let go."""
        await ctx.progress("waiting", 1, 2)
        gates["begun"].set()
        await gates["go"].wait()
        gates["done"].set()
        return Text("there", "none", 1)

    settings = load(agentos.env)
    table = installed()
    table.add(describe(dawdle, "test"))
    system = System(settings, table)
    with listening(settings.socket) as unix:
        server = Resident(system, unix, None)
        running = asyncio.create_task(server.run())
        client = Client(settings, autostart=False)
        await asyncio.to_thread(client.wait)
        yield client, gates
        server.end()
        assert await running == 0


async def test_a_run_is_cancelled_from_beside_it(fresh: Agentos) -> None:
    async with resident(fresh) as (client, gates):
        events = client.call("test.dawdle", {})
        first = await asyncio.to_thread(next, events)
        await gates["begun"].wait()
        assert await asyncio.to_thread(client.cancel, str(first["run"])) is True
        rest = await asyncio.to_thread(list, events)
        assert (rest[-1]["event"], rest[-1]["exit_code"]) == ("end", 130)
        assert not gates["done"].is_set()
        assert await asyncio.to_thread(client.cancel, str(first["run"])) is False


async def test_a_run_goes_on_when_its_client_goes_away(fresh: Agentos) -> None:
    async with resident(fresh) as (client, gates):
        events: Any = client.call("test.dawdle", {})
        await asyncio.to_thread(next, events)
        await gates["begun"].wait()
        events.close()
        gates["go"].set()
        await gates["done"].wait()


async def test_a_system_that_ends_tells_the_clients_of_its_runs(fresh: Agentos) -> None:
    async with resident(fresh) as (client, gates):
        events = client.call("test.dawdle", {})
        await asyncio.to_thread(next, events)
        await gates["begun"].wait()
        await asyncio.to_thread(client.request, "POST", "/v1/stop", {})
        rest = await asyncio.to_thread(list, events)
        assert rest[-1]["event"] == "end" and rest[-1]["ok"] is False


def test_no_system_is_told_as_such(tmp_path: Path) -> None:
    client = Client(Settings(home=tmp_path, cache=tmp_path), autostart=False)
    with pytest.raises(NotRunning, match="no system runs"):
        client.status()


def test_waiting_tells_of_progress_and_of_a_failed_boot() -> None:
    said = iter([{"ready": False, "boot": "fetching", "boot_done": 1, "boot_total": 2, "boot_unit": "B"},
                 {"ready": False, "boot": "converting", "boot_done": 1, "boot_total": 4}, {"ready": True}])
    told: list[dict[str, Any]] = []
    assert wait(lambda: next(said), told.append) == {"ready": True}
    assert [(event["done"], event["unit"]) for event in told] == [(1, "B"), (1, "")]
    with pytest.raises(Failed, match="no room"):
        wait(lambda: {"ready": False, "boot_error": "no room"}, None)
