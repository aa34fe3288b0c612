"""Sentences whose plans are known: those beside each syscall, and `tools/examples.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from agentos.kernel.language import CHAT, NONE, write
from agentos.registry import Registry
from agentos.types import Plan, Step


@dataclass(frozen=True)
class Example:
    """A sentence and what it comes to."""

    text: str
    answer: str
    """In the plan language."""
    syscalls: frozenset[str]


def collect(table: Registry) -> list[Example]:
    """Every example that this table can carry out.

    Raises:
        ValueError: `examples.yaml` holds a plan that does not fit the table.
    """
    found = []
    for entry in table:
        asks = [param.name for param in entry.params if param.kind == "syscall"]
        for text, args in entry.examples.items():
            if any(args.get(name) not in table for name in asks if name in args):
                continue
            found.append(Example(text, write([Step("s1", entry.name, args)], table), frozenset({entry.name})))
    listed = yaml.safe_load(resources.files("agentos.tools").joinpath("examples.yaml").read_text("utf-8"))
    return found + _read(listed, table, "tools/examples.yaml")


def sayings(table: Registry) -> list[Example]:
    """More ways to say it, for a kernel to learn from: those that this table can carry out.

    Raises:
        ValueError: a file of them holds a plan that does not fit the table.
    """
    found = []
    folder = resources.files("agentos.kernel.corpus").joinpath("sayings")
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            found += _read(yaml.safe_load(file.read_text("utf-8")), table, f"sayings/{file.name}")
    return found


def _read(listed: list[dict[str, Any]], table: Registry, where: str) -> list[Example]:
    found = []
    for item in listed:
        plan = Plan.from_json({"steps": item.get("steps", [])})
        names = frozenset(step.syscall for step in plan.steps)
        if any(name not in table for name in names):
            raise ValueError(f"{where}: {item['text']!r} names a syscall that is not in the table")
        answer = write(plan.steps, table) if plan.steps else {"none": NONE, "chat": CHAT}[item["answer"]]
        found.append(Example(item["text"], answer, names))
    return found
