"""What was typed at the prompt, for the next time: in a file, and there in clear for nobody."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from agentos.config import Settings
from agentos.errors import AgentosError
from agentos.interfaces.place import own_folder
from agentos.sealing import Sealer

_PLACE = "line"


def history(settings: Settings) -> History:
    """The history in HOME, for its owner's eyes alone; kept in memory where it cannot be written."""
    path = settings.home / "history"
    try:
        own_folder(settings.home)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        path.chmod(0o600)
    except (OSError, AgentosError):
        return InMemoryHistory()
    return SealedHistory(path)


class SealedHistory(FileHistory):
    """Lines as prompt-toolkit keeps them, each sealed."""

    def __init__(self, path: Path) -> None:
        """Over a file, whose folder holds the key, too."""
        super().__init__(str(path))
        self._sealer = Sealer(path.parent, "history")

    def load_history_strings(self) -> Iterable[str]:
        """The newest first; what does not open with the key is left out, and what was in clear is sealed now."""
        kept = list(super().load_history_strings())
        lines, clear = [], False
        for line in kept:
            with suppress(AgentosError, ValueError):
                plain = self._sealer.plain(line, _PLACE)
                clear = clear or plain == line
                lines.append(plain)
        if clear and len(lines) == len(kept):
            self._write_anew(lines)
        return lines

    def store_string(self, string: str) -> None:
        """Adds a line; where the disk or the key refuses, it is remembered until the prompt ends."""
        with suppress(AgentosError, OSError):
            self._put(string)

    def _put(self, string: str) -> None:
        super().store_string(self._sealer.text(string, _PLACE))

    def _write_anew(self, lines: list[str]) -> None:
        """Seals all of them, or leaves the file as it is."""
        path = Path(os.fspath(self.filename))  # type: ignore[arg-type]
        part = path.with_name(f"{path.name}.part")
        with suppress(AgentosError, OSError):
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            fresh = SealedHistory(part)
            for line in reversed(lines):
                fresh._put(line)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
