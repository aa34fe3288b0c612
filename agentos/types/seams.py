"""What a syscall may reach: the services behind `Context`, as protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from agentos.types.calls import Caller
from agentos.types.datasets import Cleaned, DataFile, DatasetAdded, DatasetCard, DatasetDeleted, DatasetList, Splitted
from agentos.types.engine import Generation, Logprob, Progress
from agentos.types.jobs import JobCancelled, JobCard, JobList, JobLog, JobRequest, JobSubmitted
from agentos.types.models import (
    Answer,
    LoadedReport,
    ModelCard,
    ModelList,
    Predictions,
    Pulled,
    Quantized,
    Text,
    Unloaded,
)
from agentos.types.results import (
    AuditRows,
    Deleted,
    Explanation,
    Help,
    KernelStatus,
    ResourceReport,
    Undone,
)
from agentos.types.training import (
    Evaluated,
    FinetuneRequest,
    PretrainRequest,
    RunList,
    SearchRequest,
    Trained,
)


class Resources(Protocol):
    """The machine."""

    async def report(self, kind: str, top: int) -> ResourceReport:
        """Figures of one kind, or of all; `top` limits processes."""
        ...


class Models(Protocol):
    """The catalog, the store on disk and what is in memory."""

    def listing(self, state: str) -> ModelList:
        """Models in a state, or all."""
        ...

    def card(self, model: str) -> ModelCard:
        """All that is known of one model."""
        ...

    async def pull(self, model: str, source: str | None, progress: Progress, folder: str = "") -> Pulled:
        """Brings a model to disk: fetched, checked against its hash, converted once. Paths start from `folder`."""
        ...

    async def load(
        self, model: str, engine: str, device: str, keep_alive: str, progress: Progress, *, replicas: int = 1
    ) -> LoadedReport:
        """Brings a stored model into memory, where others may have to go; joins a load that is under way."""
        ...

    async def unload(self, model: str) -> Unloaded:
        """Takes a model out of memory."""
        ...

    async def generate(self, model: str, prompt: str, max_tokens: int, ctx: Context) -> Text:
        """A model's answer, streamed through `ctx.text`; loads the model where it is stored and not loaded."""
        ...

    async def answer(self, model: str, request: Generation, ctx: Context) -> Answer:
        """As `generate`, to any request: a conversation, sampling, tools, a JSON Schema."""
        ...

    async def predict(self, model: str, texts: Sequence[str], ctx: Context) -> Predictions:
        """Labels and scores from a classifier, vectors from an embedder; loads the model where need be."""
        ...

    async def quantize(self, model: str, bits: int, output: str | None, ctx: Context) -> Quantized:
        """A stored model in fewer bits, as a model of its own; measured before and after."""
        ...

    async def delete(self, model: str, call: str, user: str) -> Deleted:
        """Takes a stored model away for a user's call; it can be brought back for a day."""
        ...


class Jobs(Protocol):
    """The durable queue and what runs from it."""

    async def submit(self, request: JobRequest, caller: Caller, call: str) -> JobSubmitted:
        """Puts a job on disk; the same call never makes two."""
        ...

    async def listing(self, state: str) -> JobList:
        """Jobs in a state, or all, newest first."""
        ...

    async def card(self, job: str) -> JobCard:
        """All that is known of one job, by its id or its name."""
        ...

    async def logs(
        self, job: str, tail: int, follow: bool, say: Callable[[str], Awaitable[None]]
    ) -> JobLog:
        """The last lines of a job's output; followed, `say` is told of it as it comes, until the job ends."""
        ...

    async def wait(self, job: str, progress: Progress) -> JobCard:
        """A job once it has ended."""
        ...

    async def cancel(self, job: str, user: str) -> JobCancelled:
        """Ends a job, its whole tree of processes."""
        ...

    async def retry(self, job: str, user: str) -> JobSubmitted:
        """Runs an ended job again."""
        ...


class Datasets(Protocol):
    """What models learn from: read once, stored by content, never changed."""

    async def add(self, path: str, name: str | None, ctx: Context) -> DatasetAdded:
        """Reads a file or folder; relative paths start from the caller's folder."""
        ...

    def listing(self) -> DatasetList:
        """Every data set, by name."""
        ...

    async def card(self, dataset: str, rows: int) -> DatasetCard:
        """All that is known of one data set, and its first rows."""
        ...

    async def clean(self, dataset: str, steps: Sequence[str], output: str | None, ctx: Context) -> Cleaned:
        """A cleaned data set beside the original."""
        ...

    async def split(self, dataset: str, train: float, seed: int, ctx: Context) -> Splitted:
        """Two data sets that share no text."""
        ...

    async def delete(self, dataset: str, call: str, user: str) -> DatasetDeleted:
        """Takes a data set away for a user's call; it can be brought back for a day."""
        ...

    async def file(self, dataset: str, ctx: Context) -> DataFile:
        """What a run reads of a data set; a file or folder that is none yet is added first."""
        ...


class Training(Protocol):
    """Runs that make models and measure them; each one is a job."""

    async def pretrain(self, request: PretrainRequest, ctx: Context) -> Trained:
        """A model made from nothing on a data set's text."""
        ...

    async def finetune(self, request: FinetuneRequest, ctx: Context) -> Trained:
        """A stored model, made better at what a data set shows."""
        ...

    async def evaluate(self, model: str, dataset: str, ctx: Context) -> Evaluated:
        """How good a model is on a data set."""
        ...

    async def search(self, request: SearchRequest, ctx: Context) -> Trained:
        """A stored model made better by whichever of several ways turns out best."""
        ...

    def runs(self, model: str | None) -> RunList:
        """Runs, of one model or all, newest first."""
        ...

    async def again(self, run: str, ctx: Context) -> Trained:
        """Makes a run once more, from its manifest."""
        ...


class Policy(Protocol):
    """The reference monitor, asked without calling."""

    def explain(self, syscall: str, user: str | None, caller: Caller) -> Explanation:
        """What policy would say to `user` (the caller where None) making a call."""
        ...


class Audit(Protocol):
    """The record of every decision and call."""

    def search(
        self, *, user: str | None, syscall: str | None, decision: str | None, since: str | None, caller: Caller
    ) -> AuditRows:
        """Rows that match, newest first; who is no administrator sees only their own."""
        ...


class Trash(Protocol):
    """What was deleted and can still be brought back."""

    async def restore(self, item: str, caller: Caller) -> Undone:
        """Brings back an item by its undo id; `last` is the caller's newest."""
        ...


class Kept(Protocol):
    """What a trash says of something put into it."""

    @property
    def undo_id(self) -> str:
        """What brings it back."""
        ...

    @property
    def until(self) -> float:
        """Until when."""
        ...


class TrashBin(Protocol):
    """Where what is deleted goes."""

    def put(self, kind: str, name: str, folder: Path, call: str, user: str) -> Kept:
        """Moves a folder away, so that it can be brought back."""
        ...


class KernelView(Protocol):
    """The kernel's own state."""

    def status(self) -> KernelStatus:
        """Which model plans, and how it does."""
        ...

    def help(self, topic: str | None) -> Help:
        """The syscalls about a topic, or all."""
        ...


class Context(Protocol):
    """All that a syscall can reach; made for one call, after policy has let it through."""

    caller: Caller
    call: str
    resources: Resources
    models: Models
    jobs: Jobs
    datasets: Datasets
    training: Training
    policy: Policy
    audit: Audit
    trash: Trash
    kernel: KernelView

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """Tells the caller how far the call is."""
        ...

    async def text(self, delta: str, logprobs: Sequence[Logprob] = ()) -> None:
        """Streams a piece of a model's answer to the caller, and the tokens that end in it where they are wanted."""
        ...
