"""Completion from what the system has now, fetched beside the prompt and never while a key is pressed."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from agentos.errors import AgentosError
from agentos.interfaces.client import Client


class Live(Completer):
    """Names of commands, syscalls and models."""

    def __init__(self, client: Client, commands: list[str]) -> None:
        """Knows the commands alone until the first `refresh`."""
        self._client, self._commands = client, commands
        self._names: dict[str, str] = {}

    def refresh(self) -> None:
        """Fetches the names again in the background."""
        threading.Thread(target=self.fetch, name="completion", daemon=True).start()

    def fetch(self) -> None:
        """Fetches the names now; those known stay where nobody answers."""
        try:
            said = self._client.request("GET", "/v1/names", start_it=False)
        except AgentosError:
            return  # the prompt itself tells of a system that is gone
        self._names = {str(name): kind for kind, names in said.items() for name in names}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What could complete the word before the cursor."""
        line = document.text_before_cursor
        if line.startswith("/") and " " not in line:
            for name in self._commands:
                if name.startswith(line):
                    yield Completion(name, -len(line))
            return
        word = _last_word(line)
        if not word:
            return
        for name, kind in sorted(self._names.items()):
            if name.lower().startswith(word.lower()):
                yield Completion(name, -len(word), display_meta=kind)


def _last_word(line: str) -> str:
    """The name being typed: Chinese text around it is not part of it."""
    start = len(line)
    while start and (line[start - 1].isascii() and (line[start - 1].isalnum() or line[start - 1] in "._-/:")):
        start -= 1
    return line[start:]
