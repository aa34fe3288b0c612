"""The routes of OpenAI's API."""

from __future__ import annotations

from typing import Protocol

from starlette.routing import Route

from agentos.interfaces.openai_answer import Answers
from agentos.interfaces.openai_chat import Chat
from agentos.interfaces.openai_completions import Completions
from agentos.interfaces.openai_embeddings import Embeddings
from agentos.interfaces.openai_models import ModelNames
from agentos.interfaces.openai_response_store import ResponseStore
from agentos.interfaces.openai_responses import Responses
from agentos.interfaces.openai_system import Spoken


class Shared(Protocol):
    """What the doors of one system share."""

    @property
    def answers(self) -> Answers:
        """What asks models."""
        ...

    @property
    def responses(self) -> ResponseStore:
        """What later responses go on from."""
        ...


def routes(shared: Shared) -> list[Route]:
    """Where each is found."""
    answers = shared.answers
    spoken = Spoken(answers.system, answers.lanes)
    chat, models = Chat(answers, spoken), ModelNames(answers)
    responses = Responses(answers, spoken, shared.responses)
    return [
        Route("/v1/models", models.listed),
        Route("/v1/models/{id:path}", models.one),
        Route("/v1/chat/completions", chat.create, methods=["POST"]),
        Route("/v1/responses", responses.create, methods=["POST"]),
        Route("/v1/responses/{id}", responses.get),
        Route("/v1/responses/{id}", responses.delete, methods=["DELETE"]),
        Route("/v1/completions", Completions(answers).create, methods=["POST"]),
        Route("/v1/embeddings", Embeddings(answers).create, methods=["POST"]),
    ]
