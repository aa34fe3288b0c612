"""What the doors need of the system behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from agentos.config import Settings
from agentos.dispatch.dispatcher import Dispatcher
from agentos.dispatch.mounting import Mounting
from agentos.interfaces.app_kernel import Schooling
from agentos.kernel.context import Before
from agentos.metrics import Metrics
from agentos.policy.audit import Audit
from agentos.policy.govern import Governance
from agentos.policy.monitor import Monitor
from agentos.policy.outgoing import Outgoing
from agentos.policy.reviews import Reviews
from agentos.registry import Registry
from agentos.resources.watch import Watch
from agentos.types import Caller, Event, Jobs, Json, Models, Plan, Role, Training

Events = AsyncIterator[Event]


class Approvals(Protocol):
    """Held calls that wait for a person, and the rules that earlier answers left."""

    def pending(self, user: str | None = None) -> Sequence[Any]:
        """Calls that wait, everybody's or one user's."""
        ...

    def expired(self, user: str | None = None) -> Sequence[Any]:
        """Calls that nobody answered in time, likewise."""
        ...

    def rules(self, user: str | None = None) -> Sequence[Any]:
        """Yeses that hold beforehand, everybody's or one user's."""
        ...

    def revoke(self, rule: str, by: Caller | None = None) -> Any:
        """Takes a rule back."""
        ...


class ModelsHere(Models, Protocol):
    """The models, and what has become of them."""

    @property
    def evictions(self) -> int:
        """How many have left memory to make room for others."""
        ...

    def names(self) -> list[str]:
        """What models are called here."""
        ...

    def canonical(self, model: str) -> str:
        """The name that rules know a model by; a name nothing bears is given back as it is."""
        ...


class RunsHere(Training, Protocol):
    """The runs, and what they have told."""

    def events(self, run: str) -> list[dict[str, Any]]:
        """All that a run has told so far."""
        ...


class People(Protocol):
    """Who there is, in which role, and the keys they hold."""

    def owner(self) -> Caller:
        """The owner of the machine's account."""
        ...

    def caller_as(self, owner: Caller, user: str) -> Caller:
        """Another user, spoken for by one who may."""
        ...

    def caller_for_key(self, key: str) -> Caller | None:
        """The holder of a key; None where nobody holds it."""
        ...

    def users(self) -> Sequence[Any]:
        """Everyone."""
        ...

    def ended(self, key: str) -> str:
        """Why a key no longer works; empty where it never was one."""
        ...

    def add(self, user: str, role: Role, *, service: bool = False, custom: str = "") -> None:
        """Makes a user."""
        ...

    def set_role(self, user: str, role: Role, custom: str = "") -> None:
        """Gives a user a role."""
        ...

    def create_key(
        self, user: str, role: Role | None = None, expires: float | None = None, scope: Sequence[str] | None = None,
        id: str = "",
    ) -> Any:
        """A new key, shown this once."""
        ...

    def keys(self) -> Sequence[Any]:
        """Keys without their secret."""
        ...

    def revoke_key(self, key: str) -> None:
        """Ends a key."""
        ...


class Secrets(Protocol):
    """Secrets by name, each its owner's."""

    def names(self, user: str) -> list[str]:
        """What a user's are called."""
        ...

    def put(self, name: str, value: str, user: str) -> None:
        """Keeps one."""
        ...

    def drop(self, name: str, user: str) -> None:
        """Forgets one."""
        ...


class JobsHere(Jobs, Protocol):
    """Jobs, and how the doors show them."""

    def counts(self) -> dict[str, int]:
        """How many there are in each state that has any."""
        ...

    def pids(self) -> list[int]:
        """The processes that those of this machine run in."""
        ...


class Resident(Protocol):
    """The kernel's model and its adapters."""

    def shown(self) -> dict[str, Any]:
        """Which adapter is in force, what was before it, and its manifest."""
        ...

    async def promote(self, name: str, figures: Mapping[str, Any]) -> None:
        """Puts an adapter in force."""
        ...

    async def rollback(self) -> None:
        """Puts the one in force that was so before."""
        ...


class System(Protocol):
    """The running system as the doors see it."""

    settings: Settings
    registry: Registry
    version: str
    ready: bool
    boot: str
    boot_done: float | None
    boot_total: float | None
    boot_unit: str
    boot_error: str
    metrics: Metrics
    watch: Watch

    @property
    def resident(self) -> Resident:
        """The kernel's model."""
        ...

    @property
    def schooling(self) -> Schooling:
        """What trains it."""
        ...

    @property
    def people(self) -> People:
        """Users and keys."""
        ...

    @property
    def governance(self) -> Governance:
        """Groups, roles and quotas."""
        ...

    @property
    def monitor(self) -> Monitor:
        """The rules in force."""
        ...

    @property
    def dispatcher(self) -> Dispatcher:
        """The path of every call."""
        ...

    @property
    def audit(self) -> Audit:
        """The record of every decision and call."""
        ...

    @property
    def approvals(self) -> Approvals:
        """Held calls and rules."""
        ...

    @property
    def reviews(self) -> Reviews:
        """Replies that wait for review."""
        ...

    @property
    def mounting(self) -> Mounting:
        """Other servers whose tools are syscalls here."""
        ...

    @property
    def outgoing(self) -> Outgoing:
        """The rules over replies."""
        ...

    @property
    def secrets(self) -> Secrets:
        """What jobs are given by name."""
        ...

    @property
    def jobs(self) -> JobsHere:
        """The jobs, for completion and views."""
        ...

    @property
    def training(self) -> RunsHere:
        """The runs, for views."""
        ...

    @property
    def models(self) -> ModelsHere:
        """The models, for completion and views."""
        ...

    async def start(self) -> None:
        """Boots; may take minutes the first time."""
        ...

    async def stop(self) -> None:
        """Ends engines and closes what is open."""
        ...

    def status(self) -> Mapping[str, Json]:
        """How it does."""
        ...

    def run_sentence(self, text: str, caller: Caller, plan: str = "", before: Before | None = None) -> Events:
        """Plans a sentence and runs the plan; or the one that the person made of it, in the plan language."""
        ...

    def run_call(self, syscall: str, args: Mapping[str, Json], caller: Caller, yes: bool = False) -> Events:
        """Runs one call."""
        ...

    async def look(
        self, syscall: str, args: Mapping[str, Json], caller: Caller, read: Callable[[], Awaitable[Any]] | None = None
    ) -> Json:
        """What a read gives, for a view that asks again each second."""
        ...

    def answer(self, approval: str, answer: str, caller: Caller, reason: str = "") -> Events:
        """Takes a person's answer and goes on with the held run."""
        ...

    async def plan(self, text: str, caller: Caller, id: str = "") -> Plan:
        """Plans without running."""
        ...

    async def cancel(self, run: str, caller: Caller) -> bool:
        """Ends a run; False where it is not running."""
        ...


def plain(value: Any) -> Json:
    """A dataclass, mapping or sequence as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({item.name: getattr(value, item.name) for item in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
