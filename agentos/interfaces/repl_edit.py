"""A plan as a person edits it: in their editor, or at the prompt."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from agentos.interfaces.show import Printer, clean, moving
from agentos.interfaces.words import Say

Ask = Callable[[str], str]
"""Lets a text be edited at the prompt. EOFError, KeyboardInterrupt: the person gave up."""


def edit(sentence: str, plan: str, say: Say, out: Printer, ask: Ask) -> str | None:
    """The plan as it was edited; None where it is not to run.

    Args:
        sentence: What it is the plan of.
        plan: In the plan language, one call a line.
        say: The words of the interface.
        out: Shows what is to be known.
        ask: Edits at the prompt, where there is no editor.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    if editor and moving(sys.stdout):
        try:
            return _in_editor(editor, say("edit_file", " ".join(sentence.split())), plan)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            out.note(say("edit_failed", clean(editor, lines=False), clean(str(error), lines=False)))
    out.note(say("edit_keys"))
    try:
        return _calls(ask(plan))
    except (EOFError, KeyboardInterrupt):
        return None


def _in_editor(editor: str, head: str, plan: str) -> str | None:
    """Raises OSError or CalledProcessError where the editor cannot be run or says that it failed."""
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        path = Path(folder) / "plan.txt"
        path.write_text(f"{head}\n{plan}\n", "utf-8")
        path.chmod(0o600)
        subprocess.run([*shlex.split(editor), str(path)], check=True)
        return _calls(path.read_text("utf-8", "replace"))


def _calls(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(line.rstrip() for line in lines) or None
