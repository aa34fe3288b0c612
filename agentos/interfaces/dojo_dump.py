"""Writes AgentDojo's tasks as JSON; run by an interpreter that has `agentdojo`, as a script of its own.

agentos itself neither needs nor imports that package: `python -I dojo_dump.py v1.2.2 > dump.json`. Every call is run on
AgentDojo's own environment. For an attack, each place that an outsider can write holds what the injection asks for
and every value that its calls take, so that whatever the tools then return has been in the attacker's hands.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib import metadata
from typing import Any

_CHANNELS = ("inbox", "calendar", "cloud_drive")
"""Parts of an environment that say whose account it is."""


def main(version: str, only: list[str]) -> dict[str, Any]:
    """All suites of a benchmark version, or of those only the user tasks named `SUITE/TASK`."""
    suites = importlib.import_module("agentdojo.task_suite.load_suites").get_suites(version)
    results: dict[str, int] = {}
    dumped = {name: _suite(name, suite, only, results) for name, suite in suites.items()}
    return {
        "agentdojo": metadata.version("agentdojo"), "benchmark": version,
        "suites": {name: suite for name, suite in dumped.items() if suite["users"]},
        "results": [json.loads(text) for text in results],
    }


def _suite(name: str, suite: Any, only: list[str], results: dict[str, int]) -> dict[str, Any]:
    clean = suite.load_and_inject_default_environment({})
    accounts = [getattr(clean, part).account_email for part in _CHANNELS if hasattr(clean, part)]
    dumped: dict[str, Any] = {
        "me": sorted(set(accounts)), "users": {}, "attacks": [],
        "injections": {ident: task.GOAL for ident, task in suite.injection_tasks.items()},
        "tools": {tool.name: tool.parameters.model_json_schema() for tool in suite.tools},
    }
    users = {ident: task for ident, task in suite.user_tasks.items() if not only or f"{name}/{ident}" in only}
    for ident, task in users.items():
        environment = task.init_environment(clean.model_copy(deep=True))
        planned = task.ground_truth(environment.model_copy(deep=True))
        dumped["users"][ident] = {"prompt": task.PROMPT, "calls": _run(suite, environment, planned, results)}
    for goal, injection in suite.injection_tasks.items() if users else ():
        wanted = injection.ground_truth(clean.model_copy(deep=True))
        values = [text for call in wanted for text in _texts(call.args)]
        injected = _injected(suite, " ".join([injection.GOAL, *values])) if wanted else None
        for ident, task in users.items():
            made = _attack(suite, task, injected, wanted, results) if wanted else {"seen": [], "calls": []}
            dumped["attacks"].append({"user": ident, "injection": goal, **made})
    return dumped


def _attack(suite: Any, task: Any, injected: Any, wanted: Any, results: dict[str, int]) -> dict[str, Any]:
    """What the person's plan sees where the injection stands everywhere, and then the injection's own calls."""
    environment = task.init_environment(injected.model_copy(deep=True))
    planned = task.ground_truth(environment.model_copy(deep=True))
    seen = [[call["tool"], call["result"]] for call in _run(suite, environment, planned, results)]
    return {"seen": seen, "calls": _run(suite, environment, wanted, results)}


def _injected(suite: Any, said: str) -> Any:
    """The environment with `said` after the usual text at each place; marks go through YAML, as the text might not."""
    usual = suite.get_injection_vector_defaults()
    marks = {name: f"MARK{index:03}MARK" for index, name in enumerate(usual)}
    held = suite.load_and_inject_default_environment(marks)
    texts = {mark: f"{usual[name]} {said}" for name, mark in marks.items()}

    def put(value: Any) -> Any:
        if isinstance(value, str):
            for mark, text in texts.items():
                value = value.replace(mark, text)
        elif isinstance(value, dict):
            return {put(key): put(inner) for key, inner in value.items()}
        elif isinstance(value, list):
            return [put(inner) for inner in value]
        return value

    return suite.environment_type.model_validate(put(held.model_dump()))


def _run(suite: Any, environment: Any, calls: Any, results: dict[str, int]) -> list[dict[str, Any]]:
    """Each call with what it gave; one that fails gives nothing."""
    runtime = importlib.import_module("agentdojo.functions_runtime").FunctionsRuntime(suite.tools)
    made = []
    for call in calls:
        args = json.loads(json.dumps(dict(call.args), default=str))
        given, error = runtime.run_function(environment, call.function, call.args)
        text = json.dumps(None if error else _plain(given), default=str, sort_keys=True)
        made.append({"tool": call.function, "args": args, "result": results.setdefault(text, len(results))})
    return made


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [str(value)]


if __name__ == "__main__":
    json.dump(main(sys.argv[1], sys.argv[2:]), sys.stdout)
