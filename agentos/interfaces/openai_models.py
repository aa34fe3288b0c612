"""`/v1/models`: the system itself, and every model there is to ask."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentos.errors import UserError
from agentos.interfaces.http_auth import known
from agentos.interfaces.openai_answer import SYSTEM, Answers, NoModel
from agentos.models.shelf import MANIFEST, Shelf


class ModelNames:
    """The endpoints; policy decides as on `models.list`."""

    def __init__(self, answers: Answers) -> None:
        """`answers` of models."""
        self._answers, self._system = answers, answers.system
        self._shelf, self._began = Shelf(answers.system.settings.models), time.time()

    async def listed(self, request: Request) -> Response:
        """Every model that can be asked; one that is not in memory is brought in when it is."""
        return JSONResponse({"object": "list", "data": await self._all(request)}, headers={"cache-control": "no-store"})

    async def one(self, request: Request) -> Response:
        """One model."""
        name = request.path_params["id"]
        rows = {row["id"]: row for row in await self._all(request)}
        found = rows.get(name) or rows.get(self._system.models.canonical(name))
        if found is None:
            raise NoModel(f"there is no model {name!r}; GET /v1/models lists those there are")
        return JSONResponse(found, headers={"cache-control": "no-store"})

    async def _all(self, request: Request) -> list[dict[str, Any]]:
        caller = known(request, self._system)
        self._answers.ready()
        names: Any = await self._system.look("models.list", {"state": "all"}, caller, self._names)
        return [self._row(name) for name in (SYSTEM, *names)]

    async def _names(self) -> list[str]:
        """Without what each holds of memory, which takes long to count."""
        return self._system.models.names()

    def _row(self, name: str) -> dict[str, Any]:
        """With when its files came to be here; of one without any, when the system began."""
        made = self._began
        with contextlib.suppress(UserError, OSError):
            made = (self._shelf.folder(name) / MANIFEST).stat().st_mtime
        owner = "litellm" if name.startswith("litellm:") else "agentos"
        return {"id": name, "object": "model", "created": int(made), "owned_by": owner}
