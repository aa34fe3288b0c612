from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training import runs


@pytest.fixture(autouse=True)
def gradients() -> Iterator[None]:
    """As in a process of its own: an engine that was loaded in this one has turned them off for good."""
    import torch

    with torch.enable_grad():
        yield


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.reviews(tmp_path_factory.mktemp("data") / "reviews.parquet")
