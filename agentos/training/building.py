"""A run's parts from its manifest: model, tokenizer, rows as tokens, objective."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from agentos.engines import adapters, processor
from agentos.engines.footprint import exhausted
from agentos.errors import Failed, UserError
from agentos.training import batches, dropout, encoding
from agentos.training.data import Corpus, Parts, balance, parts
from agentos.training.events import write_atomically
from agentos.training.methods import Method, rate
from agentos.training.objectives import Answers, Labels, Objective
from agentos.training.reader import Reader
from agentos.training.spec import RunSpec

PLAN = "plan.json"
_TOKENS = {"cpu": 4096, "cuda": 32768}
_WIDE = 256
"""Hidden size below which turning numbers into bf16 takes what the products gain."""
LARGE = 1_000_000_000
"""Parameters from which on a base is not written out again with what LoRA learned; the adapter is."""


@dataclass(frozen=True)
class Plan:
    """What was found by trying, once, so that a run that is gone on with computes the same."""

    device: str
    half: bool
    packed: bool


@dataclass
class Built:
    """A run's parts before its first update."""

    model: Any
    tokenizer: Any
    corpus: Corpus
    reader: Reader
    objective: Objective
    method: Method
    plan: Plan
    budget: int
    parameters: int
    rate: float


def device(rank: int = 0, processes: int = 1) -> torch.device:
    """Where a process computes: a GPU of its own where there is one.

    Raises:
        UserError: there are GPUs, and fewer than processes.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if torch.cuda.device_count() < processes:
        raise UserError(
            f"{processes} processes need as many GPUs and there are {torch.cuda.device_count()}; nothing was trained. "
            "Set processes to that"
        )
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def build(spec: RunSpec, folder: Path, place: torch.device) -> Built:
    """Reads, encodes and loads everything; the same weights for the same manifest.

    Raises:
        UserError: data, model and task do not go together.
        Failed: the model cannot be loaded.
    """
    read = parts(spec)
    if spec.kind == "pretrain":
        from agentos.training.fresh import fresh

        return fresh(spec, folder, read, place)
    torch.manual_seed(spec.seed)
    model, tokenizer, new = load_base(spec, read.labels)
    corpus = rows(spec, read, model, tokenizer)
    return assemble(spec, folder, model, tokenizer, corpus, place=place, new=new)


def load_base(spec: RunSpec, labels: tuple[str, ...]) -> tuple[Any, Any, list[str]]:
    """The base with a head for the task, its tokenizer, and names of weights that it did not have.

    Raises:
        Failed: it cannot be loaded.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    path = Path(spec.base_path)
    classifies = spec.task == "text-classification"
    loader: Any = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    try:
        config: Any = AutoConfig.from_pretrained(path)
        if classifies:
            config.num_labels = len(labels)
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: at for at, label in enumerate(labels)}
            config.problem_type = "single_label_classification"
        own = str(getattr(config, "dtype", None) or "float32")
        half = spec.method != "full" and own.endswith("bfloat16") and torch.cuda.is_available()
        model, told = loader.from_pretrained(
            path, config=config, dtype=torch.bfloat16 if half else torch.float32, output_loading_info=True,
            ignore_mismatched_sizes=classifies, trust_remote_code=False,
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if exhausted(error):
            raise
        raise Failed(f"{spec.base!r} cannot be loaded: {error}. Nothing was trained") from error
    if spec.adapter_path and not spec.shared:
        model = adapters.apply(model, Path(spec.adapter_path))
        model.requires_grad_(True)
    if classifies and model.config.get_text_config().pad_token_id is None:
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        model.config.get_text_config().pad_token_id = pad
    return model, tokenizer, sorted({*told["missing_keys"], *(item[0] for item in told["mismatched_keys"])})


def rows(spec: RunSpec, read: Parts, model: Any, tokenizer: Any) -> Corpus:
    """The data as tokens, for the task."""
    length = encoding.longest(model, tokenizer, spec.length, spec.task)
    if spec.task == "text-classification":
        return encoding.classified(read, tokenizer, length)
    return (encoding.behind if spec.shared else encoding.answered)(read, tokenizer, length)


def assemble(
    spec: RunSpec, folder: Path, model: Any, tokenizer: Any, corpus: Corpus, *, place: torch.device, new: list[str],
) -> Built:
    """Puts a model on its device, lays in what the method trains and finds out how it is read fastest."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model.to(place)
    calm(model, place)
    total = batches.steps([row.behind for row in corpus.train], spec.rows, spec.epochs)
    torch.manual_seed(spec.seed)
    method = Method(
        model, spec.method, rank=spec.rank, total=total, task=spec.task, base=spec.base,
        above=spec.above,
    )
    if spec.shared and spec.adapter_path:
        method.begin(Path(spec.adapter_path))
    if spec.method != "full" and spec.task != "text-classification" and new:
        raise Failed(f"{spec.base!r} lacks {len(new)} of its weights ({new[0]!r} is the first); nothing was trained")
    model = method.model
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    kept = _plan(folder)
    half = kept.half if kept else _half(spec, place, model)
    reader = Reader(model, place, pad, half)
    packed = reader.try_packed(corpus.train) if kept is None or kept.packed else False
    if spec.shared:
        if not packed:
            raise Failed(f"{spec.base!r} is of a build whose rows cannot share a beginning; nothing was trained")
        reader.share(corpus.shared)
        if half:
            _halve(model)
    plan = kept or Plan(place.type, half, packed)
    if kept is None:
        write_atomically(folder / PLAN, json.dumps(asdict(plan)))
    objective: Objective
    if spec.task == "text-classification":
        weights = balance(corpus.train, len(corpus.labels)) if spec.balanced else None
        objective = Labels(reader, weights, len(corpus.labels))
    else:
        objective = Answers(reader)
    model.train()
    budget = spec.tokens or _TOKENS[place.type]
    given = spec.learning_rate or rate(spec.method, spec.task, parameters)
    return Built(model, tokenizer, corpus, reader, objective, method, plan, budget, parameters, given)


def _halve(model: Any) -> None:
    """Keeps what no update changes in the form that products take it in, so that it is not turned into it each time."""
    into = model.get_input_embeddings().weight
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad and module.weight is not into:
            module.weight.data = module.weight.data.bfloat16()


def calm(model: Any, place: torch.device) -> None:
    """Draws dropout's numbers fast on a processor, and none within attention, where they take as long as the rest."""
    if place.type != "cpu":
        return
    dropout.swift(model)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and "attention.self" in name:
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


def table(built: Built, processes: int) -> torch.nn.Parameter | None:
    """The embeddings, made to give sparse gradients, where that pays: untied, all trained, on one CPU process."""
    into = built.model.get_input_embeddings()
    out = built.model.get_output_embeddings()
    if built.method.name != "full" or built.plan.device != "cpu" or processes > 1:
        return None
    if not isinstance(into, torch.nn.Embedding) or (out is not None and out.weight is into.weight):
        return None
    into.sparse = True
    weight: torch.nn.Parameter = into.weight  # type: ignore[assignment]
    return weight


def _plan(folder: Path) -> Plan | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Plan(**json.loads((folder / PLAN).read_text("utf-8")))
    return None


def _half(spec: RunSpec, place: torch.device, model: Any) -> bool:
    """Whether products are made in bf16: on GPUs and processors that have it, where they are large enough to gain.

    It rests on what the machine is and never on a measurement: every process of a run, and a run made once more,
    have to compute the same.
    """
    if spec.dtype != "auto":
        return spec.dtype == "bf16"
    if place.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return processor.multiplies_bf16() and int(model.config.get_text_config().hidden_size) >= _WIDE
