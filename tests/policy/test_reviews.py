"""Held replies: who may see and decide over them, what is kept of them and for how long."""

import json
from dataclasses import replace

import pytest

from agentos.errors import DeniedError, Failed, NotFound, TooMany, UserError
from agentos.policy.audit import Audit
from agentos.policy.monitor import Monitor
from agentos.policy.output import Rule, read
from agentos.policy.reviews import Reviews
from agentos.registry import installed
from agentos.store import Store
from agentos.types import Caller

OWNER, ADA, EVE = Caller("root", "admin"), Caller("ada", "admin"), Caller("eve", "admin")
OSCAR, VERA, BOB = Caller("oscar", "operator"), Caller("vera", "viewer"), Caller("bob", "viewer")
ROLES = {caller.user: caller.role for caller in (OWNER, ADA, EVE, OSCAR, VERA, BOB)}
TEXT = "the answer with \ud83d in it, and 答案"


@pytest.fixture
def rule() -> Rule:
    return read({"f": "rules: [{id: law, reason: read first, do: hold, when: {models: ['*']}}]"})[0]


@pytest.fixture
def audit(store, clock) -> Audit:
    return Audit(store, installed(), clock)


@pytest.fixture
def reviews(store, audit, clock) -> Reviews:
    return Reviews(store, audit, Monitor(installed(), ROLES.get).reviews, "root", clock)


def kept(store: Store) -> list[bytes | None]:
    return [row[0] for row in store.connection.execute("select sealed from reviews order by created, rowid")]


def test_a_released_reply_is_fetched_by_its_asker_and_gone_then(reviews, store, clock, rule) -> None:
    name = reviews.hold(VERA, "tiny", rule, TEXT)
    clock.now += 90
    (waiting,) = reviews.waiting(ADA)
    assert (waiting.id, waiting.user, waiting.model, waiting.rule, waiting.age, waiting.text) == (
        name, "vera", "tiny", "law", 90.0, None,
    )
    assert reviews.get(name, VERA).text is None and reviews.get(name, VERA).state == "waiting"
    assert reviews.get(name, ADA).text == TEXT
    released = reviews.release(name, ADA, "it is fine")
    assert (released.state, released.decided_by, released.reason) == ("released", "ada", "it is fine")
    assert reviews.waiting(ADA) == [] and reviews.get(name, VERA).text == TEXT
    reviews.fetched(name, ADA)
    assert kept(store) != [None]  # that a reviewer looked is no fetch
    reviews.fetched(name, VERA)
    assert kept(store) == [None]
    for caller in (VERA, ADA):
        gone = reviews.get(name, caller)
        assert (gone.text, gone.state, gone.fetched, gone.reason) == (None, "released", clock.now, "it is fine")


def test_a_refused_reply_is_gone_at_once_and_its_asker_is_told_why(reviews, store, rule) -> None:
    name = reviews.hold(VERA, "tiny", rule, TEXT)
    for empty in ("", "  \n"):
        with pytest.raises(UserError, match="takes a reason"):
            reviews.refuse(name, ADA, empty)
    assert reviews.get(name, ADA).text == TEXT
    reviews.refuse(name, ADA, "not for us to say")
    assert kept(store) == [None]
    told = reviews.get(name, VERA)
    assert (told.state, told.reason, told.text) == ("refused", "not for us to say", None)


def test_it_is_decided_once(reviews, rule) -> None:
    one, other = reviews.hold(VERA, "tiny", rule, TEXT), reviews.hold(VERA, "tiny", rule, TEXT)
    reviews.release(one, ADA)
    reviews.refuse(other, ADA, "no")
    for name in (one, other):
        for again in (lambda name=name: reviews.release(name, EVE), lambda name=name: reviews.refuse(name, EVE, "no")):
            with pytest.raises(UserError, match="already by ada"):
                again()


def test_nobody_but_the_asker_and_administrators_learns_of_it(reviews, rule) -> None:
    name = reviews.hold(VERA, "tiny", rule, TEXT)
    for caller in (BOB, OSCAR):
        assert reviews.waiting(caller) == []
        with pytest.raises(NotFound) as told:
            reviews.get(name, caller)
        for decide in (lambda by=caller: reviews.release(name, by), lambda by=caller: reviews.refuse(name, by, "no")):
            with pytest.raises(NotFound) as other:
                decide()
            assert str(other.value) == str(told.value) == str(_none(reviews, name, caller))
    assert [item.id for item in reviews.waiting(VERA)] == [name]
    assert reviews.get(name, ADA).state == "waiting"


def _none(reviews: Reviews, name: str, caller: Caller) -> NotFound:
    """What is said of an id that never was, under the same name."""
    with pytest.raises(NotFound) as told:
        reviews.get("v" * len(name), caller)
    return NotFound(str(told.value).replace("v" * len(name), name))


@pytest.mark.parametrize("caller", [VERA, OSCAR, replace(VERA, role="admin"), replace(EVE, role="viewer")])
def test_deciding_takes_an_administrator(reviews, rule, caller) -> None:
    name = reviews.hold(caller, "tiny", rule, TEXT)
    with pytest.raises(DeniedError, match="administrat"):
        reviews.release(name, caller)
    with pytest.raises(DeniedError, match="administrat"):
        reviews.refuse(name, caller, "no")
    assert reviews.get(name, ADA).state == "waiting" and reviews.get(name, caller).text is None


def test_an_administrator_neither_reads_nor_releases_their_own_and_the_machines_owner_does(reviews, rule) -> None:
    hers, owners = reviews.hold(ADA, "tiny", rule, TEXT), reviews.hold(OWNER, "tiny", rule, TEXT)
    assert reviews.get(hers, ADA).text is None
    with pytest.raises(DeniedError, match="another administrator"):
        reviews.release(hers, ADA)
    assert reviews.release(hers, EVE).state == "released"
    assert reviews.get(hers, ADA).text == TEXT
    assert reviews.get(owners, OWNER).text == TEXT
    assert reviews.release(owners, OWNER).state == "released"


def test_an_owners_rule_in_cedar_takes_the_right_away(store, audit, clock, rule, home) -> None:
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "reviewers.cedar").write_text(
        '@id("reviewers")\n@reason("eve alone reviews")\n'
        'forbid (principal, action == Action::"reviews.decide", resource) unless { principal.name == "eve" };\n'
    )
    monitor = Monitor(installed(), ROLES.get, extra=home / "policies")
    reviews = Reviews(store, audit, monitor.reviews, "root", clock)
    name = reviews.hold(VERA, "tiny", rule, TEXT)
    with pytest.raises(NotFound):
        reviews.get(name, ADA)
    assert reviews.release(name, EVE).decided_by == "eve"


def test_it_survives_a_restart_and_lies_sealed_in_between(store, audit, settings, clock, rule) -> None:
    judge = Monitor(installed(), ROLES.get).reviews
    name = Reviews(store, audit, judge, "root", clock).hold(VERA, "tiny", rule, TEXT)
    store.connection.execute("pragma wal_checkpoint(truncate)")
    on_disk = settings.database.read_bytes()
    assert b"answer with" not in on_disk and "答案".encode() not in on_disk
    store.close()
    again = Store(settings.database)
    later = Reviews(again, Audit(again, installed(), clock), judge, "root", clock)
    assert later.release(name, ADA).state == "released" and later.get(name, VERA).text == TEXT
    again.close()


def test_a_text_that_was_moved_to_another_record_or_lost_its_key_does_not_open(reviews, store, settings, rule) -> None:
    one, other = reviews.hold(VERA, "tiny", rule, TEXT), reviews.hold(BOB, "tiny", rule, "another")
    moved = "update reviews set sealed = (select sealed from reviews where id = ?) where id = ?"
    store.connection.execute(moved, (one, other))
    with pytest.raises(Failed):
        reviews.get(other, ADA)
    (settings.home / "secrets.key").unlink()
    with pytest.raises(Failed, match="is missing"):
        reviews.hold(VERA, "tiny", rule, TEXT)


def test_holds_and_decisions_are_on_the_trail_with_who_and_why(reviews, store, audit, rule) -> None:
    one, other = reviews.hold(VERA, "tiny", rule, TEXT), reviews.hold(BOB, "tiny", rule, TEXT)
    reviews.release(one, ADA, "harmless")
    reviews.refuse(other, EVE, "harmful")
    rows = store.connection.execute(
        "select d.user, d.syscall, d.decision, d.rule, d.approval, d.approved_by, coalesce(f.outcome, d.outcome)"
        " from audit d left join audit f on f.of = d.id and f.of != 0 where d.of = 0 order by d.id"
    )
    assert [tuple(row) for row in rows] == [
        ("vera", "output.hold", "confirm", "law", "", "", "confirmed"),
        ("bob", "output.hold", "confirm", "law", "", "", "refused"),
        ("ada", "output.release", "allow", "admin-everything", one, "ada", "done"),
        ("eve", "output.refuse", "allow", "admin-everything", other, "eve", "done"),
    ]
    for call, reason in ((one, "harmless"), (f"{other}.refused", "harmful")):
        found = audit.outcome_of(call)
        assert found is not None and found.outcome == "done" and reason in json.dumps(found.detail)
    assert audit.verify().ok


def test_what_cannot_be_put_on_the_trail_is_not_decided(reviews, store, rule) -> None:
    name = reviews.hold(VERA, "tiny", rule, TEXT)
    store.connection.execute("create temp trigger full before insert on audit begin select raise(abort, 'full'); end")
    with pytest.raises(Exception, match="full"):
        reviews.release(name, ADA)
    assert reviews.get(name, VERA).state == "waiting" and reviews.get(name, VERA).text is None


def test_so_many_replies_to_one_user_wait_and_no_more(store, audit, clock, rule) -> None:
    reviews = Reviews(store, audit, Monitor(installed(), ROLES.get).reviews, "root", clock, most=2)
    first, _ = reviews.hold(VERA, "tiny", rule, TEXT), reviews.hold(VERA, "tiny", rule, TEXT)
    with pytest.raises(TooMany, match="2 answers to vera wait already, and no more than 2 can") as said:
        reviews.hold(VERA, "tiny", rule, TEXT)
    assert said.value.http_status == 429 and "agentos review" in str(said.value)
    assert len(reviews.waiting(ADA)) == 2 and reviews.hold(BOB, "tiny", rule, TEXT)
    asked = {"user": "vera", "syscall": "output.hold", "decision": "deny", "since": None}
    (row,) = audit.search(**asked, caller=ADA).rows
    assert row.rule == "pending-limit" and audit.verify().ok
    reviews.refuse(first, ADA, "no")
    reviews.hold(VERA, "tiny", rule, TEXT)
