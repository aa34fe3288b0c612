r"""A double that ships in the package: answers by a script, with the same process, stream and errors.

The script is a YAML file, or its text: a list of `{when: REGEX, say: TEXT}`; the first rule whose
pattern is found in the end of the prompt answers, with `\1` … filled from the match. `wait`
(seconds before each piece), `die: true` (the process ends after the first piece) and `hold: BYTES`
(memory taken before the first piece, and kept) make trouble on purpose. Nothing matching, it echoes
nothing. The setting `memory` is how many bytes it takes when it is loaded.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from agentos.engines.stops import Shown
from agentos.errors import Failed, UserError
from agentos.types import Completed, Generation, ModelSpec, Predicted, Prompt

_PIECE = 16 * 1024 * 1024


class Backend:
    """Plays a script."""

    grammar = False
    progress = 0

    def __init__(self) -> None:
        """An engine without a script."""
        self._rules: list[dict[str, Any]] = []
        self._context = 0
        self._taken: list[bytearray] = []

    def load(self, spec: ModelSpec, tell: Callable[[int, int], None]) -> dict[str, Any]:
        """Reads the script named in `spec.settings["script"]`."""
        script = str(spec.settings.get("script", "[]"))
        source = Path(script) if script.endswith((".yaml", ".yml")) else None
        try:
            text = source.read_text("utf-8") if source is not None else script
            self._rules = list(yaml.safe_load(text) or [])
            for rule in self._rules:
                re.compile(rule["when"])
        except (OSError, yaml.YAMLError, re.error, TypeError, KeyError) as error:
            raise Failed(f"the script of {spec.name!r} cannot be read: {error}") from error
        self._take(int(str(spec.settings.get("memory", 0))), tell)
        self._context = spec.context
        return {"device": "cpu", "dtype": "text", "context": spec.context}

    def generate(
        self, request: Generation, emit: Callable[[str], None], cancelled: Callable[[], bool]
    ) -> Completed:
        """Plays the first rule that matches the request's own part of the prompt."""
        started = time.monotonic()
        parts = request.prompt
        prompt = parts.tail or parts.prefix if isinstance(parts, Prompt) else parts[-1].content
        if len(prompt.split()) > self._context:
            raise UserError(f"the prompt is longer than the context of {self._context} tokens")
        for rule in self._rules:
            match = re.search(rule["when"], prompt, re.DOTALL)
            if match is None:
                continue
            self._take(int(rule.get("hold", 0)), lambda _done, _total: None)
            shown = Shown(request.stop, emit)
            if not request.max_tokens:
                return self._completed("stop", "", prompt, started)
            for count, piece in enumerate(re.findall(r"\S+\s*|\s+", match.expand(str(rule["say"])))):
                time.sleep(float(rule.get("wait", 0)))
                if cancelled():
                    return self._completed("cancelled", shown.finish(), prompt, started)
                if count >= request.max_tokens:
                    return self._completed("length", shown.finish(), prompt, started)
                if shown.add(piece):
                    break
                if rule.get("die"):
                    os._exit(9)
            return self._completed("stop", shown.finish(), prompt, started)
        return self._completed("stop", "", prompt, started)

    def predict(self, texts: Sequence[str]) -> Predicted:
        """Refuses: it writes text."""
        raise UserError("this model writes text and gives no labels or vectors; name a classifier or an embedder")

    def idle(self) -> None:
        """Nothing to do."""

    def _take(self, size: int, tell: Callable[[int, int], None]) -> None:
        """Holds so many bytes more, every page of them written to."""
        for done in range(0, size, _PIECE):
            piece = bytearray(min(_PIECE, size - done))
            piece[::4096] = b"\1" * len(range(0, len(piece), 4096))
            self._taken.append(piece)
            self.progress += 1
            tell(done + len(piece), size)

    def _completed(self, reason: Any, said: str, prompt: str, started: float) -> Completed:
        words = len(said.split())
        return Completed(reason, said, len(prompt.split()), 0, words, words, time.monotonic() - started)
