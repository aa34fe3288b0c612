"""A model reading rows: packed in one line without padding where it can, padded where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from agentos.engines import prefixed
from agentos.training import packed
from agentos.training.data import Row


class Reader:
    """Gives the hidden states of rows, [tokens, hidden], and what a head makes of some of them."""

    def __init__(self, model: Any, device: torch.device, pad: int, half: bool) -> None:
        """A model on its device.

        Args:
            model: A transformers model with its head; layers of an adapter may lie in it.
            device: Where it computes.
            pad: The token that padding is made of.
            half: Whether products are made in bf16.
        """
        self.model, self.device, self._pad, self._half = model, device, pad, half
        self.backbone: Any = model.base_model
        table = next((m for n, m in model.named_modules() if n.endswith("embeddings.position_embeddings")), None)
        behind = isinstance(table, nn.Embedding) and table.padding_idx is not None
        self._first = table.padding_idx + 1 if behind and isinstance(table, nn.Embedding) else 0  # type: ignore[operator]
        self._plain = str(model.config._attn_implementation)
        self._head = self._heads()
        self._chosen: Tensor | None = None
        ends = [m for n, m in self.backbone.named_modules() if f".{n}".endswith(".attention.output")]
        self._narrows = bool(ends) and not getattr(model.config, "is_decoder", False)
        if self._narrows:  # behind the last attention nobody reads the tokens that were not asked for
            ends[-1].register_forward_pre_hook(self._narrow)
        self.packed = False
        self._shared: tuple[np.ndarray[Any, Any], ...] = ()
        self._before: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def share(self, beginnings: tuple[np.ndarray[Any, Any], ...]) -> None:
        """From now on rows follow one of these; `Row.behind` says which."""
        self._shared = beginnings

    def shown(self, at: int) -> np.ndarray[Any, Any]:
        """The tokens of a beginning."""
        return self._shared[at]

    @torch.no_grad()
    def _states(self, at: int) -> list[tuple[Tensor, Tensor]]:
        """Of each layer, the keys and values of a beginning as the base alone reads it, in half precision."""
        if at not in self._before:
            training = self.model.training
            self.model.eval()
            ids = self._shared[at]
            cache = DynamicCache()
            with untouched(self.model), packed.laid(packed.layout([len(ids)], self.device)), self.computing():
                self.backbone(
                    input_ids=self._line([ids]), position_ids=self._line([np.arange(len(ids))]),
                    past_key_values=cache, use_cache=True,
                )
            self._before[at] = [(layer.keys.half(), layer.values.half()) for layer in cache.layers]  # type: ignore[union-attr]
            self.model.train(training)
        return self._before[at]

    def try_packed(self, rows: Sequence[Row]) -> bool:
        """Packs from now on if the model says the same of some rows when they are packed; gives whether it does."""
        if self._plain not in ("sdpa", "eager", prefixed.NAME) or _slides(self.model.config):
            return False
        some = sorted(rows[:256], key=lambda row: -len(row.ids))
        some = [some[0], some[len(some) // 2], some[-1]] if len(some) > 2 else some
        short = [Row(r.at, r.ids[:64], None if r.kinds is None else r.kinds[:64], start=min(r.start, 1)) for r in some]
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                want = self._probe(short)
                self._turn(packed.NAME)
                got = self._probe(short)
            near = 1e-3 if want.dtype == torch.float32 and not self._half else 0.1
            same = got.shape == want.shape and bool(((got - want).abs() <= near * (1 + want.abs().max())).all())
        except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
            same = False  # a model of another build, which is read padded
        finally:
            self.model.train(training)
        if not same:
            self._turn(self._plain)
        return same

    def _turn(self, name: str) -> None:
        self.packed = name == packed.NAME
        if self.packed:
            packed.register()
        self.model.set_attn_implementation(name)

    def _probe(self, rows: list[Row]) -> Tensor:
        if self._head:
            return self.classes(rows)
        return self.hidden(rows).float()

    def leave(self) -> None:
        """Gives the model its own attention back, before it is saved."""
        if self.packed:
            self._turn(self._plain)

    def computing(self) -> AbstractContextManager[Any]:
        """While products are made in bf16, if they are."""
        return torch.autocast(self.device.type, torch.bfloat16) if self._half else nullcontext()

    def _narrow(self, _module: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if self._chosen is None:
            return None
        return tuple(part.index_select(1, self._chosen) for part in given)

    def some(self, rows: Sequence[Row], at: np.ndarray[Any, Any]) -> Tensor:
        """[len(at), hidden] of some tokens of rows, counted over all of them."""
        chosen = torch.from_numpy(at).to(self.device)
        if not (self.packed and self._narrows):
            return self.hidden(rows).index_select(0, chosen)
        self._chosen = chosen
        try:
            return self._packed(rows)
        finally:
            self._chosen = None

    def hidden(self, rows: Sequence[Row]) -> Tensor:
        """[tokens, hidden] of rows, the longest first, one behind the other."""
        if self.packed:
            return self._packed(rows)
        given, there = self._padded(rows)
        with self.computing():
            states: Tensor = self.backbone(**given).last_hidden_state
        return states[there]

    def classes(self, rows: Sequence[Row]) -> Tensor:
        """fp32 [rows, classes] of rows, the longest first."""
        if not self.packed:
            given, _there = self._padded(rows)
            with self.computing():
                logits: Tensor = self.model(**given).logits
            return logits.float()
        ends = np.cumsum([len(row.ids) for row in rows])
        at = ends - 1 if self._head == "last" else ends - [len(row.ids) for row in rows]
        with self.computing():
            scored: Tensor = self._score(self.some(rows, at))
        return scored.float()

    def _packed(self, rows: Sequence[Row]) -> Tensor:
        lengths = [len(row.ids) for row in rows]
        before = self._states(rows[0].behind) if self._shared else []
        first = before[0][0].shape[2] if before else self._first
        given = {
            "input_ids": self._line([row.ids for row in rows]),
            "position_ids": self._line([np.arange(n) + first for n in lengths]),
        }
        if rows[0].kinds is not None:
            given["token_type_ids"] = self._line([row.kinds for row in rows if row.kinds is not None])
        if not hasattr(self.model.config, "type_vocab_size"):
            given["use_cache"] = False  # type: ignore[assignment]
        laid = packed.behind(lengths, before, self.device) if before else packed.layout(lengths, self.device)
        with packed.laid(laid), self.computing():
            states: Tensor = self.backbone(**given).last_hidden_state
        return states[0]

    def _line(self, parts: list[np.ndarray[Any, Any]]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts))[None].to(self.device)

    def _padded(self, rows: Sequence[Row]) -> tuple[dict[str, Tensor], Tensor]:
        width = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), width), self._pad, dtype=np.int64)
        kinds = np.zeros((len(rows), width), dtype=np.int64)
        there = np.zeros((len(rows), width), dtype=np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(row.ids)] = row.ids
            there[at, : len(row.ids)] = 1
            if row.kinds is not None:
                kinds[at, : len(row.ids)] = row.kinds
        given = {"input_ids": ids, "attention_mask": there}
        if rows[0].kinds is not None:
            given["token_type_ids"] = kinds
        tensors = {name: torch.from_numpy(made).to(self.device) for name, made in given.items()}
        return tensors, tensors["attention_mask"].bool()

    def _heads(self) -> str:
        """Which token a classifier looks at; empty for a model that is none."""
        model = self.model
        if hasattr(model, "score"):
            return "last"
        return "first" if hasattr(model, "classifier") else ""

    def _score(self, states: Tensor) -> Tensor:
        model = self.model
        if self._head == "last":
            return model.score(states)  # type: ignore[no-any-return]
        if getattr(self.backbone, "pooler", None) is not None:
            pooled = self.backbone.pooler(states[:, None])
            return model.classifier(model.dropout(pooled))  # type: ignore[no-any-return]
        if hasattr(model, "pre_classifier"):
            return model.classifier(model.dropout(torch.relu(model.pre_classifier(states))))  # type: ignore[no-any-return]
        return model.classifier(states[:, None])  # type: ignore[no-any-return]


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """While the base reads as if no LoRA lay in it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


def _slides(config: Any) -> bool:
    """Whether a model's attention is more than each token to each other one."""
    inner = config.get_text_config()
    kinds = set(getattr(inner, "layer_types", None) or ["full_attention"])
    window = getattr(inner, "sliding_window", None) and getattr(inner, "use_sliding_window", True)
    return bool(window) or kinds != {"full_attention"} or bool(inner.is_encoder_decoder)
