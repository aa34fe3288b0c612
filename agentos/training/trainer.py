"""The peer of `agentos bench --only training`: the Hugging Face Trainer on the rows of a run's manifest.

Run as `python -m agentos.training.trainer RUN_FOLDER SETTINGS`, SETTINGS being TrainingArguments as JSON. One JSON
object goes out: useful tokens, seconds from the first update's begin to the last one's end, and the last loss.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Trains for the manifest's epochs, as its users do: rows tokenized ahead, padded batch by batch."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging as told

    from agentos.training import building, encoding
    from agentos.training.data import parts
    from agentos.training.spec import read

    logging: Any = told
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    spec = read(Path(sys.argv[1]))
    torch.set_num_threads(spec.threads)
    said = parts(spec)
    torch.manual_seed(spec.seed)
    model, tokenizer, _new = building.load_base(spec, said.labels)
    corpus = encoding.classified(said, tokenizer, encoding.longest(model, tokenizer, spec.length, spec.task))
    rows = [{"input_ids": row.ids.tolist(), "labels": row.label} for row in corpus.train]
    marks: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            marks.append(time.perf_counter())

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            losses.append(float(more["logs"].get("loss", losses[-1] if losses else 0.0)))

        def on_step_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(**{
            "output_dir": folder, "num_train_epochs": spec.epochs, "report_to": [], "save_strategy": "no",
            "disable_tqdm": True, "use_cpu": not torch.cuda.is_available(), "seed": spec.seed,
            **json.loads(sys.argv[2]),
        })
        # what prints is for people; the figures go out last
        print_to, sys.stdout = sys.stdout, sys.stderr
        Trainer(
            model=model, args=arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[Clock()]
        ).train()
        sys.stdout = print_to
    tokens = sum(len(row["input_ids"]) for row in rows) * spec.epochs
    print(json.dumps({"tokens": tokens, "seconds": marks[-1] - marks[0], "updates": len(marks) - 1,
                      "loss": losses[-1] if losses else None}))


if __name__ == "__main__":
    main()
