"""Output into a log that rotates. A disk that is full loses output and counts it; it never stops the job."""

from __future__ import annotations

import contextlib
import os

SIZE = 16 << 20
COUNT = 4


class Pump:
    """Writes `log`; when it is full it becomes `log.1`, the next one `log.2` and so on, and the oldest go.

    All but `log` have exactly the same size, so a file's number says at which absolute offset it begins.
    """

    def __init__(self, folder: str, size: int = SIZE, count: int = COUNT) -> None:
        """A log in that folder, of at most `count` files of `size` bytes; made when there is output."""
        self.path = os.path.join(folder, "log")
        self.size = size
        self.count = count
        self.dropped = 0
        self.last = b""
        self._filled = size
        self._rotated = 0
        self._fd = -1

    def write(self, data: bytes) -> None:
        """Appends it, or as much as the disk takes."""
        self.last = (self.last + data[-400:])[-400:]
        view = memoryview(data)
        while view:
            try:
                if self._filled >= self.size:
                    self._rotate()
                taken = os.write(self._fd, view[: self.size - self._filled])
            except OSError:
                self.dropped += len(view)
                return
            self._filled += taken
            view = view[taken:]

    def _rotate(self) -> None:
        if self._fd >= 0:
            os.rename(self.path, f"{self.path}.{self._rotated + 1}")
            self._rotated += 1
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}.{self._rotated - self.count + 1}")
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._filled = 0
