"""Who may do what, put together: people, groups, roles, quotas, rules, held calls, and the record of all of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from agentos.config import Settings
from agentos.engines.prices import price
from agentos.errors import Failed
from agentos.policy.acts import Changes
from agentos.policy.allowances import Allowances
from agentos.policy.approvals import Approvals
from agentos.policy.audit import Audit
from agentos.policy.entities import Member
from agentos.policy.groups import KINDS, Groups
from agentos.policy.held import Refused
from agentos.policy.monitor import Monitor
from agentos.policy.owners import Owners
from agentos.policy.people import People
from agentos.policy.quotas import Quotas
from agentos.policy.reviews import Reviews
from agentos.policy.roles import Roles
from agentos.registry import Registry
from agentos.store import Store
from agentos.types import Event

log = logging.getLogger(__name__)

HOUR = 3600.0
_LOOK = 30.0
"""Seconds between two looks at whose time is over; one of those is answered by nobody meanwhile."""


@dataclass(frozen=True)
class Governance:
    """The parts, which know each other."""

    people: People
    owners: Owners
    groups: Groups
    roles: Roles
    quotas: Quotas
    allowances: Allowances
    monitor: Monitor
    approvals: Approvals
    reviews: Reviews
    audit: Audit

    def forget(self, kind: str, name: str) -> None:
        """A `model` or `dataset` is gone for good: whoever makes the next of that name owns it alone."""
        self.owners.forget(KINDS[kind], name)
        self.groups.forget(KINDS[kind], name)

    async def expiring(self, go_on: Callable[[str, str, str, str, str], AsyncIterator[Event]]) -> None:
        """Ends the runs of held calls that nobody answers in time, as long as it is not cancelled.

        Args:
            go_on: Continues a run: its id, the held call, the answer, by whom, and why.
        """
        while True:
            try:
                for held in self.approvals.expire():
                    self.audit.refused(held.call, "policy")
                    said = self.approvals.answered(held.id)
                    why = said.reason if isinstance(said, Refused) else ""
                    async for _ in go_on(held.run, held.id, "no", "policy", why):
                        pass
            except Failed as error:  # the disk, say; they cannot be answered in any case
                log.warning("held calls whose time is over wait to be closed: %s", error)
            await asyncio.sleep(_LOOK)


def govern(
    settings: Settings, store: Store, registry: Registry, owner_of: Callable[[str, str], str | None],
    clock: Callable[[], float] = time.time,
) -> Governance:
    """Makes them.

    Args:
        settings: Where the owner's rules are, how long a held call can be answered, and how many may wait.
        store: The system's database.
        registry: The syscalls.
        owner_of: Whose a thing is, by entity type and name.
        clock: Seconds since the epoch.

    Raises:
        UserError: the owner's rules are broken; file and line are named.
        Failed: the trail or the database cannot be read.
    """
    folder = settings.home / "policies"
    people, audit = People(store, clock), Audit(store, registry, clock)
    audit.recover()
    groups, roles = Groups(store, owner_of, clock), Roles(store, registry, folder, clock)

    def member_of(user: str) -> Member:
        kind = people.kind_of(user)
        if not kind.custom:
            return Member(groups.of(user), service=kind.service)
        role = roles.get(kind.custom)
        needs = role.rules if role else (f"role-{kind.custom}",)  # of a role that is gone: nothing is allowed
        return Member(groups.of(user), kind.custom, needs, kind.service)

    def subjects(user: str) -> tuple[str, ...]:
        named = (people.kind_of(user).custom, people.role_of(user) or "")
        return (*(f"role:{role}" for role in named if role), *(f"group:{team}" for team in groups.of(user)))

    quotas = Quotas(store, subjects, clock)
    owner, most = people.owner(door="files"), settings.pending_limit
    monitor = Monitor(
        registry, people.role_of, owner_of=owner_of, group_of=groups.owning, member_of=member_of, extra=folder,
        clock=clock, told=Changes(audit, store, owner, "policies.reload"),
    )
    approvals = Approvals(
        store, registry, monitor.approves, clock, lasts=settings.approval_hours * HOUR, most=most, trail=audit
    )
    reviews = Reviews(
        store, audit, monitor.reviews, owner.user, clock, most=most, told=Changes(audit, store, owner, "output.reload")
    )
    allowances = Allowances(quotas, partial(price, fallbacks=settings.fallbacks))
    return Governance(
        people, Owners(store, clock), groups, roles, quotas, allowances, monitor, approvals, reviews, audit
    )
