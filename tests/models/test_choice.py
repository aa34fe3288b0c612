"""Which engine is taken, and why."""

from __future__ import annotations

import pytest

from agentos.errors import Failed, UserError
from agentos.models.choice import CROWD, Facts, choose

BOTH = Facts(vllm=True)


@pytest.mark.parametrize(
    ("facts", "engine", "why"),
    [
        (Facts(), "transformers", "vLLM is not installed"),
        (Facts(gpu=True), "transformers", "vLLM is not installed"),
        (BOTH, "transformers", "no GPU and at most 0 asked at once"),
        (Facts(vllm=True, crowd=CROWD), "vllm", f"{CROWD} callers asked at once"),
        (Facts(vllm=True, crowd=CROWD - 1), "transformers", "no GPU"),
        (Facts(vllm=True, gpu=True), "vllm", "there is a GPU"),
        (Facts(vllm=True, gpu=True, kind="embedding"), "transformers", "of kind embedding"),
        (Facts(vllm=True, gpu=True, quantized=True, crowd=50), "transformers", "quantized"),
    ],
)
def test_auto_takes_what_the_facts_say_and_gives_the_reason(facts: Facts, engine: str, why: str) -> None:
    chosen, reason = choose("m", "auto", facts)
    assert chosen == engine and reason.startswith("auto: ") and why in reason


def test_a_remote_model_is_asked_where_it_is() -> None:
    assert choose("litellm:openai/x", "auto", BOTH)[0] == "litellm"
    for engine in ("transformers", "vllm"):
        with pytest.raises(UserError, match="served by another machine"):
            choose("litellm:openai/x", engine, BOTH)


def test_what_was_asked_for_is_taken_or_refused_and_never_exchanged() -> None:
    assert choose("m", "vllm", BOTH) == ("vllm", "as asked")
    with pytest.raises(Failed, match="agentos engines install vllm"):
        choose("m", "vllm", Facts())
    with pytest.raises(UserError, match="quantized"):
        choose("m", "vllm", Facts(vllm=True, quantized=True))
    with pytest.raises(UserError, match="no engine 'ollama'"):
        choose("m", "ollama", BOTH)
