"""The installed table and its examples, read once."""

from __future__ import annotations

import pytest

from agentos.kernel.examples import Example, collect
from agentos.registry import Registry, installed


@pytest.fixture(scope="session")
def syscalls() -> Registry:
    return installed()


@pytest.fixture(scope="session")
def examples(syscalls: Registry) -> list[Example]:
    return collect(syscalls)
