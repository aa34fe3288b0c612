"""What a vLLM server's log says of a load: how far it is, and why it failed."""

from __future__ import annotations

import re
from pathlib import Path

_STAGES = (
    ("Initializing a V1 LLM engine", "vLLM's processes are starting"),
    ("Starting to load model", "loading the weights"),
    ("Loading weights took", "weights loaded"),
    ("Compiling a graph", "compiling"),
    ("GPU KV cache size", "key-value space laid out"),
    ("CPU KV cache size", "key-value space laid out"),
    ("Application startup complete", "answering"),
)
_PREFIX = re.compile(r"^\(\w[^)]*pid=\d+\)\s*")
_NOISE = re.compile(r"nanobind|leaked|resource_tracker|warnings\.warn|Route:|^\s*$|^\s+-|█|▄")


class LogReader:
    """A log from its end at the time this was made."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; the file need not exist."""
        self._path = path
        self._from = path.stat().st_size if path.exists() else 0
        self._stage = ""
        self.ready = False

    def stage(self) -> str:
        """How far the load is; empty where nothing is new."""
        text = self._text()
        self.ready = _STAGES[-1][0] in text
        now = next((words for sign, words in reversed(_STAGES) if sign in text), "vLLM is starting")
        if now == self._stage:
            return ""
        self._stage = now
        return now

    def found(self, pattern: str) -> str:
        """The first group of a pattern; empty where it does not occur."""
        match = re.search(pattern, self._text())
        return match[1] if match else ""

    def last_words(self, lines: int = 6) -> str:
        """The lines that say what went wrong, or the last ones."""
        said = [_PREFIX.sub("", line) for line in self._text().splitlines() if not _NOISE.search(line)]
        errors = [line.strip() for line in said if re.search(r"(Error|Exception)\b.*:", line)]
        return "\n".join((errors or said)[-lines:])

    def _text(self) -> str:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._from)
                return stream.read(4 << 20).decode(errors="replace")
        except OSError:
            return ""
