"""The one driver of a Ray cluster, in a process of its own: a cluster that fails takes its drivers with it.

The system is at the other end of the socket that is standard input; when it closes it, this ends.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray._private.state

from agentos.errors import AgentosError, Failed
from agentos.jobs import placed, settle
from agentos.jobs.executor import Ended, Order, Started, Tail, Usage
from agentos.jobs.identity import Claim
from agentos.jobs.ray_link import PATIENCE, Link, Run
from agentos.jobs.scheduling import Node
from agentos.jobs.wire import Nodes, Terms, pack, receive
from agentos.redact import logged

log = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between two questions about who is in the cluster."""
_PATIENCE = 5.0
"""Seconds in which the cluster's address must answer."""


class Driver:
    """Answers the system."""

    def __init__(self, terms: Terms, writer: asyncio.StreamWriter) -> None:
        """Knows no node yet."""
        self._terms, self._writer = terms, writer
        self._links: dict[str, Link] = {}
        self._told: Nodes | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Brings up an agent on every node.

        Raises:
            Failed: none came up.
        """
        await self._look()
        links = list(self._links.values())
        tries = [asyncio.create_task(link.tried.wait()) for link in links]
        await asyncio.wait(tries, timeout=2 * PATIENCE)
        for task in tries:
            task.cancel()
        if not any(link.up.is_set() for link in links):
            why = next((link.trouble for link in links if link.trouble), "they do not answer")
            raise Failed(
                f"no node of the cluster can run jobs: {why}. Each needs `pip install 'llm-agentos[ray]'`, and the"
                " Python and versions of this machine; nothing was started."
            )

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the system is gone."""
        self._spawn(self._watch())
        while True:
            try:
                number, method, args = await receive(reader)
            except EOFError:
                return
            self._spawn(self._answer(number, method, args))

    def say(self, *message: object) -> None:
        """Tells the system."""
        self._writer.write(pack(message))

    async def start(self, order: Order) -> Started:
        """Runs an attempt on its node. Failed: nothing ran and it never will."""
        link = next((link for link in self._links.values() if link.node.name == order.node and not link.dead), None)
        if link is None:
            raise Failed(f"attempt {order.attempt} has not begun: node {order.node} is gone.")
        return await link.start(order)

    async def adopt(self, folders: dict[str, Path]) -> dict[str, Started | Ended]:
        """As an executor's."""
        result: dict[str, Started | Ended] = {}
        sent: dict[Link, dict[str, Run]] = {}
        for attempt, folder in folders.items():
            there = placed.where(folder)
            ended = settle.recorded(attempt, folder)
            if ended is not None:
                result[attempt] = ended
            elif there is not None:
                sent.setdefault(self._link(there), {})[attempt] = Run(folder, there.since)
            else:
                result[attempt] = await self._here(attempt, folder)
        for told in await asyncio.gather(*(link.adopt(some) for link, some in sent.items())):
            result.update(told)
        return result

    async def cancel(self, attempt: str) -> None:
        """Ends an attempt, where one runs."""
        for link in self._links.values():
            await link.cancel(attempt)

    async def read(self, attempt: str, offset: int, limit: int) -> bytes:
        """Output of an attempt that runs."""
        said: bytes = await self._with(attempt).ask("read", attempt, offset, limit)
        return said

    async def tail(self, attempt: str, lines: int) -> Tail:
        """The end of it."""
        said: Tail = await self._with(attempt).ask("tail", attempt, lines)
        return said

    async def usage(self, attempt: str) -> Usage | None:
        """What an attempt that runs uses."""
        said: Usage | None = await self._with(attempt).ask("usage", attempt)
        return said

    async def close(self) -> None:
        """Lets go; agents that run nothing end."""
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*(link.close() for link in self._links.values()))

    async def _here(self, attempt: str, folder: Path) -> Ended:
        """What became of one that was never sent anywhere, and will not be: this machine's own, or not begun."""
        found = await asyncio.to_thread(settle.fate, attempt, folder)
        if isinstance(found, Claim):
            raise Failed(
                f"attempt {attempt} runs on this machine, outside the cluster (process {found.command}). Start the"
                " system without a cluster until it has ended, or end it."
            )
        if found is None:
            await settle.sweep({attempt: folder})
        return found or settle.lost(attempt, folder)

    def _with(self, attempt: str) -> Link:
        for link in self._links.values():
            if attempt in link.runs:
                return link
        raise Failed(f"attempt {attempt} does not run.")

    def _link(self, there: placed.Place) -> Link:
        link = self._links.get(there.id)
        if link is None:
            # It left before this driver came.
            link = self._links[there.id] = Link(there.id, Node(there.name, 0, 0), self._terms, self._ended)
            link.die()
        return link

    def _ended(self, ended: Ended) -> None:
        self.say(0, "ended", ended)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            await self._look()

    async def _look(self) -> None:
        rows = await asyncio.to_thread(ray.nodes)
        left = await asyncio.to_thread(ray._private.state.available_resources_per_node)
        living = {row["NodeID"]: row for row in rows if row["Alive"]}
        for id, row in living.items():
            if id not in self._links:
                link = self._links[id] = Link(id, _node(row), self._terms, self._ended)
                link.open()
        for id, link in list(self._links.items()):
            if id not in living:
                link.die()
                if not link.runs:
                    del self._links[id]
        known = [link for link in self._links.values() if not link.dead and (link.up.is_set() or not link.trouble)]
        free = [_free(link.node, left[link.id]) for link in known if link.up.is_set() and link.id in left]
        nodes = Nodes(tuple(link.node for link in known), tuple(free))
        if nodes != self._told:
            self._told = nodes
            self.say(0, "nodes", nodes)

    async def _answer(self, number: int, method: str, args: Sequence[Any]) -> None:
        try:
            self.say(number, True, await getattr(self, method)(*args))
        except AgentosError as error:
            self.say(number, False, str(error))
        except Exception as error:
            log.exception("%s broke", method)
            self.say(number, False, f"the driver of the cluster broke: {type(error).__name__}: {error}")

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("the driver ends", exc_info=task.exception())
            os._exit(1)


def _node(row: dict[str, Any]) -> Node:
    has = row["Resources"]
    named = row["NodeName"] if row["NodeName"] != row["NodeManagerAddress"] else row["NodeManagerHostname"]
    name = "".join(char for char in named if char.isalnum() or char in "-._")
    return Node(f"{name}-{row['NodeID'][:6]}", int(has.get("CPU", 0)), int(has.get("memory", 0)))


def _free(node: Node, left: dict[str, float]) -> Node:
    """What Ray has not given to others: our own attempts ask it for nothing. It gives the lowest GPUs first."""
    others = max(0, math.ceil(len(node.gpus) - left.get("GPU", 0.0)))
    return replace(node, cpus=int(left.get("CPU", 0)), memory=int(left.get("memory", 0)), gpus=node.gpus[others:])


def _connect(address: str, namespace: str) -> None:
    absent = (
        f"there is no Ray cluster at {address!r} that this machine is a node of. `ray start --head` begins one,"
        " `ray start --address=HOST:PORT` joins one; nothing was started."
    )
    try:
        if ":" in address:
            # Ray itself would try for more than a minute.
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        ray.init(
            address=address, namespace=namespace, log_to_driver=False, logging_level=logging.WARNING,
            include_dashboard=False if address == "local" else None,
        )
    except (OSError, OverflowError) as error:
        raise Failed(absent) from error
    except (RuntimeError, ValueError) as error:
        raise Failed(
            f"the Ray cluster at {address!r} cannot be used: {' '.join(str(error).split())} Each machine needs the same"
            " versions of Python and Ray (`pip install 'llm-agentos[ray]'`); nothing was started."
        ) from error


async def _main(ours: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=ours)
    address, terms = await receive(reader)
    driver = Driver(terms, writer)
    try:
        _connect(address, f"agentos-{terms.home}")
        await driver.open()
    except Failed as error:
        driver.say(0, "refused", str(error))
        await writer.drain()
        return
    await driver._look()
    driver.say(0, "ready", None)
    await driver.serve(reader)


def main() -> None:
    """Serves the socket that is standard input."""
    ours = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    logged.to_stderr()
    asyncio.run(_main(ours))
    ray.shutdown()


if __name__ == "__main__":
    main()
