"""Jobs as syscalls reach them: requests are read, the queue is kept, results are shown."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agentos.errors import UserError
from agentos.jobs import logs, showing
from agentos.jobs.executor import Executor
from agentos.jobs.keeper import Keeper
from agentos.jobs.limits import Hours, Quotas
from agentos.jobs.queue import Queue
from agentos.jobs.records import ENDED, Job, Spec, name_for
from agentos.jobs.scheduling import Policy
from agentos.jobs.times import when
from agentos.store import Store
from agentos.types import (
    Caller,
    JobCancelled,
    JobCard,
    JobList,
    JobLog,
    JobRequest,
    JobSubmitted,
    Percent,
    Progress,
)
from agentos.types.units import seconds, size

SHOWN = 50
"""Jobs in a listing."""
_LOOK = 0.25
"""Seconds between two looks at a log that is followed, and at a job that is waited for."""
_CHUNK = 1 << 16
Say = Callable[[str], object]


class Vault(Protocol):
    """Secrets by name."""

    def environment(self, names: Sequence[str], user: str) -> Mapping[str, str]:
        """The variables that a user's secrets come to; NotFound: there is no such secret."""
        ...


class Masking(Protocol):
    """Hides secrets in output that comes in pieces."""

    def feed(self, data: bytes) -> bytes:
        """As much of it as is certain."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


class JobService:
    """The durable queue and what runs from it; implements `Jobs`."""

    def __init__(
        self, store: Store, executor: Executor, policy: Policy, folder: Path, *, vault: Vault,
        masker: Callable[[Mapping[str, str]], Masking], clock: Callable[[], float] = time.time,
        quotas: Quotas | None = None,
    ) -> None:
        """Makes the tables; nothing runs until `open`.

        Args:
            store: The system's database.
            executor: What runs attempts.
            policy: Who goes first.
            folder: Holds logs and results of attempts.
            vault: Where secrets come from.
            masker: Makes what hides their values in logs.
            clock: Seconds since the epoch.
            quotas: The hours that users may take.
        """
        self.queue = Queue(store)
        self._hours = Hours(quotas, self.queue)
        self.executor = executor
        self._vault, self._masker, self._clock = vault, masker, clock
        given = (self.queue, executor, policy, folder, vault.environment)
        self.keeper = Keeper(*given, clock=clock, ended=self._hours.ended)

    async def open(self) -> None:
        """Takes up what an earlier system left, and goes on."""
        self._hours.open()
        await self.keeper.open()

    async def close(self) -> None:
        """Lets go; what runs goes on, and the next system takes it up."""
        await self.keeper.close()

    def canonical(self, job: str) -> str:
        """The id that rules know a job by; a name that nothing bears is given back as it is."""
        try:
            return self.queue.find.get(job).id
        except UserError:
            return job

    def owner(self, job: str) -> str | None:
        """Who submitted a job; None where there is no such job."""
        try:
            return self.queue.find.get(job).spec.user
        except UserError:
            return None

    async def submit(self, request: JobRequest, caller: Caller, call: str) -> JobSubmitted:
        """Puts a job on disk; the same call never makes two.

        Raises:
            UserError: something of it cannot be read, or it could never run here.
            NotFound: it names a job or a secret that does not exist.
            Failed: the disk refuses; nothing was submitted.
            DeniedError: it may take more hours than the caller has left.
        """
        spec = self.read(request, caller, call)
        self._vault.environment(spec.secrets, spec.user)
        key = f"job-call:{spec.user}:{spec.call or secrets.token_hex(8)}"
        spec = self._hours.reserve(spec, key)
        try:
            job = await self.keeper.submit(spec)
        except BaseException:
            self._hours.dropped(key)
            raise
        self._hours.submitted(key, job)
        return self._submitted(job)

    def read(self, request: JobRequest, caller: Caller, call: str) -> Spec:
        """The job that a person asks for, its texts read.

        Raises:
            UserError: one cannot be.
        """
        folder = caller.folder or str(Path.home())
        if request.folder:
            folder = str(Path(folder) / Path(request.folder).expanduser())
        try:
            limit = None if request.time_limit is None else seconds(request.time_limit)
            memory = None if request.memory is None else size(request.memory)
        except ValueError as error:
            raise UserError(f"{error}. Nothing was submitted.") from None
        return Spec(
            request.command, caller.user, folder, request.name or name_for(request.command), _variables(request.env),
            request.secrets, request.cpus, request.gpus, memory, request.priority, limit, request.retries,
            session=caller.session, call=call or None, after=request.after,
            not_before=None if request.at is None else when(request.at, self._clock()),
            preemptible=request.preemptible,
        )

    async def listing(self, state: str) -> JobList:
        """Jobs in a state, or all, newest first."""
        now = self._clock()
        found = self.queue.find.listing(state, limit=SHOWN)
        counts = self.queue.find.counts()
        wanted = {"all": tuple(counts), "queued": ("queued", "waiting")}.get(state, (state,))
        rows = [showing.row(job, now, await self._progress(job)) for job in found]
        return JobList(rows, sum(count for name, count in counts.items() if name in wanted))

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state that has any."""
        return {str(state): count for state, count in self.queue.find.counts().items()}

    def pids(self) -> list[int]:
        """The processes that jobs of this machine run in; another machine's numbers mean nothing here."""
        ledger = self.keeper.ledger
        here = [job for job in ledger.started if job in ledger.running and ledger.running[job].node == "local"]
        return [ledger.started[job].pid for job in here if ledger.started[job].pid]

    async def card(self, job: str) -> JobCard:
        """All that is known of one job, by its id or its name.

        Raises:
            NotFound: there is none.
        """
        return await self._card(self.queue.find.get(job))

    async def logs(self, job: str, tail: int, follow: bool = False, say: Say | None = None) -> JobLog:
        """The last lines of a job's output.

        Args:
            job: Its id or its name.
            tail: How many lines.
            follow: Whether to wait for more until the job ends.
            say: Told of the output as it comes, where it is followed.

        Raises:
            NotFound: there is no such job.
            UserError: less than no lines are asked for.
        """
        if tail < 0:
            raise UserError(f"{tail} lines cannot be shown")
        found = self.queue.find.get(job)
        attempts = self.queue.find.attempts(found.id)
        last = attempts[-1] if attempts else None
        if last is None and not follow:
            return JobLog(found.id, found.state, "")
        text, end, kept = "", 0, 0
        if last is not None:
            ended = await self.executor.tail(last.id, tail)
            hidden = self._hider(found)
            text = logs.printable(hidden.feed(ended.data) + hidden.flush())
            end, kept = ended.start + len(ended.data), ended.kept
        if follow and say is not None:
            await _told(say, text)
            end = await self._follow(found.id, last.number if last else 0, end, say)
            found = self.queue.find.by_id(int(found.id))
        dropped = sum(attempt.dropped for attempt in attempts)
        return JobLog(found.id, found.state, text, max(0, end - kept), kept + dropped)

    async def cancel(self, job: str, user: str) -> JobCancelled:
        """Ends a job, its whole tree of processes; one that runs is `running` until they are gone.

        Raises:
            NotFound: there is no such job.
            UserError: it has ended by itself.
        """
        now = await self.keeper.cancel(job, user)
        return JobCancelled(now.id, now.spec.name, now.state)

    async def retry(self, job: str, user: str) -> JobSubmitted:
        """Runs an ended job again.

        Raises:
            NotFound: there is no such job.
            UserError: it has not ended, or what it waits for has failed.
            DeniedError: it may take more hours than its owner has left.
        """
        found = self.queue.find.get(job)
        if found.state not in ENDED:  # which the queue says; what is reserved for its run stays
            return self._submitted(self.keeper.retry(job))
        key = f"job:{found.id}"
        self._hours.reserve(found.spec, key)
        try:
            return self._submitted(self.keeper.retry(job))
        except BaseException:
            self._hours.dropped(key)
            raise

    async def wait(self, job: str, progress: Progress) -> JobCard:
        """A job's card once it has ended; how far it is, is told while it works.

        Raises:
            NotFound: there is no such job.
        """
        found = self.queue.find.get(job)
        ended = asyncio.ensure_future(self.keeper.wait(found.id))
        told = ""
        try:
            while not ended.done():
                now = self.queue.find.by_id(int(found.id))
                share = await self._progress(now)
                line = f"job {now.id} ({now.spec.name}) {now.state}: {showing.why(now, self._clock())}".rstrip(": ")
                if f"{line} {share}" != told:
                    told = f"{line} {share}"
                    await progress(line, share, None if share is None else 100.0, "" if share is None else "%")
                await asyncio.wait([ended], timeout=1.0)
            return await self._card(ended.result())
        finally:
            ended.cancel()

    async def _follow(self, job: str, attempt: int, offset: int, say: Say) -> int:
        """Tells output from there on until the job has ended; gives where the last attempt's output ends."""
        hidden, rest = self._hider(self.queue.find.by_id(int(job))), b""
        while True:
            now = self.queue.find.by_id(int(job))
            data = await self.executor.read(f"{job}.{attempt}", offset, _CHUNK) if attempt else b""
            offset += len(data)
            rest += hidden.feed(data)
            if not data and (now.state in ENDED or now.attempts > attempt):
                await _told(say, logs.printable(rest + hidden.flush()))
                if now.attempts <= attempt:
                    return offset
                attempt, offset, rest = attempt + 1, 0, b""
                continue
            ready = logs.complete(rest)
            await _told(say, logs.printable(rest[:ready]))
            rest = rest[ready:]
            if not data:
                await asyncio.sleep(_LOOK)

    def _hider(self, job: Job) -> Masking:
        try:
            return self._masker(self._vault.environment(job.spec.secrets, job.spec.user))
        except UserError:  # a secret that was dropped since
            return self._masker({})

    async def _card(self, job: Job) -> JobCard:
        return showing.card(
            job, self.queue.find.attempts(job.id), self._clock(), running=self.keeper.ledger.started.get(job.id),
            progress=await self._progress(job), expected=self.keeper.expected(job),
        )

    async def _progress(self, job: Job) -> Percent | None:
        if job.state != "running" or job.id not in self.keeper.ledger.attempts:
            return None
        if job.done is not None and job.total:
            return 100 * job.done / job.total
        tail = await self.executor.tail(self.keeper.ledger.attempts[job.id], 3)
        return showing.said(logs.printable(tail.data))

    def _submitted(self, job: Job) -> JobSubmitted:
        return JobSubmitted(job.id, job.spec.name, job.state, showing.why(job, self._clock()))


async def _told(say: Say, text: str) -> None:
    if text:
        told = say(text)
        if asyncio.iscoroutine(told):
            await told


def _variables(said: Sequence[str]) -> dict[str, str]:
    found = {}
    for item in said:
        name, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"{item!r} is no variable; write it as NAME=value. Nothing was submitted.")
        found[name] = value
    return found
