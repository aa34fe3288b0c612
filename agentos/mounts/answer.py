"""What other servers offer and answer, as the rest of the system sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentos.types import Count, Json


@dataclass(frozen=True)
class Tool:
    """A tool as its server describes it: claims of another's, every text among them."""

    name: str
    description: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    """JSON Schema of its arguments."""
    reads: bool = False
    """Whether it claims that it only reads."""
    destroys: bool = False


@dataclass(frozen=True)
class Answer:
    """What a tool gave."""

    text: str
    data: Json = None
    """Where it gave more than text: an object."""
    lost: Count = 0
    """Characters that were left out, as there were too many."""
