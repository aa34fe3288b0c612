"""What models may take of each kind of memory, and what has been set aside for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agentos.errors import UserError
from agentos.types import Quota
from agentos.types.units import size

HOST = "memory"
"""The kind that every engine takes; a graphics processor's is `gpu N`."""
_RESERVE = 512 << 20
"""Left to the rest of the machine where no setting says what models may take."""


@dataclass(frozen=True)
class Need:
    """Bytes that a model takes of each kind of memory."""

    bytes: Mapping[str, int] = field(default_factory=dict)
    measured: bool = False
    """Whether that was measured here, and not estimated."""
    smaller: bool = False
    """Whether quantizing the model would make it smaller."""
    after: int = 0
    """Bytes of main memory that it was measured to take once it was loaded; while it is loaded it may take more."""

    @property
    def host(self) -> int:
        """Bytes of main memory."""
        return self.bytes.get(HOST, 0)


class Budget:
    """Limits and claims. A claim is made before a load begins, so that loads side by side never add up past a limit.

    Main memory's limit is the setting `memory_budget`, and never more than the machine has: what is available now
    and what our engines hold already. Without the setting it is that, less 512 MiB for the rest of the machine. A
    graphics processor's is `gpu_memory_budget`, or nine tenths of what it has.
    """

    def __init__(
        self, free: Callable[[], int], setting: str = "", gpu_setting: str = "", cards: Sequence[int] = ()
    ) -> None:
        """Nothing claimed.

        Args:
            free: Bytes of main memory that a new process can have now.
            setting: `memory_budget`.
            gpu_setting: `gpu_memory_budget`, of each graphics processor.
            cards: Bytes of each graphics processor.

        Raises:
            UserError: a setting is no size.
        """
        self._free = free
        self._setting = _bytes("memory_budget", setting)
        each = _bytes("gpu_memory_budget", gpu_setting)
        self._cards = {
            f"gpu {n}": min(each or total * 9 // 10, total)
            for n, total in enumerate(cards)
        }
        self.claims: dict[str, dict[str, int]] = {}
        """By model: bytes of each kind."""
        self.held: Callable[[], int] = lambda: 0
        """Bytes of main memory that our engines hold now."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of memory there are."""
        return (HOST, *self._cards)

    @property
    def setting(self) -> str:
        """The setting that limits main memory, or nothing where the machine does."""
        return "memory_budget" if self._setting is not None else ""

    def limit(self, kind: str) -> int:
        """Bytes that all models together may take."""
        if kind != HOST:
            return self._cards.get(kind, 0)
        machine = self._free() + self.held()
        return min(self._setting, machine) if self._setting is not None else max(0, machine - _RESERVE)

    def used(self, kind: str) -> int:
        """Bytes that are set aside."""
        return sum(claim.get(kind, 0) for claim in list(self.claims.values()))

    def short(self, need: Mapping[str, int], apart: str = "") -> dict[str, int]:
        """Of each kind, the bytes that are missing for `need`; `apart` is a model whose own claim is not counted."""
        mine = self.claims.get(apart, {})
        lacking = {kind: more - (self.limit(kind) - self.used(kind) + mine.get(kind, 0)) for kind, more in need.items()}
        return {kind: lack for kind, lack in lacking.items() if lack > 0}

    def most(self, name: str) -> int | None:
        """Bytes of main memory that a model may come to hold: its claim and all that is free; None without a claim.

        What an engine is held to by force. Short of it the claim grows with what the engine is seen to hold.
        """
        mine = self.claims.get(name, {}).get(HOST, 0)
        return max(mine, self.limit(HOST) - self.used(HOST) + mine) if mine else None

    def claim(self, name: str, need: Mapping[str, int]) -> None:
        """Sets memory aside, in the place of what the model had."""
        self.claims[name] = dict(need)

    def release(self, name: str) -> None:
        """Gives a model's claim back."""
        self.claims.pop(name, None)

    def quotas(self) -> list[Quota]:
        """Limits and what is set aside, for people."""
        return [Quota(kind, self.limit(kind), self.used(kind)) for kind in self.kinds]


def _bytes(name: str, setting: str) -> int | None:
    try:
        return size(setting) if setting else None
    except ValueError as fault:
        raise UserError(f"setting {name!r}: {fault}") from None
