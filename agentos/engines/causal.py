"""One causal model: prompts laid from kept states, answers decoded token by token."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers.decoders import DecodeStream
from torch import Tensor

from agentos.engines import tools
from agentos.engines.decoding import Chooser, Draft, Grammar, Prior, decode
from agentos.engines.form import form
from agentos.engines.kv import Segments, State, rotary_frequencies
from agentos.engines.perplexity import perplexity
from agentos.engines.stops import Emit, Likely, Shown
from agentos.engines.tail import Tail
from agentos.engines.weights import Head
from agentos.errors import UserError
from agentos.types import Completed, Generation, Logprob, ModelSpec, Prompt


class Causal:
    """A model in this process that writes text."""

    def __init__(
        self, model: Any, tokenizer: Any, spec: ModelSpec, *, dtype: str, device: torch.device, tick: Callable[[], None]
    ) -> None:
        """A model whose weights are in their last form, which `dtype` names.

        Args:
            model: The model.
            tokenizer: Its own.
            spec: What was asked for.
            dtype: The weights' form; kept states of another one are not used.
            device: Where it lies.
            tick: Called after every layer: the sign that a long pass goes forward.
        """
        self._model, self._tokenizer, self._device = model, tokenizer, device
        self.context = min(spec.context, int(getattr(model.config, "max_position_embeddings", spec.context)))
        """Longest prompt and answer together, in tokens."""
        for layer in model.model.layers:
            layer.register_forward_hook(lambda *_: tick())
        output = model.get_output_embeddings()
        self._head = Head(output.weight.detach(), getattr(output, "scale", None))
        self._compute = model.model.norm.weight.dtype
        self._segments = Segments(rotary_frequencies(model))
        self._state = State(model.config, self._compute, device)
        self._laid: tuple[Any, ...] = ()
        self._read: list[int] = []
        self._passes = 0
        self._guide: Any = None
        self._waiting: deque[tuple[str, str | None]] = deque()
        self._kept = Path(str(spec.settings["kv_cache"])) if spec.settings.get("kv_cache") else None
        self._identity = f"{spec.name}:{_identity(spec)}:{dtype}"
        self._tried: set[str] = set()
        self._unsaved: set[str] = set()
        self._tail: Tail | None = None
        ends = model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        self._ends = frozenset(e for e in [*listed, tokenizer.eos_token_id] if e is not None)

    def adapt(self, folder: Path | None) -> bool:
        """Lays an adapter beside the weights, in an earlier one's place; gives whether there is one now.

        Raises:
            Failed: it does not fit; the earlier one stays.
        """
        fresh = None if folder is None else Tail(self._model, folder, self._compute, self._device)
        if self._tail is not None:
            self._tail.remove()
        self._tail = fresh
        self._clear()  # what was read last was read under the other one
        return fresh is not None

    def generate(
        self, request: Generation, emit: Emit, cancelled: Callable[[], bool]
    ) -> Completed:
        """Answers one request.

        Raises:
            UserError: prompt and answer exceed the context, or the schema is none that a grammar can be made of.
        """
        started = time.monotonic()
        self._passes = 0
        request = tools.held(request, self._added)
        prompt = form(self._tokenizer, request)
        if request.max_tokens == 0:
            self._plan_ahead(prompt)
            return Completed("stop", "")
        pending, total = self._lay(prompt, request.adapted and self._tail is not None)
        grammar = Grammar(self._guidance(), request.grammar) if request.grammar else None
        likely = None if request.logprobs is None else Likely(emit)
        stream, shown, tokens = DecodeStream(skip_special_tokens=True), Shown(request.stop, likely or emit), 0
        most = min(request.max_tokens, self.context - total)
        reason: Any = "stop"
        choose = Chooser(
            self._head, request.temperature, request.seed, top_p=request.top_p, tells=request.logprobs,
            sums=grammar is not None,
        )
        steps = decode(
            self._forward, self._rewind, choose, pending,
            grammar=grammar, draft=self._draft(request.draft), ends=self._ends, most=most,
            prior=Prior(request.prior, self._piece) if request.prior else None,
        )
        with self._adapted(request.adapted):
            for token in steps:
                tokens += 1
                piece = stream.step(self._tokenizer.backend_tokenizer, token) or ""
                if likely is not None:
                    likely.token(self._likely(piece, choose.take()))
                if shown.add(piece):
                    break
                if cancelled():
                    reason = "cancelled"
                    break
            else:
                if tokens >= most and not (grammar and grammar.finished):
                    reason = "length"
        spent = time.monotonic() - started
        sure = None if choose.doubt is None else math.exp(-choose.doubt)
        cached = total - len(pending)
        return Completed(reason, shown.finish(), total, cached, tokens, self._passes, spent, confidence=sure)

    @contextlib.contextmanager
    def _adapted(self, asked: bool) -> Iterator[None]:
        if self._tail is None or not asked:
            yield
            return
        self._tail.on = True
        try:
            yield
        finally:
            self._tail.on = False
            self._read = []  # under the adapter: no other request may go on from it

    def perplexity(self, text: str) -> float:
        """How well the model foretells a text; lower is better."""

        def read(window: list[int]) -> Tensor:
            self._clear()
            return self._forward(window, len(window))

        try:
            return perplexity(self._encode(text), read, self._head.logits)
        finally:
            self._clear()

    def idle(self) -> Callable[[], None] | None:
        """Computes one waiting block's state; once all are, writes them to disk for the next start."""
        if self._waiting:
            return partial(self._ahead, *self._waiting.popleft())
        if self._unsaved and self._kept is not None:
            return partial(self._save, self._unsaved.pop())
        return None

    def _ahead(self, prefix: str, block: str | None) -> None:
        with contextlib.suppress(UserError):  # too long: the request itself will say so
            self._segment(prefix, block)

    def _likely(self, piece: str, told: tuple[float, list[tuple[int, float]]] | None) -> Logprob:
        """A token and how likely it was; what had to come was certain."""
        value, top = told or (0.0, [])
        return Logprob(piece, value, tuple((self._piece(token), each) for token, each in top))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _piece(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    def _added(self, text: str) -> int | None:
        """The id of a text that the tokenizer has as a token of its own, outside of its vocabulary of pieces."""
        added: dict[str, int] = self._tokenizer.get_added_vocab()
        return added.get(text)

    def _guidance(self) -> Any:
        if self._guide is None:
            import llguidance.hf

            tokenizer: Any = self._tokenizer
            self._guide = llguidance.hf.from_tokenizer(
                tokenizer, n_vocab=self._head.size, eos_token=sorted(self._ends)
            )
        return self._guide

    def _draft(self, texts: tuple[str, ...]) -> Draft:
        sources = [self._encode(text) for text in texts if text]
        seen = {token for source in sources for token in source}
        plain = {token for token in seen if len(str(self._tokenizer.decode([token])).strip()) < 2}
        return Draft(sources, frozenset(plain))

    def _lay(self, prompt: Prompt, adapted: bool) -> tuple[list[int], int]:
        """Gets all of the prompt but its last tokens into the state; gives those, and the prompt's length."""
        if prompt.tail and (self._segments.movable if prompt.blocks else adapted):
            key = (prompt.prefix, prompt.blocks)
            if self._laid and self._laid[0] == key:
                self._rewind(self._state.length - self._laid[1])
            else:
                self._segments.needed = frozenset(_key(prompt.prefix, block) for block in (None, *prompt.blocks))
                for block in (None, *prompt.blocks):
                    self._segment(prompt.prefix, block)
                self._clear()
                for block in (None, *prompt.blocks):
                    name = _key(prompt.prefix, block)
                    shift = 0 if block is None else self._state.length - self._prefix_length(prompt.prefix)
                    self._state.append(self._segments.get(name, shift, self._compute))
                self._laid = (key, self._state.length)
            pending = self._encode(prompt.tail)
        else:
            pending = self._encode(prompt.text)
            # what the state holds is what was read, token by token, unless blocks were laid in
            held = self._read if len(self._read) == self._state.length and not self._laid else []
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(held, pending[:-1], strict=False)))
            self._laid = ()
            self._rewind(self._state.length - shared)
            pending = pending[shared:]
        if not pending:
            raise UserError("the prompt is empty; there is nothing to answer")
        total = self._state.length + len(pending)
        self._check(total)
        return pending, total

    def _check(self, tokens: int) -> None:
        if tokens >= self.context:
            raise UserError(
                f"the prompt has {tokens} tokens and the context is {self.context}; "
                "shorten it or raise the setting 'context'"
            )

    def _prefix_length(self, prefix: str) -> int:
        return int(self._segments.items()[_key(prefix, None)].shape[3])

    def _segment(self, prefix: str, block: str | None) -> None:
        """Sees to it that a state is kept for a prefix, or for a block read after it."""
        self._load_kept(prefix)
        name = _key(prefix, block)
        if name in self._segments:
            return
        if block is not None:
            self._segment(prefix, None)
        self._clear()
        if block is not None:
            self._state.append(self._segments.get(_key(prefix, None), 0, self._compute))
        start = self._state.length
        tokens = self._encode(prefix if block is None else block)
        self._check(start + len(tokens))
        if tokens:
            self._forward(tokens, 1)
        self._segments.put(name, self._state.slice(start, self._state.length))
        self._unsaved.add(prefix)

    def _plan_ahead(self, prompt: Prompt) -> None:
        self._waiting.append((prompt.prefix, None))
        self._waiting.extend((prompt.prefix, block) for block in prompt.blocks if self._segments.movable)

    def _file(self, prefix: str) -> Path | None:
        digest = hashlib.sha256(f"{self._identity}\0{prefix}".encode()).hexdigest()[:24]
        return None if self._kept is None else self._kept / f"{digest}.safetensors"

    def _load_kept(self, prefix: str) -> None:
        file = self._file(prefix)
        if file is None or prefix in self._tried:
            return
        self._tried.add(prefix)
        if file.is_file():
            try:
                with safe_open(str(file), "pt", device=str(self._device)) as kept:
                    for name in kept.keys():  # noqa: SIM118
                        self._segments.put(name, kept.get_tensor(name))
            except Exception:  # a damaged file is only a lost saving: it is made again
                file.unlink(missing_ok=True)

    def _save(self, prefix: str) -> None:
        file = self._file(prefix)
        assert file is not None
        mark = _key(prefix, None)[:16]
        kept = {name: state.contiguous() for name, state in self._segments.items().items() if name.startswith(mark)}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(".tmp")
            save_file(kept, temporary)
            temporary.replace(file)
        except OSError:
            self._kept = None  # a full disk: the next start computes them again

    def _forward(self, tokens: list[int], wanted: int) -> Tensor:
        self._passes += 1
        count, start = len(tokens), self._state.length
        ids = torch.tensor([tokens], device=self._device)
        mask: Any = torch.ones(count, start + count, dtype=torch.bool, device=self._device).tril(start)[None, None]
        kinds = getattr(self._model.config, "layer_types", None)
        if kinds:  # a model that can tell kinds of layers apart takes a mask for each
            mask = dict.fromkeys(kinds, mask if count > 1 else None)
        output = self._model.model(
            input_ids=ids,
            position_ids=torch.arange(start, start + count, device=self._device)[None],
            attention_mask=mask,
            past_key_values=self._state.cache,
            use_cache=True,
        )
        self._state.length += count
        self._read.extend(tokens)
        hidden: Tensor = output.last_hidden_state[0, -wanted:]
        return hidden

    def _rewind(self, count: int) -> None:
        self._state.length -= count
        del self._read[max(0, len(self._read) - count) :]

    def _clear(self) -> None:
        self._state.length, self._laid, self._read = 0, (), []


def _key(prefix: str, block: str | None) -> str:
    start = hashlib.sha256(prefix.encode()).hexdigest()[:16]
    return f"{start}/" if block is None else f"{start}/{hashlib.sha256(block.encode()).hexdigest()}"


def _identity(spec: ModelSpec) -> str:
    """Tells the weights apart by which states were computed: the files' sizes, and what an adapter made of them."""
    assert spec.path is not None
    size = sum(file.stat().st_size for file in spec.path.glob("*.safetensors"))
    adapter = sorted(spec.adapter.glob("*.safetensors")) if spec.adapter is not None else []
    return ":".join([str(size), *(hashlib.sha256(file.read_bytes()).hexdigest() for file in adapter)])
