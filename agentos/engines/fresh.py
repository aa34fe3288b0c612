"""The peer of a warm load: a fresh process that imports transformers, loads a model, and writes one token.

Run as `python -m agentos.engines.fresh FOLDER DTYPE THREADS`; the prompt comes on standard input. A line of JSON
goes out when the token is there, and whoever started the process stops the clock.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Loads and answers as transformers' own documentation does."""
    folder, dtype, threads = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3])
    torch.set_grad_enabled(False)
    if threads:
        torch.set_num_threads(threads)
    load: Any = AutoModelForCausalLM.from_pretrained
    model = load(folder, dtype=dtype)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": sys.stdin.read()}], add_generation_prompt=True, return_tensors="pt",
        return_dict=True,
    )
    made = model.generate(**asked, max_new_tokens=1, do_sample=False)
    text = tokenizer.decode(made[0, asked["input_ids"].shape[1] :])
    print(json.dumps({"text": text}), flush=True)


if __name__ == "__main__":
    main()
