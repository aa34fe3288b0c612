"""Mounting another server's tools: an administrator's act, recorded, and governed before anything can be called.

A tool is in the table and the rules' schema or in neither: where the rules do not hold with it, it is not taken in. A
yes that was given beforehand is a yes to one tool of one server; it ends when that tool changes or its server leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from agentos.errors import AgentosError, DeniedError, Failed, UserError
from agentos.mounts.service import Mount, Mounts, Offer
from agentos.mounts.spec import mount_name, read
from agentos.policy.acts import Trail, act, refused
from agentos.policy.schema import ADMINISTRATION
from agentos.policy.scopes import DOORS
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Caller, Json

RESERVED = ADMINISTRATION | DOORS | {"output", "none", "chat", "mcp", "admin", "operator", "viewer", "agentos", "ask"}
"""Families that mean something else; a key's scope may name the doors."""


class Rules(Protocol):
    """The reference monitor."""

    def reload(self) -> None:
        """Takes in syscalls that have changed; on an error the old set stays in force."""
        ...


class Standing(Protocol):
    """Yeses given beforehand."""

    def rules(self, user: str | None = None) -> Sequence[Any]:
        """All of them."""
        ...

    def revoke(self, rule: str, by: Caller | None = None) -> Any:
        """Takes one back."""
        ...


@dataclass(frozen=True)
class Changed:
    """What a refresh came to: names of syscalls."""

    mount: Mount
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """Those that their server describes in another way than before."""


class Mounting:
    """Adds, refreshes and removes servers, one at a time."""

    def __init__(self, mounts: Mounts, table: Registry, rules: Rules, standing: Standing, trail: Trail) -> None:
        """Over the servers that are mounted already."""
        self._mounts, self._table, self._rules, self._standing, self._trail = mounts, table, rules, standing, trail
        self._turn = asyncio.Lock()

    def listing(self) -> list[Mount]:
        """Every mounted server."""
        return self._mounts.listing()

    async def add(self, caller: Caller, name: str, said: Mapping[str, Json]) -> Mount:
        """Starts a server and takes its tools into the table as `NAME.TOOL`.

        Args:
            caller: An administrator.
            name: What it is to be called.
            said: How it is reached, as `spec.read` takes it.

        Raises:
            DeniedError: the caller is no administrator.
            UserError: the name or the description is not valid, or taken; nothing was mounted.
            Failed: the server cannot be started or offers nothing; nothing was mounted.
        """
        async with self._turn:
            with self._recorded(caller, "mcp.add", name) as record:
                spec = read(said)
                self._free(mount_name(name))
                offer = await self._mounts.offer(name, spec)
                try:
                    self._take(name, offer.entries)
                    try:
                        self._mounts.keep(offer, caller.user)
                    except AgentosError:
                        self._take(name, ())
                        raise
                except BaseException:
                    await asyncio.shield(offer.server.close())
                    raise
                record |= {"tools": [entry.name for entry in offer.entries], **spec.shown()}
                return self._mounts.get(name)

    async def refresh(self, caller: Caller, name: str) -> Changed:
        """Starts a server anew and takes in what it offers now.

        Raises:
            DeniedError: the caller is no administrator.
            NotFound: there is no such server.
            Failed: it cannot be started or offers nothing; its tools stay as they were.
        """
        async with self._turn:
            with self._recorded(caller, "mcp.refresh", name) as record:
                self._mounts.get(name)
                before = self._mounts.described(name)
                offer = await self._mounts.offer(name)
                return self._refreshed(caller, offer, before, record)

    def _refreshed(
        self, caller: Caller, offer: Offer, before: Mapping[str, Json], record: dict[str, Json]
    ) -> Changed:
        old = self._take(offer.name, offer.entries)
        try:
            self._mounts.keep(offer, caller.user)
        except AgentosError:
            self._take(offer.name, old)
            raise
        now = self._mounts.described(offer.name)
        both = before.keys() & now.keys()
        changed = tuple(sorted(name for name in both if before[name] != now[name]))
        removed, added = tuple(sorted(before.keys() - now.keys())), tuple(sorted(now.keys() - before.keys()))
        self._forget({*changed, *removed})
        record |= {"added": list(added), "removed": list(removed), "changed": list(changed)}
        return Changed(self._mounts.get(offer.name), added, removed, changed)

    async def remove(self, caller: Caller, name: str) -> Mount:
        """Takes a server's tools out of the table and ends it.

        Raises:
            DeniedError: the caller is no administrator.
            NotFound: there is no such server.
            UserError: a rule of the owner's names one of its tools; nothing was changed.
        """
        async with self._turn:
            with self._recorded(caller, "mcp.remove", name) as record:
                gone = self._mounts.get(name)
                self._take(name, ())
                self._forget(set(gone.tools))
                await self._mounts.drop(name)
                record |= {"tools": list(gone.tools)}
                return gone

    async def close(self) -> None:
        """Ends every server."""
        await self._mounts.close()

    def _free(self, name: str) -> None:
        families = {entry.family: entry for entry in self._table}
        if name in self._mounts.names():
            raise UserError(
                f"a server is mounted as {name!r} already; nothing was changed. `agentos mcp refresh {name}` takes in"
                " what it offers now."
            )
        if name in RESERVED or name in families:
            raise UserError(f"{name!r} means something else here; nothing was mounted. Give it another name.")

    def _take(self, name: str, entries: Iterable[Syscall]) -> tuple[Syscall, ...]:
        """Puts entries into the table and the rules' schema, or into neither; gives what was there before."""
        try:
            before = self._table.mounted(name, entries)
        except ValueError as error:
            raise UserError(f"{error}; nothing was mounted") from error
        try:
            self._rules.reload()
        except (UserError, Failed) as error:
            self._table.mounted(name, before)
            raise type(error)(f"{error} The tools of {name!r} stay as they were.") from error
        return before

    def _forget(self, names: set[str]) -> None:
        for rule in self._standing.rules():
            if rule.syscall in names:
                self._standing.revoke(rule.id)

    @contextmanager
    def _recorded(self, caller: Caller, name: str, server: str) -> Iterator[dict[str, Json]]:
        said: dict[str, Json] = {"name": server[:64]}
        if caller.role != "admin":
            error = DeniedError(
                f"mounting servers takes an administrator, and {caller.user!r} is {caller.role}; nothing was changed"
            )
            refused(self._trail, caller, name, said, error)
            raise error
        with act(self._trail, caller, name, said) as detail:
            detail["server"] = server[:64]
            yield detail
