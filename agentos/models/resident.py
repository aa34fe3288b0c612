"""What it takes to load a model, and a model that is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from agentos.models.budget import Need
from agentos.models.remembered import Key
from agentos.types import Engine, LoadedModel, ModelSpec


@dataclass(frozen=True)
class Order:
    """All it takes to bring a model into memory, and to bring it back."""

    spec: ModelSpec
    make: Callable[[], Engine]
    keep: float | None
    """Seconds it stays after its last use; None is for ever."""
    keep_text: str
    need: Need = field(default_factory=Need)
    growth: int = 0
    """Bytes it may still take once it is used: the key-value state of a full context."""
    key: Key | None = None
    """Under what its measured need is remembered."""
    engine: str = ""
    """The engine's name, as it was chosen."""
    reason: str = ""
    """Why that one."""


@dataclass(eq=False)
class Resident:
    """One model in memory."""

    engine: Engine
    loaded: LoadedModel
    order: Order
    keep: float | None
    keep_text: str
    coming: Counter[str]
    expires: float | None = None
    kernel: bool = False
    users: int = 0
    memory: int = 0
    """Bytes it was last seen to hold."""
    peak: int = 0
    loading: int = 0
    """Bytes it was seen to hold at most while it was loaded."""

    @property
    def alive(self) -> bool:
        """Whether its processes still run."""
        return self.engine.alive

    @property
    def idle(self) -> bool:
        """Whether nobody uses it or is about to."""
        return not self.users and not self.coming[self.order.spec.name]

    @property
    def stays(self) -> bool:
        """Whether it never makes room for others."""
        return self.kernel or self.keep is None
