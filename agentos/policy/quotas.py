"""How much somebody may use in a minute, a day or a month: what was used is counted, and what may be used is reserved.

A reservation is taken before a call or a job begins, for the most that it may take, and is settled by what it took:
two at once cannot go over a limit together. Counting starts when a limit is set. All of it is in memory, where it is
decided on, and written through to the database: an open reservation of a call whose system died counts as used, one of
a job stays until the job has ended.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentos.errors import Failed, UserError, unknown
from agentos.policy.limits import RESOURCES, Counter, Limit, Over, OverQuota, Standing, refusal
from agentos.policy.periods import PERIODS, Period, window
from agentos.policy.spent import Spent
from agentos.store import Store
from agentos.types import Timestamp

log = logging.getLogger(__name__)

_TABLES = """
create table if not exists quotas (
    subject text not null, resource text not null, period text not null, amount real not null, by text not null,
    since real not null, primary key (subject, resource, period)
);
create table if not exists quota_use (
    counter text not null, resource text not null, period text not null, start real not null, used real not null,
    primary key (counter, resource, period)
);
create table if not exists quota_held (
    key text primary key, user text not null, amounts text not null, counters text not null, since real not null
);
"""
_Written = tuple[str, Sequence[object]]
"""A statement and its values."""


@dataclass(frozen=True)
class _Held:
    amounts: Mapping[str, float]
    counters: tuple[Counter, ...]
    since: Timestamp


class Quotas:
    """What is set, used and reserved."""

    def __init__(
        self, store: Store, subjects: Callable[[str], tuple[str, ...]], clock: Callable[[], float] = time.time
    ) -> None:
        """Makes the tables, and counts what a system that died had under way.

        Args:
            store: The system's database.
            subjects: Of a user: `role:NAME` of each role, the owner's own first, then `group:NAME` of each group.
            clock: Seconds since the epoch.
        """
        self._store, self._subjects, self._clock = store, subjects, clock
        db = store.connection
        db.executescript(_TABLES)
        self._limits: dict[str, dict[tuple[str, Period], Limit]] = {}
        for row in db.execute("select subject, resource, period, amount, by, since from quotas"):
            self._limits.setdefault(row[0], {})[row[1], row[2]] = Limit(*row)
        self._spent = Spent(
            {Counter(*row[:3]): (row[3], row[4]) for row in db.execute("select * from quota_use")}
        )
        self._held: dict[str, _Held] = {}
        kept = db.execute("select key, amounts, counters, since from quota_held").fetchall()
        for key, amounts, counters, since in kept:
            named = tuple(Counter(*one) for one in json.loads(counters))
            self._hold(key, _Held(json.loads(amounts), named, since))
        for key in [key for key in self._held if not key.startswith("job")]:
            self.settle(key, self._held[key].amounts)

    def set(self, subject: str, resource: str, period: Period, amount: float, by: str) -> Limit:
        """Sets a limit, or another amount for one; it holds at once.

        Raises:
            UserError: that cannot be limited, or not so.
        """
        kind, _, name = subject.partition(":")
        if kind not in ("user", "group", "role") or not name:
            raise UserError(f"a quota is for user:NAME, group:NAME or role:NAME, and not for {subject!r}. Nothing was"
                            " changed.")
        if resource not in RESOURCES or period not in PERIODS:
            raise UserError(f"a quota is an amount of {', '.join(RESOURCES)} in a {', '.join(PERIODS)}, and not of"
                            f" {resource!r} in a {period!r}. Nothing was changed.")
        if not math.isfinite(amount) or not 0 <= amount <= 1e15:
            raise UserError("a quota's amount is a number from 0 on. Nothing was changed.")
        limit = Limit(subject, resource, period, amount, by, self._clock())
        self._write([("insert or replace into quotas values (?, ?, ?, ?, ?, ?)", list(vars(limit).values()))])
        self._limits.setdefault(subject, {})[resource, period] = limit
        return limit

    def remove(self, subject: str, resource: str, period: str = "") -> int:
        """Lifts a limit, or those of all periods; how many they were.

        Raises:
            NotFound: there is none.
        """
        known = self._limits.get(subject, {})
        gone = [one for one in known if one[0] == resource and period in ("", one[1])]
        if not gone:
            every = [f"{name} {what}/{per}" for name, some in self._limits.items() for what, per in some]
            raise unknown("quota", f"{subject} {resource}{period and '/' + period}", every)
        end = "delete from quotas where subject = ? and resource = ? and period = ?"
        self._write([(end, [subject, what, per]) for what, per in gone])
        for one in gone:
            del known[one]
        if not known:
            del self._limits[subject]
        return len(gone)

    def standings(self, user: str | None = None) -> list[Standing]:
        """How far limits are used up: all that are set, or those that hold for one user."""
        now = self._clock()
        if user is not None:
            return [self._standing(limit, name, now) for limit, name in self._applying(user)]
        found = []
        for subject, some in sorted(self._limits.items()):
            for limit in some.values():
                counters = self._spent.names(f"{subject}/", limit.resource, limit.period)
                names = sorted(counters) if subject.startswith("role:") and counters else [subject]
                found += [self._standing(limit, name, now) for name in names]
        return found

    def left(self, user: str, resource: str) -> float | None:
        """How much of something a user may still take now; None where nothing limits it."""
        now, rest = self._clock(), None
        for limit, name in self._applying(user):
            if limit.resource == resource:
                here = limit.amount - self._spent.taken(Counter(name, resource, limit.period), now)
                rest = here if rest is None else min(rest, here)
        return None if rest is None else max(0.0, rest)

    def reserve(self, key: str, user: str, amounts: Mapping[str, float], *, dry: bool = False) -> None:
        """Takes from a user's limits the most that something may need, all of it or nothing.

        Args:
            key: What `settle` is told; a key that is held already is left as it is.
            user: Whose.
            amounts: Of each resource; `requests` count as used at once.
            dry: Only see whether there is room.

        Raises:
            OverQuota: a limit would be gone over; nothing was taken.
            Failed: the database cannot be written; nothing was taken.
        """
        if not self._limits or key in self._held:
            return
        now = self._clock()
        counters: list[Counter] = []
        requests: list[Counter] = []
        for limit, name in self._applying(user):
            need = amounts.get(limit.resource)
            if need is None:
                continue
            counter = Counter(name, limit.resource, limit.period)
            taken = self._spent.taken(counter, now)
            if taken + need > limit.amount * (1 + 1e-12) or taken >= limit.amount > 0 or not limit.amount:
                reserved = self._spent.reserved(counter)
                over = Over(limit.subject, limit.resource, limit.period, limit.amount, taken - reserved, reserved, need)
                raise OverQuota(refusal(over, now))
            (requests if limit.resource == "requests" else counters).append(counter)
        if dry:
            return
        named = {counter.resource: amounts[counter.resource] for counter in counters}
        held = _Held(named, tuple(counters), now)
        used = [(counter, *self._spent.after(counter, amounts["requests"], now)) for counter in requests]
        self._write([*map(_used, used), *([_kept(key, user, held)] if counters else ())])
        for counter in requests:
            self._spent.use(counter, amounts["requests"], now)
        if counters:
            self._hold(key, held)

    def settle(self, key: str, took: Mapping[str, float], user: str = "") -> None:
        """Puts what was taken in a reservation's place; what had none is counted, too, where a user is named."""
        held, now = self._held.pop(key, None), self._clock()
        if held is None:
            counters = tuple(self._counters(user, took)) if user and self._limits else ()
        else:
            counters = held.counters
            self._spent.release(held.counters, held.amounts)
        used = [
            (counter, *self._spent.use(counter, max(0.0, took.get(counter.resource, 0.0)), now)) for counter in counters
        ]
        try:
            gone: list[_Written] = [] if held is None else [("delete from quota_held where key = ?", [key])]
            self._write([*gone, *map(_used, used)])
        except Failed:  # what ran has run, and is counted in memory
            log.exception("what was used could not be written down")

    def rename(self, key: str, name: str) -> None:
        """Gives a reservation another key, by which it is settled."""
        if key in self._held:
            self._write([("update or replace quota_held set key = ? where key = ?", [name, key])])
            self._held[name] = self._held.pop(key)

    def since(self, key: str) -> Timestamp | None:
        """When a reservation was taken; None where there is none."""
        return self._held[key].since if key in self._held else None

    def keys(self, prefix: str) -> list[str]:
        """The keys of open reservations that begin so."""
        return [key for key in self._held if key.startswith(prefix)]

    def _applying(self, user: str) -> Iterator[tuple[Limit, str]]:
        """Each limit that holds for a user, and what counts for it. One's own takes the place of a role's."""
        own = f"user:{user}"
        seen: set[tuple[str, Period]] = set()
        for limit in self._limits.get(own, {}).values():
            seen.add((limit.resource, limit.period))
            yield limit, own
        for subject in self._subjects(user):
            role = subject.startswith("role:")
            for what, limit in self._limits.get(subject, {}).items():
                if not role:
                    yield limit, subject
                elif what not in seen:
                    seen.add(what)
                    yield limit, f"{subject}/{user}"

    def _counters(self, user: str, amounts: Mapping[str, float]) -> Iterator[Counter]:
        for limit, name in self._applying(user):
            if limit.resource in amounts:
                yield Counter(name, limit.resource, limit.period)

    def _standing(self, limit: Limit, name: str, now: float) -> Standing:
        counter = Counter(name, limit.resource, limit.period)
        reserved = self._spent.reserved(counter)
        user = name.partition("/")[2] if limit.subject.startswith("role:") else ""
        used = self._spent.taken(counter, now) - reserved
        return Standing(
            limit.subject, limit.resource, limit.period, limit.amount, user, used, reserved,
            window(limit.period, now).end,
        )

    def _hold(self, key: str, held: _Held) -> None:
        self._held[key] = held
        self._spent.hold(held.counters, held.amounts)

    def _write(self, rows: Sequence[_Written]) -> None:
        """All of them or none. Counts must outlive the process, and not the machine's power: they wait for no disk."""
        if rows:
            with self._store.transaction(lasting=False) as db:
                for sql, values in rows:
                    db.execute(sql, values)


def _kept(key: str, user: str, held: _Held) -> _Written:
    counters = json.dumps([list(counter) for counter in held.counters])
    row = [key, user, json.dumps(dict(held.amounts)), counters, held.since]
    return "insert or replace into quota_held values (?, ?, ?, ?, ?)", row


def _used(count: tuple[Counter, Timestamp, float]) -> _Written:
    counter, start, used = count
    return "insert or replace into quota_use values (?, ?, ?, ?, ?)", [*counter, start, used]
