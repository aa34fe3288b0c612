"""What a call may take of somebody's quotas, asked before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agentos.syscall import Syscall
from agentos.types import Call, Denied, Json


class Allowance(Protocol):
    """Quotas as the dispatcher asks them."""

    def room(self, call: Call, entry: Syscall) -> Denied | None:
        """No, where a quota has no room for a call."""
        ...

    def reserve(self, call: Call, entry: Syscall) -> Denied | None:
        """Takes the most that a call may need; no, where a quota has no room, and nothing was taken."""
        ...

    def settle(
        self, call: Call, entry: Syscall, result: Mapping[str, Json] | None, pieces: int, *, cancelled: bool = False
    ) -> None:
        """Counts what a call took: by its result, or by the pieces of text that it told before it ended without one."""
        ...


class Unlimited:
    """No quotas."""

    def room(self, call: Call, entry: Syscall) -> None:
        """There is room."""

    def reserve(self, call: Call, entry: Syscall) -> None:
        """Takes nothing."""

    def settle(
        self, call: Call, entry: Syscall, result: Mapping[str, Json] | None, pieces: int, *, cancelled: bool = False
    ) -> None:
        """Counts nothing."""
