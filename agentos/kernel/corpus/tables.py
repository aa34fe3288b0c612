"""Tables to read: the one there is, and others made of it, so that what is learned is to read the one that is shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources

import yaml

from agentos.kernel.corpus.said import Said
from agentos.kernel.foreign import foreign
from agentos.kernel.language import NONE
from agentos.kernel.sheets import beginning, more
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Json, Step

_FAMILIES = {
    "models": "weights nets lm zoo", "datasets": "data corpora sets", "jobs": "tasks queue batch work",
    "training": "learn tune fit", "kernel": "system shell", "resources": "machine host hw",
    "policy": "rights access", "audit": "history trail",
}
_VERBS = {
    "list": "all ls index", "show": "describe info inspect card", "pull": "fetch download get",
    "load": "start mount up",
    "unload": "drop free down", "delete": "remove erase rm", "generate": "ask complete write",
    "predict": "classify score infer", "quantize": "shrink compress", "add": "import register ingest",
    "clean": "tidy scrub", "split": "part divide", "submit": "run enqueue launch", "cancel": "kill abort end",
    "retry": "rerun redo", "logs": "output tail stdout", "wait": "join await_end", "query": "usage stat look",
    "explain": "may why check", "search": "find lookup", "finetune": "adapt teach", "pretrain": "scratch build",
    "evaluate": "test measure grade", "runs": "experiments tries", "again": "repeat", "status": "health",
    "help": "manual", "undo": "restore",
}
_PARAMS = {
    "model": "name weights checkpoint id", "dataset": "data table set", "job": "task number id", "command": "cmd line",
    "prompt": "question input", "output": "as_name into", "keep_alive": "ttl stay", "max_tokens": "budget limit",
    "state": "status which", "kind": "what resource", "path": "file location", "source": "origin", "epochs": "passes",
    "cpus": "cores", "gpus": "cards", "memory": "ram", "priority": "urgency", "at": "when start_at",
    "tail": "lines last", "user": "who person", "since": "from_time", "retries": "attempts", "time_limit": "timeout",
    "folder": "cwd directory", "text": "input content", "device": "place", "engine": "backend", "trials": "tries",
}


@dataclass(frozen=True)
class Shown:
    """A table as it is shown, and how names of the real one are called in it."""

    text: str
    table: Registry
    names: dict[str, str]
    params: dict[str, dict[str, str]]

    def of(self, said: Said) -> Said | None:
        """A request in this table's names; `none()` where no call of it does it, None where some do and some don't."""
        there = [step.syscall in self.names for step in said.steps]
        if said.steps and not any(there):
            return replace(said, steps=(), answer=NONE)
        if not all(there):
            return None
        steps = []
        for step in said.steps:
            args: dict[str, Json] = {}
            for name, value in step.args.items():
                kind = next(p.kind for p in self.table[self.names[step.syscall]].params
                            if p.name == self.params[step.syscall].get(name, name))
                if kind in ("syscall", "topic") and isinstance(value, str) and value != "?":
                    if value in self.names and self.names[value] != value:
                        return None  # a name that is said in words; another word would not say it
                    if value not in self.names:
                        return None
                args[self.params[step.syscall].get(name, name)] = value
            steps.append(Step(step.id, self.names[step.syscall], args, step.after))
        return replace(said, steps=tuple(steps))


def whole(table: Registry) -> Shown:
    """The table as it is."""
    return Shown(beginning(table), table, {entry.name: entry.name for entry in table}, {e.name: {} for e in table})


def extended(table: Registry, others: Sequence[Syscall], draw: random.Random) -> Shown:
    """The table as it is, with a package or a few more: what a kernel reads once somebody has installed them.

    Of a package a call or two may be missing, so that what is near one that is shown is not always done by it.
    """
    families = sorted({entry.family for entry in others})
    shown, own = list(table), {entry.family for entry in table}
    for family in draw.sample([name for name in families if name not in own], draw.choice((1, 1, 2, 3))):
        package = [entry for entry in others if entry.family == family]
        lacking = draw.sample(package, min(len(package) - 1, draw.choice((0, 0, 0, 1, 2))))
        shown += [entry for entry in package if entry not in lacking]
    together = Registry()
    for entry in shown:
        together.add(entry)
    return Shown(beginning(together), together, {e.name: e.name for e in shown}, {e.name: {} for e in shown})


def sampled(table: Registry, others: Sequence[Syscall], draw: random.Random) -> Shown:
    """Some syscalls of the table and some foreign ones, in another order, mostly under other names."""
    own = list(table)
    entries = draw.sample(own, draw.randint(8, len(own))) + draw.sample(list(others), draw.randint(6, 18))
    renames = draw.random() < 0.6
    families, names, params, made = dict[str, str](), dict[str, str](), dict[str, dict[str, str]](), list[Syscall]()
    for entry in entries:
        family, _, verb = entry.name.partition(".")
        changed: dict[str, str] = {}
        name = entry.name
        if renames:
            shown = families.setdefault(family, draw.choice([family, *_FAMILIES.get(family, family).split()]))
            name = f"{shown}.{draw.choice([verb, *_VERBS.get(verb, verb).split()])}"
            taken = {param.name for param in entry.params}
            for param in entry.params:
                new = draw.choice([param.name, *_PARAMS.get(param.name, param.name).split()])
                if new not in taken:
                    changed[param.name] = new
                    taken.add(new)
        if name in names.values():
            name, changed = entry.name, {}
        if name in names.values():
            continue
        names[entry.name], params[entry.name] = name, changed
        made.append(replace(
            entry, name=name, params=tuple(replace(p, name=changed.get(p.name, p.name)) for p in entry.params),
        ))
    shuffled = Registry()
    for entry in made:
        shuffled.add(entry)
    families_order = list(dict.fromkeys(entry.family for entry in made))
    draw.shuffle(families_order)
    made.sort(key=lambda entry: families_order.index(entry.family))
    behind = draw.sample(made, draw.randint(1, 5)) if draw.random() < 0.3 else []
    main = [entry for entry in made if entry not in behind]
    return Shown(beginning(main) + (more(behind) if behind else ""), shuffled, names, params)


def strangers() -> tuple[list[Syscall], list[Said]]:
    """Foreign syscalls and requests for them."""
    folder = resources.files("agentos.kernel.corpus").joinpath("tools")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    listed = [item for file in files for item in yaml.safe_load(file.read_text("utf-8"))]
    plain = [
        {
            "name": item["name"], "doc": item["doc"], "effect": "write", "params": item["params"],
            **({"gives": [item["gives"]]} if item.get("gives") else {}),
        }
        for item in listed
    ]
    said = [
        Said(one["text"], (Step("s1", item["name"], one["args"]),)) for item in listed for one in item["examples"]
    ]
    return foreign(plain, "agentos/kernel/corpus/tools"), said
