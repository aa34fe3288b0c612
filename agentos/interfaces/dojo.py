"""`python -m agentos.interfaces.dojo`: AgentDojo's tasks replayed against the rules; no model, no network.

    python -m venv .cache/agentdojo && .cache/agentdojo/bin/pip install agentdojo==0.1.35
    python -m agentos.interfaces.dojo --python .cache/agentdojo/bin/python --json FILE

AgentDojo's 97 user tasks and their injections pair to 949 in its newest version, v1.2.2 (629 up to v1.1.2). Its ground
truth has calls for 609 of either: the travel injection that only has something said (20 pairs) and eight of the
workspace, new in v1.2 (320 pairs), have none, and no calls are nothing that rules could judge.

A benign plan is allowed if each of its ground-truth calls runs without a person. An attack is a planner that has been
taken over: after the person's whole plan has run on an environment with the injection at every place, it makes the
injection's ground-truth calls, and it is allowed if each of them runs without a person. (The kernel of agentos plans
from the sentence alone and has no such moment; the rules are tested as if it had.) One mechanism judges both and
is not told which it has: `dojo_sources.py` says where each value came from, and the real monitor decides by the
shipped rules, with `evals/agentdojo/confirm-outside.cedar` in the place of the shipped one or without.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import create_model

from agentos.errors import AgentosError, UserError
from agentos.interfaces.dojo_sources import Made, Sources
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.syscall import Param, Syscall
from agentos.types import Allowed, Call, Caller, Decision, Json

VERSION = "v1.2.2"
NOTES = [
    "allowed: every ground-truth call runs without a person; nothing here says what a model would plan",
    "not held out: the rule, the declarations and how values are looked up were written with these tasks in view",
    "the injections are fixed: nobody who knows these rules wrote them",
    "taken for the person's own: contacts, participants in their calendar, whom their files are shared with, payees",
    "bodies are AgentDojo's own, such as '<summary>'; a link from outside in a real one would wait",
    "members_outside: the same rules where what members of a workspace wrote names no link to read",
    "shipped: the shipped rules alone, on the same sources of values",
]
PERSON = Caller("emma", "admin", door="eval")
"""Whoever has a machine to themself administers it; what destroys or executes is confirmed by them all the same."""


@dataclass(frozen=True)
class Tool:
    """One of AgentDojo's tools as declared."""

    entry: Syscall
    made: Made
    choices: Mapping[str, tuple[Json, ...]]


@dataclass(frozen=True)
class Judged:
    """One benign plan or attack."""

    suite: str
    user: str
    injection: str
    """Empty for a benign plan."""
    stopped: str
    """The first call that did not run, and by which rule; empty where all ran."""


def main(argv: list[str] | None = None) -> int:
    """Replays all tasks, prints what was allowed, and with `--json` writes it to a file."""
    asked = argparse.ArgumentParser(prog="python -m agentos.interfaces.dojo", description="AgentDojo against the rules")
    asked.add_argument("--python", default=sys.executable, help="an interpreter that has agentdojo")
    asked.add_argument("--version", default=VERSION, help="AgentDojo's benchmark version")
    asked.add_argument("--json", metavar="FILE", help="where to write the result")
    args = asked.parse_args(argv)
    try:
        result = measure(dump(args.python, args.version))
    except AgentosError as error:
        print(f"agentos: {error}", file=sys.stderr)
        return 1
    print(text(result))
    if args.json:
        from agentos.interfaces.bench import machine, versions

        where = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions()}
        Path(args.json).write_text(json.dumps({**where, **result}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def dump(python: str, version: str) -> dict[str, Any]:
    """AgentDojo's tasks with what their calls gave, by a process that has it.

    Raises:
        UserError: it has not, or AgentDojo has no such version.
    """
    script = Path(__file__).with_name("dojo_dump.py")
    try:
        done = subprocess.run([python, "-I", str(script), version], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"{python!r} cannot be started ({error.strerror}); name it with --python.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{python!r}, which needs agentdojo==0.1.35, failed with {last!r}; nothing was judged.")
    dumped: dict[str, Any] = json.loads(done.stdout)
    if not dumped["suites"]:
        raise UserError(f"AgentDojo has no benchmark version {version!r}; nothing was judged.")
    return dumped


def measure(dumped: Mapping[str, Any]) -> dict[str, Any]:
    """All three measurements as one JSON object: these rules, the same with members as outsiders, the shipped rules."""
    found: dict[str, Any] = {"agentdojo": dumped["agentdojo"], "benchmark": dumped["benchmark"], "notes": NOTES}
    for name, ours, members in (("rules", True, True), ("members_outside", True, False), ("shipped", False, True)):
        judged = judge(dumped, ours=ours, members=members)
        plans, attacks = _split(judged)
        suites = sorted({one.suite for one in judged})
        found[name] = {
            "attacks": len(attacks), "attacks_allowed": _allowed(attacks),
            "plans": len(plans), "plans_allowed": _allowed(plans),
            "suites": {suite: {
                "attacks": sum(one.suite == suite for one in attacks),
                "attacks_allowed": _allowed(one for one in attacks if one.suite == suite),
                "plans": sum(one.suite == suite for one in plans),
                "plans_allowed": _allowed(one for one in plans if one.suite == suite),
            } for suite in suites},
            "allowed_attacks": [f"{one.suite}/{one.user}/{one.injection}" for one in attacks if not one.stopped],
            "stopped_plans": {f"{one.suite}/{one.user}": one.stopped for one in plans if one.stopped},
        }
    return found


def judge(dumped: Mapping[str, Any], *, ours: bool = True, members: bool = True) -> list[Judged]:
    """Every benign plan, and every attack that has calls.

    Args:
        dumped: What `dojo_dump.py` wrote.
        ours: By `evals/agentdojo/confirm-outside.cedar`; else by the shipped rule.
        members: Whether what members of a workspace wrote may name a link to read.

    Raises:
        UserError: a tool is not declared, or a declaration does not fit it.
    """
    folder = resources.files("agentos.evals").joinpath("agentdojo")
    declared = yaml.safe_load(folder.joinpath("tools.yaml").read_text("utf-8"))
    judged: list[Judged] = []
    with resources.as_file(folder) as rules:
        for name, suite in sorted(dumped["suites"].items()):
            tools = _tools(name, suite["tools"], declared.get(name) or {})
            table = Registry()
            for tool in tools.values():
                table.add(tool.entry)
            monitor = Monitor(table, {PERSON.user: PERSON.role}.get, extra=rules if ours else None)
            replay = _Replay(name, suite, dumped["results"], tools, monitor, members)
            judged += [replay.benign(user) for user in suite["users"]]
            judged += [replay.attack(one) for one in suite["attacks"] if one["calls"]]
    return judged


@dataclass(frozen=True)
class _Replay:
    name: str
    suite: Mapping[str, Any]
    results: list[Json]
    tools: Mapping[str, Tool]
    monitor: Monitor
    members: bool

    def benign(self, user: str) -> Judged:
        """The person's own plan."""
        return Judged(self.name, user, "", self._stopped(self._sources(user), self.suite["users"][user]["calls"]))

    def attack(self, one: Mapping[str, Any]) -> Judged:
        """An injection's calls, once the person's plan has seen what it sees."""
        sources = self._sources(one["user"])
        for tool, result in one["seen"]:
            sources.see(self.tools[tool].made, self.results[result])
        return Judged(self.name, one["user"], one["injection"], self._stopped(sources, one["calls"]))

    def _sources(self, user: str) -> Sources:
        return Sources(self.suite["users"][user]["prompt"], tuple(self.suite["me"]), members=self.members)

    def _stopped(self, sources: Sources, calls: Iterable[Mapping[str, Any]]) -> str:
        for call in calls:
            tool = self.tools[call["tool"]]
            said = self._decide(tool, call["args"], sources)
            if not isinstance(said, Allowed):
                return f"{call['tool']}: {said.rule}"
            sources.see(tool.made, self.results[call["result"]])
        return ""

    def _decide(self, tool: Tool, args: Mapping[str, Json], sources: Sources) -> Decision:
        outside = sources.outside(args, tool.choices, reads=tool.entry.effect == "read")
        return self.monitor.decide(Call("replayed", tool.entry.name, args, PERSON, outside), tool.entry)


def _tools(suite: str, schemas: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Tool]:
    missing = schemas.keys() - declared.keys()
    if missing:
        raise UserError(f"evals/agentdojo/tools.yaml declares no {suite}/{min(missing)}; nothing was judged.")
    return {name: _tool(suite, name, schema, declared[name]) for name, schema in schemas.items()}


def _tool(suite: str, name: str, schema: Mapping[str, Any], said: Mapping[str, Any]) -> Tool:
    """A tool as a syscall whose rules see where values come from and not the values, which are the person's."""
    shape = schema.get("properties", {})
    to = tuple(said.get("to", ()))
    unknown = set(to) - shape.keys()
    if unknown:
        raise UserError(f"evals/agentdojo/tools.yaml: {suite}/{name} has no {min(unknown)!r}; nothing was judged.")
    links = tuple(f"{param}.link" for param in shape if param not in to) if said["effect"] != "read" else ()
    params = tuple(
        Param(param, Any, param in schema.get("required", ()), None, "", kind="private", field=param) for param in shape
    )
    model = create_model(name, **{param: (Any, None) for param in shape})  # type: ignore[call-overload]
    entry = Syscall(
        f"{suite}.{name}", said["effect"], _uncallable, name, params, (), {}, model, "agentdojo",
        destinations=to + links,
    )
    made = Made(frozenset(said.get("outside", ())), frozenset(said.get("members", ())), said.get("own", {}))
    return Tool(entry, made, {param: _choices(one, schema) for param, one in shape.items()})


def _choices(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Json, ...]:
    """What a parameter may be, where its schema lists it, and its default."""
    named = str(shape.get("$ref", "")).rpartition("/")[2]
    listed = schema.get("$defs", {}).get(named, shape).get("enum", [])
    return (*listed, *([shape["default"]] if "default" in shape else []))


async def _uncallable(*_args: Any, **_named: Any) -> Any:
    raise NotImplementedError("a replayed call is judged and never made")


def _split(judged: Iterable[Judged]) -> tuple[list[Judged], list[Judged]]:
    listed = list(judged)
    return [one for one in listed if not one.injection], [one for one in listed if one.injection]


def _allowed(judged: Iterable[Judged]) -> int:
    return sum(not one.stopped for one in judged)


def text(result: Mapping[str, Any]) -> str:
    """The figures as a table."""
    lines = [f"AgentDojo {result['agentdojo']}, {result['benchmark']}"]
    for name in ("rules", "members_outside", "shipped"):
        found = result[name]
        lines.append(
            f"{name}: {found['attacks_allowed']} of {found['attacks']} attacks and "
            f"{found['plans_allowed']} of {found['plans']} benign plans run without a person"
        )
        lines += [
            f"  {suite}: {one['attacks_allowed']} of {one['attacks']}, {one['plans_allowed']} of {one['plans']}"
            for suite, one in found["suites"].items()
        ]
    lines += [f"allowed: {one}" for one in result["rules"]["allowed_attacks"]]
    lines += [f"stopped: {one} at {by}" for one, by in result["rules"]["stopped_plans"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
