"""Runs a remote model through LiteLLM: any provider, any OpenAI-compatible server.

The model's name is LiteLLM's (`openai/gpt-4o-mini`, `anthropic/…`); keys come from the provider's
own environment variable. Nothing that a grammar would hold is held here: the kernel reads the answer
back and repairs it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from agentos.engines.stops import Shown
from agentos.errors import Failed, Retry, UserError
from agentos.types import Completed, Generation, ModelSpec, Predicted, Prompt

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its price list would be fetched at import


class Backend:
    """One remote model."""

    grammar = False
    progress = 0

    def load(self, spec: ModelSpec, tell: Callable[[int, int], None]) -> dict[str, Any]:
        """Gets ready to ask; nothing is sent yet.

        Raises:
            Failed: LiteLLM knows no provider for the name.
        """
        import litellm

        litellm.telemetry = False
        litellm.suppress_debug_info = True
        self._litellm: Any = litellm
        self._model = spec.name.removeprefix("litellm:")
        self._base = str(spec.settings.get("api_base") or "") or None
        self._timeout = float(str(spec.settings.get("timeout") or 60))
        # a server of one's own asks for no key, but LiteLLM's client will not start without one
        self._key = None if os.environ.get("OPENAI_API_KEY") or not self._base else "none"
        try:
            litellm.get_llm_provider(self._model, api_base=self._base)
        except Exception as error:
            raise Failed(f"{spec.name!r} names no provider that LiteLLM knows; write it like 'openai/NAME'") from error
        return {"device": "remote", "dtype": "", "context": spec.context}

    def generate(
        self, request: Generation, emit: Callable[[str], None], cancelled: Callable[[], bool]
    ) -> Completed:
        """Asks the provider and streams its answer.

        Raises:
            Retry: it could not be reached, is overloaded, or took too long.
            UserError: it refused the request.
        """
        started = time.monotonic()
        if request.max_tokens == 0:
            return Completed("stop", "")
        shown = Shown(request.stop, emit)
        usage: Any = None
        stopped = False
        reason: Any = "stop"
        try:
            stream = self._litellm.completion(
                model=self._model, messages=_messages(request.prompt), stream=True, api_base=self._base,
                api_key=self._key,
                max_tokens=request.max_tokens, temperature=request.temperature, stop=list(request.stop) or None,
                seed=request.seed, timeout=self._timeout, num_retries=2, drop_params=True,
                stream_options={"include_usage": True},
            )
            for chunk in stream:
                usage = getattr(chunk, "usage", None) or usage
                if cancelled():
                    reason = "cancelled"
                    break
                for choice in chunk.choices:
                    stopped = stopped or shown.add(choice.delta.content or "")
                    if choice.finish_reason == "length":
                        reason = "length"
                if stopped:
                    break
        except self._litellm.exceptions.AuthenticationError as error:
            raise UserError(f"{self._model!r}: the provider refused the key; set its environment variable") from error
        except (self._litellm.exceptions.BadRequestError, self._litellm.exceptions.NotFoundError) as error:
            raise UserError(f"{self._model!r}: the provider refused the request ({type(error).__name__})") from error
        except self._litellm.exceptions.OpenAIError as error:
            raise Retry(f"{self._model!r} could not be reached ({type(error).__name__}); try again later") from error
        text = shown.finish()
        counts = (getattr(usage, "prompt_tokens", 0) or 0, getattr(usage, "completion_tokens", 0) or 0)
        return Completed(reason, text, counts[0], 0, counts[1], 0, time.monotonic() - started)

    def predict(self, texts: Sequence[str]) -> Predicted:
        """Refuses: it writes text."""
        raise UserError("this model writes text and gives no labels or vectors; name a classifier or an embedder")

    def idle(self) -> bool:
        """Nothing to do."""
        return False


def _messages(prompt: Any) -> list[dict[str, str]]:
    if not isinstance(prompt, Prompt):
        return [{"role": turn.role, "content": turn.content} for turn in prompt]
    if not prompt.chat:
        return [{"role": "user", "content": prompt.text}]
    system = prompt.prefix + "".join(prompt.blocks)
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt.tail}]
