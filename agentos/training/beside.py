"""What the service of training asks of parts beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from agentos.types import (
    Base,
    Caller,
    Context,
    DataFile,
    JobCancelled,
    JobCard,
    JobRequest,
    JobSubmitted,
    Json,
    Progress,
)


class Listening(Protocol):
    """Who asked for a run, and hears how far it is."""

    @property
    def caller(self) -> Caller:
        """Who asked."""
        ...

    @property
    def call(self) -> str:
        """The call's id; the same one never begins two runs."""
        ...

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """Tells how far it is."""
        ...


class Queue(Protocol):
    """What runs jobs."""

    async def submit(self, request: JobRequest, caller: Caller, call: str) -> JobSubmitted:
        """Puts a job on disk; the same call never makes two."""
        ...

    async def cancel(self, job: str, user: str) -> JobCancelled:
        """Ends a job, its whole tree of processes."""
        ...

    async def card(self, job: str) -> JobCard:
        """All that is known of a job."""
        ...


class Datasets(Protocol):
    """What runs learn from."""

    async def file(self, dataset: str, ctx: Context) -> DataFile:
        """What a run reads of a data set; a file that is none yet is added first."""
        ...


class ModelStore(Protocol):
    """What runs begin with, and where what they make goes."""

    async def base(self, model: str, progress: Progress) -> Base:
        """A model's files, fetched first where only the catalog has it."""
        ...

    def free(self, wanted: str | None, otherwise: str) -> str:
        """A name for a model that is to be made."""
        ...

    async def keep(self, name: str, folder: Path, facts: Mapping[str, Json]) -> None:
        """Puts a trained model into the store; done already, it does nothing."""
        ...
