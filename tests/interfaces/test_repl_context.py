"""The prompt is a conversation: a follow-up keeps its context, and another prompt has one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Agentos, Terminal, kill

SCRIPT = r"""
- {when: "show it", say: "models.show(model=?)"}
- {when: "show (\\S+)", say: 'models.show(model="\1")'}
- {when: "drop it", say: "kernel.undo()"}
- {when: "drop the model (\\S+)", say: 'models.delete(model="\1")'}
- {when: ".", say: "none()"}
"""


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Agentos]:
    script = tmp_path / "kernel.yaml"
    script.write_text(SCRIPT, "utf-8")
    made = Agentos(tmp_path / "home", script)
    yield made
    kill(made)


def test_a_follow_up_at_the_prompt_keeps_its_context(talking: Agentos) -> None:
    with Terminal(talking) as terminal:
        terminal.expect("agentos> ")
        terminal.type("show smollm2-135m\r")
        terminal.expect(r"models\.show model=smollm2-135m[\s\S]*agentos> ")
        terminal.type("show it again\r")
        assert "it: smollm2-135m" in terminal.expect(r"models\.show model=smollm2-135m[\s\S]*agentos> ")
        terminal.type("now the same for qwen2.5-coder-0.5b\r")
        terminal.expect(r"models\.show model=qwen2\.5-coder-0\.5b[\s\S]*agentos> ")
        terminal.type("drop it\r")
        held = terminal.expect(r"\[n\] no > ")
        assert "it: qwen2.5-coder-0.5b" in held and "kernel.undo" not in held
        terminal.type("n\r")
        terminal.expect(r"refused[\s\S]*agentos> ")
        with Terminal(talking) as other:
            other.expect("agentos> ")
            other.type("show it\r")
            other.expect(r"which one\?[\s\S]*agentos> ")
            other.type("smollm2-135m\r")
            other.expect(r"models\.show model=smollm2-135m[\s\S]*agentos> ")
        terminal.type("show it\r")
        assert "it: qwen2.5-coder-0.5b" in terminal.expect(r"models\.show model=qwen2\.5-coder-0\.5b[\s\S]*agentos> ")
