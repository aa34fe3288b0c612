"""Suites by name: a file, or one that ships with agentos."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from agentos.errors import UserError


def suite_text(suite: str) -> str:
    """A suite by its file, or by the name of one that ships with agentos.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = Path(suite)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read ({error}); nothing was checked") from error
    shipped = resources.files("agentos.evals").joinpath(f"{path.stem}.yaml")
    if path.name != suite or not shipped.is_file():
        raise UserError(f"there is no suite {suite!r}: no such file, and none ships with agentos under that name")
    return shipped.read_text("utf-8")
