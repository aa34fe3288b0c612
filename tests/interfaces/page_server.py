"""A system for a browser: scripted, on a port of its own, with a model that talks; tells where and with which keys."""

from __future__ import annotations

import asyncio
import json
import socket

from agentos.config import load
from agentos.interfaces.place import listening, only_system, own_folder
from agentos.interfaces.server import Resident
from agentos.system import System
from agentos.training.records import Records
from agentos.training.spec import EVENTS

ROLES = {"ada": "admin", "eve": "admin", "otto": "operator", "vera": "viewer"}
RUN = [
    {"kind": "start", "time": 1.0},
    *({"kind": "step", "step": at, "steps": 40, "loss": 4.0 / at, "rate": 1e-3 / at} for at in range(1, 31)),
    {"kind": "eval", "step": 20, "metric": {"loss": 0.5, "accuracy": 0.7}},
    {"kind": "resume", "step": 25},
    *({"kind": "step", "step": at, "steps": 40, "loss": 5.0 / at, "rate": 1e-3 / at} for at in range(26, 41)),
    {"kind": "eval", "step": 40, "metric": {"loss": 0.2, "accuracy": 0.9}},
]
"""What a training run has told, with a stretch that it did again."""


def recorded(system: System) -> None:
    """A run that has ended."""
    records = Records(system.store)
    run = records.begin("c1", "finetune", "ada", model="made", base="talker", dataset="tickets", method="lora").run
    folder = system.training.folder(run)
    folder.mkdir(parents=True)
    (folder / EVENTS).write_text("".join(json.dumps(event) + "\n" for event in RUN), "utf-8")
    records.end(run, "succeeded", {})


async def main() -> None:
    settings = load()
    own_folder(settings.home)
    system = System(settings)
    with only_system(settings), listening(settings.socket) as unix, socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(128)
        running = asyncio.create_task(Resident(system, unix, tcp).run())
        while not system.ready:
            assert not system.boot_error, system.boot_error
            await asyncio.sleep(0.02)
        await system.models.load("talker", "scripted", keep_alive="forever")
        recorded(system)
        keys = {user: system.people.create_key(user, role).key for user, role in ROLES.items()}  # type: ignore[arg-type]
        print(json.dumps({"url": f"http://127.0.0.1:{tcp.getsockname()[1]}", "keys": keys}), flush=True)
        await running


if __name__ == "__main__":
    asyncio.run(main())
