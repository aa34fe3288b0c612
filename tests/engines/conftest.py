"""A backend of the transformers engine in this process, over a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentos.types import Completed, Generation, ModelSpec

Make = Callable[..., Any]


class Asked:
    """A loaded backend, asked directly."""

    def __init__(self, path: Path, context: int = 4096, **settings: Any) -> None:
        from agentos.engines.transformers import Backend

        whole = Backend()
        self.loaded = whole.load(ModelSpec("tiny", path, "cpu", context, settings), lambda _done, _total: None)
        self.backend: Any = whole._causal
        self._number = 0

    def __call__(self, prompt: Any, max_tokens: int = 12, **rest: Any) -> Completed:
        self._number += 1
        request = Generation(f"r{self._number}", prompt, max_tokens, **rest)
        return self.backend.generate(request, lambda _text: None, lambda: False)

    def rest(self) -> None:
        """Lets it do its background work."""
        while (work := self.backend.idle()) is not None:
            work()


@pytest.fixture
def load(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Loads a backend over each tiny model, its weights always in one form so that answers can be compared."""
    import torch

    from agentos.engines import weights

    monkeypatch.setattr(weights, "fastest", lambda _weight: "float32")

    grad = torch.is_grad_enabled()
    yield lambda context=4096, **settings: Asked(tiny, context, **settings)
    torch.set_grad_enabled(grad)
