"""What the machine has and what is using it."""

from agentos.resources.machine import KINDS, Machine

__all__ = ["KINDS", "Machine"]
