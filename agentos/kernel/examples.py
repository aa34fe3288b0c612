"""Sentences whose plans are known: those beside each syscall, and `tools/examples.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

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
    for item in listed:
        plan = Plan.from_json({"steps": item.get("steps", [])})
        names = frozenset(step.syscall for step in plan.steps)
        if any(name not in table for name in names):
            raise ValueError(f"tools/examples.yaml: {item['text']!r} names a syscall that is not in the table")
        answer = write(plan.steps, table) if plan.steps else {"none": NONE, "chat": CHAT}[item["answer"]]
        found.append(Example(item["text"], answer, names))
    return found
