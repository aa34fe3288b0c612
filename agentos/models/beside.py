"""A progress that nobody watches."""

from __future__ import annotations


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """A progress that nobody watches."""
