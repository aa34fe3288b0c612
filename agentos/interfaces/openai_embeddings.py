"""`POST /v1/embeddings`: vectors of texts."""

from __future__ import annotations

import base64
from array import array

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentos.interfaces.http_auth import known
from agentos.interfaces.openai_answer import SYSTEM, Answers, card, until_gone
from agentos.interfaces.openai_errors import BadRequest
from agentos.interfaces.openai_read import raw, read
from agentos.interfaces.openai_shapes import EmbeddingRequest
from agentos.types import Json


class Embeddings:
    """The endpoint."""

    def __init__(self, answers: Answers) -> None:
        """`answers` of models."""
        self._answers, self._system = answers, answers.system

    async def create(self, request: Request) -> Response:
        """A vector of length 1 for each text."""
        asked = read(EmbeddingRequest, await raw(request))
        self._answers.ready()
        caller = known(request, self._system)
        texts = [asked.input] if isinstance(asked.input, str) else list(asked.input)
        if asked.model == SYSTEM:
            raise BadRequest(f"{SYSTEM!r} gives no vectors; name an embedder", "model")
        if not asked.model.startswith("litellm:"):
            kind = card(self._system, asked.model).kind
            if kind in ("causal", "classification"):
                raise BadRequest(f"{asked.model!r} is a {kind} model and gives no vectors; name an embedder", "model")
        made = await until_gone(request, self._answers.vectors(caller, asked.model, texts))
        if made.truncated:
            raise BadRequest(
                f"{made.truncated} of {len(texts)} texts are longer than {asked.model!r} can read; make them shorter",
                "input", "context_length_exceeded",
            )
        rows: list[Json] = []
        for index, found in enumerate(made.predictions):
            vector = found.vector or []
            if asked.dimensions not in (None, len(vector)):
                raise BadRequest(
                    f"{asked.model!r} gives vectors of {len(vector)} numbers and cannot shorten them; leave "
                    "'dimensions' out", "dimensions",
                )
            shown: Json = _packed(vector) if asked.encoding_format == "base64" else [*vector]
            rows.append({"object": "embedding", "index": index, "embedding": shown})
        usage: Json = {"prompt_tokens": made.tokens, "total_tokens": made.tokens}
        return JSONResponse({"object": "list", "data": rows, "model": asked.model, "usage": usage})


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64."""
    numbers = array("f", vector)
    if memoryview(b"\1\0").cast("H")[0] != 1:
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
