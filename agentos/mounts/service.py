"""The servers that are mounted: kept in the database, their tools as they were when an administrator took them in.

What a server offers is taken in when it is mounted or refreshed, and at no other time: one that later describes its
tools in other words, or offers others, changes nothing here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentos.errors import Failed, UserError, unknown
from agentos.mounts.answer import Answer, Tool
from agentos.mounts.server import Mounted
from agentos.mounts.spec import Spec, read
from agentos.mounts.tools import Refused, entries
from agentos.registry import Registry
from agentos.sealing import Sealer
from agentos.store import Store
from agentos.syscall import Syscall
from agentos.types import Context, Json, Timestamp

log = logging.getLogger(__name__)

MOST = 32
"""Servers at most."""
_TABLE = """
create table if not exists mounts (
    name text primary key, sealed text not null, shown text not null, tools text not null, added_by text not null,
    created real not null, refreshed real not null
);
"""


@dataclass(frozen=True)
class Mount:
    """A mounted server, for people to look at."""

    name: str
    state: str
    fault: str
    """Why it ended last; empty where it did not."""
    tools: tuple[str, ...]
    """Its syscalls."""
    refused: tuple[Refused, ...]
    added_by: str
    created: Timestamp
    refreshed: Timestamp
    """When its tools were taken in last."""
    server: Mapping[str, Json]
    """How it is reached, without arguments and values."""


@dataclass(frozen=True)
class Offer:
    """A server that was asked what it offers, and is not in the table yet."""

    name: str
    spec: Spec
    tools: tuple[Tool, ...]
    entries: tuple[Syscall, ...]
    refused: tuple[Refused, ...]
    server: Mounted


class Mounts:
    """Keeps servers, their connections and their tools."""

    def __init__(
        self, store: Store, table: Registry, *, connected: Callable[..., Mounted] = Mounted,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Puts the tools of those that were mounted before back into the table; none is started.

        Args:
            store: The database.
            table: The syscalls.
            connected: Makes a server's connection, by its name and how it is reached.
            clock: Seconds since the epoch.
        """
        self._store, self._table, self._connected, self._clock = store, table, connected, clock
        self._sealer = Sealer(store.path.parent, "mounts")
        self._servers: dict[str, Mounted] = {}
        self._refused: dict[str, tuple[Refused, ...]] = {}
        store.connection.executescript(_TABLE)
        for name, shown, tools in store.connection.execute("select name, shown, tools from mounts order by name"):
            self._restore(name, json.loads(shown), json.loads(tools))

    def names(self) -> list[str]:
        """Who is mounted."""
        return [row[0] for row in self._store.connection.execute("select name from mounts order by name")]

    def listing(self) -> list[Mount]:
        """Every mounted server."""
        rows = self._store.connection.execute(
            "select name, shown, added_by, created, refreshed from mounts order by name"
        )
        return [self._mount(*row) for row in rows]

    def get(self, name: str) -> Mount:
        """One of them.

        Raises:
            NotFound: there is none of that name.
        """
        found = next((mount for mount in self.listing() if mount.name == name), None)
        if found is None:
            raise unknown("mounted server", name, self.names())
        return found

    async def offer(self, name: str, spec: Spec | None = None) -> Offer:
        """Asks a server what it offers: a new one, or the mounted one of that name again.

        Raises:
            Failed: it cannot be started, or offers nothing that can be a syscall; its process is ended.
            Retry: it failed a moment ago.
        """
        if spec is None:
            spec, server = self._spec(name), self._servers[name]
            await server.close()  # so that what it offers is what it begins with
        else:
            server = self._connected(name, lambda: spec)
            if len(self.names()) >= MOST:
                raise UserError(f"{MOST} servers are mounted, which is the most; nothing was mounted")
        try:
            tools = await server.tools()
            made = entries(name, tools, spec.trust_read_only, self._caller(name))
            if not made.entries:
                why = "; ".join(f"{one.tool!r}: {one.why}" for one in made.refused[:3]) or "it has none"
                raise Failed(f"the server {name!r} offers no tool that can be a syscall ({why})")
        except BaseException:
            await asyncio.shield(server.close())
            raise
        return Offer(name, spec, tuple(tools), made.entries, made.refused, server)

    def keep(self, offer: Offer, by: str) -> None:
        """Keeps what a server offers, beyond a restart.

        Raises:
            Failed: the disk refuses, or nothing can be sealed.
        """
        now = self._clock()
        sealed = self._sealer.text(json.dumps(offer.spec.to_json()), offer.name)
        with self._store.transaction() as db:
            db.execute(
                "insert into mounts values (?, ?, ?, ?, ?, ?, ?) on conflict (name) do update"
                " set tools = excluded.tools, refreshed = excluded.refreshed",
                (offer.name, sealed, json.dumps(offer.spec.shown()), json.dumps([asdict(one) for one in offer.tools]),
                 by, now, now),
            )
        self._servers[offer.name], self._refused[offer.name] = offer.server, offer.refused

    async def drop(self, name: str) -> None:
        """Forgets a server and ends it."""
        with self._store.transaction() as db:
            db.execute("delete from mounts where name = ?", (name,))
        self._refused.pop(name, None)
        await self._servers.pop(name).close()

    def described(self, name: str) -> dict[str, Json]:
        """Each syscall of a server with what its server said of it: a change is a change of these."""
        return {
            entry.name: [entry.effect, entry.doc, entry.schema] for entry in self._table if entry.mount == name
        }

    async def close(self) -> None:
        """Ends every server."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _restore(self, name: str, shown: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> None:
        made = entries(name, [Tool(**one) for one in tools], bool(shown["trust_read_only"]), self._caller(name))
        self._servers[name], self._refused[name] = self._connected(name, lambda: self._spec(name)), made.refused
        try:
            self._table.mounted(name, made.entries)
        except ValueError as error:
            log.error("the tools of the mounted server %s are not in the table: %s", name, error)

    def _caller(self, name: str) -> Callable[[str, dict[str, Json], Context], Any]:
        async def call(tool: str, args: dict[str, Json], ctx: Context) -> Answer:
            server = self._servers.get(name)
            if server is None:
                raise Failed(f"the server {name!r} is not mounted any more; nothing was sent to it")
            return await server.call(tool, args, ctx.progress)

        return call

    def _spec(self, name: str) -> Spec:
        row = self._store.connection.execute("select sealed from mounts where name = ?", (name,)).fetchone()
        if row is None:
            raise unknown("mounted server", name, self.names())
        return read(json.loads(self._sealer.plain(row[0], name)))

    def _mount(self, name: str, shown: str, by: str, created: float, refreshed: float) -> Mount:
        server = self._servers[name]
        tools = tuple(entry.name for entry in self._table if entry.mount == name)
        return Mount(
            name, server.state, server.fault, tools, self._refused.get(name, ()), by, created, refreshed,
            json.loads(shown),
        )
