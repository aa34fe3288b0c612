"""Classifiers and embedders: many texts at once, each read whole and answered in one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from agentos.engines import adapters, pooling
from agentos.engines.footprint import exhausted
from agentos.engines.weights import remembered
from agentos.errors import Failed, UserError
from agentos.types import ModelSpec, Predicted

Role = Literal["causal", "classification", "embedding"]

_TOKENS = {"cpu": 2048, "cuda": 16384}
"""Most tokens of a batch, padding included: more are no faster, and what a batch takes of memory grows with them."""
_WASTE = 0.1
"""Most of a batch that may be padding."""
_SLICE = 512
"""Texts that are turned into tokens between two ticks."""


@dataclass(frozen=True)
class _Text:
    """One text as tokens."""

    at: int
    """Where it stands among the texts that were given."""
    ids: list[int]
    kinds: list[int]
    cut: bool


def role(config: Any, folder: Path) -> Role:
    """What a model is for: its files' word for it being an embedder goes before its architecture's name."""
    names = [str(name) for name in getattr(config, "architectures", None) or []]
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "classification"
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names) and not pooling.declared(folder):
        return "causal"
    return "embedding"


class Encoder:
    """One classifier or embedder in this process."""

    def __init__(
        self, model: Any, tokenizer: Any, *, context: int, device: torch.device,
        pool: pooling.Pooling | None = None, tick: Callable[[], None] = lambda: None,
    ) -> None:
        """A model that is ready to be asked.

        Args:
            model: With a head for classes, or without one.
            tokenizer: Its own.
            context: Most tokens it is to read of a text; its own limit where that is lower.
            device: Where it lies.
            pool: How vectors are made; None for a classifier.
            tick: Called after every layer, and while texts become tokens: the sign that work goes forward.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._pool = pool
        self._tick = tick
        self._config = model.config.get_text_config()
        self.context = min(context, longest(model, tokenizer, pool))
        """Most tokens it reads of a text; the rest is cut off, and counted in `Predicted.truncated`."""
        for module in model.modules():
            if isinstance(module, nn.ModuleList):
                for layer in module:
                    layer.register_forward_hook(lambda *_: self._tick())

    @property
    def dtype(self) -> str:
        """The form of its weights."""
        return str(self._model.dtype).removeprefix("torch.")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; `value` for a head that estimates one number; none for an embedder."""
        if self._pool is not None:
            return ()
        names = self._model.config.id2label
        found = tuple(str(names.get(number, f"LABEL_{number}")) for number in range(self._model.config.num_labels))
        return ("value",) if found == ("LABEL_0",) else found

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, ...]]) -> Predicted:
        """The probability of each label, the value that the model estimates, or a vector, for each text.

        Args:
            texts: What is read: a text each, or for a classifier of pairs two.

        Raises:
            UserError: there is nothing to read in a text.
        """
        started = time.monotonic()
        read = self._read(texts)
        rows: list[tuple[float, ...]] = [()] * len(texts)
        with torch.inference_mode():
            for batch in batches(read, _TOKENS[self._device.type]):
                for text, row in zip(batch, self._run(batch).tolist(), strict=True):
                    rows[text.at] = tuple(row)
                self._tick()
        return Predicted(
            self.labels, tuple(rows), sum(len(text.ids) for text in read), time.monotonic() - started,
            sum(text.cut for text in read),
        )

    def _read(self, texts: Sequence[str] | Sequence[tuple[str, ...]]) -> list[_Text]:
        found: list[_Text] = []
        before, lower = (self._pool.prompt, self._pool.lower) if self._pool is not None else ("", False)
        for start in range(0, len(texts), _SLICE):
            part = [(text,) if isinstance(text, str) else text for text in texts[start : start + _SLICE]]
            first, *more = ([*column] for column in zip(*part, strict=True))
            laid = [before + (text.lower() if lower else text) for text in first]
            made = self._tokenizer(laid, *more, truncation=True, max_length=self.context)
            for at, encoding in enumerate(made.encodings, start):
                if not encoding.ids:
                    raise UserError(f"text {at + 1} of {len(texts)} is empty; nothing was predicted")
                found.append(_Text(at, encoding.ids, encoding.type_ids, bool(encoding.overflowing)))
            self._tick()
        return found

    def _run(self, batch: list[_Text]) -> Tensor:
        width = max(len(text.ids) for text in batch)
        own = self._config.pad_token_id
        pad = own if own is not None and own >= 0 else _unused(batch)
        if pad >= self._config.vocab_size:
            return torch.cat([self._run([text]) for text in batch]) if len(batch) > 1 else self._ask(batch, width, 0)
        self._config.pad_token_id = pad
        try:
            return self._ask(batch, width, pad)
        finally:
            self._config.pad_token_id = own

    def _ask(self, batch: list[_Text], width: int, pad: int) -> Tensor:
        fill = [width - len(text.ids) for text in batch]
        given = {
            "input_ids": [text.ids + [pad] * more for text, more in zip(batch, fill, strict=True)],
            "attention_mask": [[1] * len(text.ids) + [0] * more for text, more in zip(batch, fill, strict=True)],
        }
        if "token_type_ids" in self._tokenizer.model_input_names:
            given["token_type_ids"] = [text.kinds + [0] * more for text, more in zip(batch, fill, strict=True)]
        tensors = {name: torch.tensor(rows, device=self._device) for name, rows in given.items()}
        if self._pool is not None:
            return self._pool(self._model(**tensors).last_hidden_state, tensors["attention_mask"]).cpu()
        return self._scores(self._model(**tensors).logits.float()).cpu()

    def _scores(self, logits: Tensor) -> Tensor:
        kind = self._model.config.problem_type
        if kind == "multi_label_classification":
            return logits.sigmoid()
        if kind == "regression" or logits.shape[-1] == 1:
            return logits
        return logits.softmax(dim=-1)


def _unused(batch: list[_Text]) -> int:
    """A token that no text of a batch has in it: a causal model finds where a text ends by what fills it up."""
    used = {token for text in batch for token in text.ids}
    return next(token for token in range(len(used) + 1) if token not in used)


def batches(texts: Sequence[_Text], most: int) -> Iterator[list[_Text]]:
    """Texts of like length together, the longest first: at most so many tokens a batch, and little of it padding."""
    batch: list[_Text] = []
    real = width = 0
    for text in sorted(texts, key=lambda text: -len(text.ids)):
        length = len(text.ids)
        full = width * (len(batch) + 1)
        if batch and (full > most or full - real - length > _WASTE * full):
            yield batch
            batch, real = [], 0
        if not batch:
            width = length
        batch.append(text)
        real += length
    if batch:
        yield batch


def longest(model: Any, tokenizer: Any, pool: pooling.Pooling | None) -> int:
    """Tokens a model can read: by its table of positions, its tokenizer and what it was trained on."""
    limits = [int(tokenizer.model_max_length), int(getattr(model.config, "max_position_embeddings", 0) or 1 << 30)]
    table = next((m for name, m in model.named_modules() if name.endswith("embeddings.position_embeddings")), None)
    if isinstance(table, nn.Embedding):  # some count their positions from behind the padding's own
        limits.append(table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1))
    if pool is not None and pool.longest:
        limits.append(pool.longest)
    return max(1, min(limits))


def load(
    spec: ModelSpec, config: Any, device: torch.device, tick: Callable[[], None] = lambda: None,
    kept: Path | None = None,
) -> Encoder:
    """A model's folder as an encoder, its adapter applied; the form of its weights is remembered in `kept`.

    Raises:
        Failed: it cannot be loaded, or lacks weights that its answers depend on.
    """
    assert spec.path is not None
    head = adapters.head(spec.adapter) if spec.adapter is not None else None
    classes = head is not None or role(config, spec.path) == "classification"
    pool = None if classes else pooling.read(spec.path)
    if not classes and config.is_encoder_decoder:
        raise Failed(f"{spec.name!r} reads and writes by two halves, which give no vectors here; nothing was loaded")
    if head is not None:
        config.id2label, config.label2id = dict(enumerate(head)), {label: at for at, label in enumerate(head)}
    loader: Any = AutoModelForSequenceClassification if classes else AutoModel
    with torch.no_grad():
        try:
            model, told = loader.from_pretrained(
                spec.path, config=config, dtype="auto", output_loading_info=True, trust_remote_code=False,
                ignore_mismatched_sizes=head is not None,
            )
            tokenizer: Any = AutoTokenizer.from_pretrained(spec.path)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            if exhausted(error):
                raise
            raise Failed(f"{spec.name!r} cannot be loaded: {error}") from error
        adapted = ("classifier.", "score.") if head is not None else ("pooler.",) if not classes else ()
        made_up = {*told["missing_keys"], *(item[0] for item in told["mismatched_keys"])}
        missing = sorted(name for name in made_up if not name.startswith(adapted))
        if missing:
            raise Failed(
                f"{spec.name!r} lacks {len(missing)} of its weights ({missing[0]} is the first); with made-up ones its "
                "answers would mean nothing, and nothing was loaded"
            )
        model.to(dtype=_form(model, device, kept))
        if spec.adapter is not None:
            model = adapters.apply(model, spec.adapter, tick)
        model.eval().to(device)
    return Encoder(model, tokenizer, context=spec.context, device=device, pool=pool, tick=tick)


def _form(model: Any, device: torch.device, kept: Path | None) -> torch.dtype:
    """No less exact than the file: in 16 bits only where it is, and where this processor is fast in them."""
    own: torch.dtype = model.dtype
    if own != torch.bfloat16 or device.type != "cpu":
        return own if device.type != "cpu" else torch.float32
    inner = max((m.weight for m in model.modules() if isinstance(m, nn.Linear)), key=Tensor.numel)
    return torch.bfloat16 if remembered(inner, kept) == "bfloat16" else torch.float32
