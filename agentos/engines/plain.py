"""The peer of `agentos bench`: the same model through `transformers.generate`, every schema in the prompt.

Run as `python -m agentos.engines.plain FOLDER THREADS`; `{"tools", "texts"}` comes on standard input,
one JSON object of figures goes out. Each way of holding the weights is tried on one sentence without
schemas and the peer gets its best; what all prompts begin with is read once, and its states are kept.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

_FORMS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def main() -> None:
    """Times the plain way, and this machine's bandwidth for the model's weights."""
    torch.set_grad_enabled(False)
    folder, given = Path(sys.argv[1]), json.loads(sys.stdin.read())
    if int(sys.argv[2]):
        torch.set_num_threads(int(sys.argv[2]))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tools=given["tools"], add_generation_prompt=True,
            return_tensors="pt", return_dict=True,
        )
        for text in given["texts"]
    ]
    load: Any = AutoModelForCausalLM.from_pretrained
    models = {name: load(folder, dtype=form) for name, form in _FORMS.items()}
    short = tokenizer(given["texts"][0], return_tensors="pt")
    tried = {name: _answer(model, short) for name, model in models.items()}
    best = min(tried, key=lambda name: tried[name])
    common = _common([prompt["input_ids"][0].tolist() for prompt in prompts])
    kept = models[best](prompts[0]["input_ids"][:, :common], use_cache=True).past_key_values
    times = [_answer(models[best], prompt, past_key_values=copy.deepcopy(kept)) for prompt in prompts]
    print(json.dumps({
        "median_ms": round(1000 * statistics.median(times), 1), "form": best, "count": len(times),
        "prompt_tokens": int(prompts[0]["input_ids"].shape[1]), **_bandwidth(models["bfloat16"]),
    }))


def _common(prompts: list[list[int]]) -> int:
    """How many tokens all of them begin with."""
    least = min(map(len, prompts))
    return next((at for at in range(least - 1) if len({prompt[at] for prompt in prompts}) > 1), least - 1)


def _answer(model: Any, prompt: Any, **kept: Any) -> float:
    started = time.perf_counter()
    model.generate(**prompt, max_new_tokens=128, do_sample=False, **kept)
    return time.perf_counter() - started


def _bandwidth(model: Any) -> dict[str, Any]:
    """Bytes of the layers' weights at two bytes each, and bytes a second that a product with one vector reads."""
    weights = [layer.mlp.gate_proj.weight for layer in model.model.layers]
    vector = torch.randn(1, weights[0].shape[1], dtype=weights[0].dtype)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        for weight in weights:
            torch.nn.functional.linear(vector, weight)
        times.append(time.perf_counter() - started)
    read = sum(weight.nbytes for weight in weights)
    held = sum(parameter.nbytes for parameter in model.model.layers.parameters())
    return {"weight_bytes": held, "bytes_per_second": round(read / statistics.median(times))}


if __name__ == "__main__":
    main()
