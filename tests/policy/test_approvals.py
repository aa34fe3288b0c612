"""A person says yes: once, for a session, always; and can take it back."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentos.errors import DeniedError, NotFound, UserError
from agentos.policy.approvals import DAY, Approvals
from agentos.policy.entities import Member
from agentos.policy.held import Refused
from agentos.policy.monitor import Monitor
from agentos.store import Store
from agentos.types import Allowed, Approval, Caller

OSCAR, OTTO = Caller("oscar", "operator", "s1"), Caller("otto", "operator", "s1")
ADA, VERA = Caller("ada", "admin"), Caller("vera", "viewer", "s1")
WORDS = {"model": "m", "prompt": "the secret word", "max_tokens": 256}


ROLES = {"oscar": "operator", "otto": "operator", "ada": "admin", "vera": "viewer", "robo": "admin"}


def judge(table, extra=None) -> Monitor:
    def owner_of(kind: str, name: str) -> str:
        return "oscar"

    def member_of(user: str) -> Member:
        return Member(service=user == "robo")

    return Monitor(table, ROLES.get, owner_of=owner_of, member_of=member_of, extra=extra)


@pytest.fixture
def approvals(store, table, clock) -> Approvals:
    return Approvals(store, table, judge(table).approves, clock)


def test_a_held_call_shows_what_will_run_and_survives_a_restart(approvals, calls, settings, table, clock) -> None:
    call = calls("models.generate", WORDS)
    name = approvals.hold(call, "execute", "a person first", "run-7")
    assert approvals.hold(call, "execute", "a person first", "run-7") == name
    again = Store(settings.database)
    (held,) = Approvals(again, table, judge(table).approves, clock).pending()
    assert (held.id, held.user, held.syscall) == (name, "oscar", "models.generate")
    assert (held.run, held.effect) == ("run-7", "execute")
    assert held.arguments == WORDS and held.answer == ""
    again.close()


def test_each_is_answered_once(approvals, calls) -> None:
    name = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    assert approvals.answered(name) is None
    assert approvals.answer(name, OSCAR, "once") == Approval("oscar", "once", name)
    assert approvals.answered(name) == Approval("oscar", "once", name)
    for answer in ("once", "always", "no"):
        with pytest.raises(UserError, match="answered already"):
            approvals.answer(name, OSCAR, answer)
    assert approvals.pending() == [] and approvals.rules() == []


def test_a_no_is_kept_with_its_reason(approvals, calls) -> None:
    name = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    assert approvals.answer(name, ADA, "no", "not today") == Refused("ada", "not today", name)
    assert approvals.answered(name) == Refused("ada", "not today", name)
    assert approvals.covers(calls("models.generate", WORDS)) is None


def test_only_the_caller_in_a_role_that_may_or_an_administrator_answers(approvals, calls) -> None:
    name = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    theirs = approvals.hold(calls("models.generate", WORDS, user="vera", role="viewer"), "execute", "r", "run")
    for held, by in ((name, OTTO), (name, VERA), (theirs, VERA), (theirs, OSCAR)):
        with pytest.raises(DeniedError):
            approvals.answer(held, by, "once")
    assert len(approvals.pending()) == 2 and len(approvals.pending("vera")) == 1
    assert isinstance(approvals.answer(theirs, VERA, "no"), Refused)
    assert approvals.answer(name, ADA, "once") == Approval("ada", "once", name)
    with pytest.raises(NotFound):
        approvals.answer("a0", ADA, "once")
    with pytest.raises(UserError, match="no answer"):
        approvals.answer(name, ADA, "perhaps")


def test_once_is_answered_private_words_are_forgotten(approvals, calls, store, settings) -> None:
    name = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    approvals.answer(name, OSCAR, "always")
    assert "secret" not in str(approvals.held(name)) + str(approvals.rules())
    assert approvals.held(name).arguments["model"] == "m"


def test_a_session_rule_holds_for_its_session_user_and_syscall(approvals, calls) -> None:
    approvals.answer(approvals.hold(calls("models.generate", WORDS), "execute", "r", "run"), OSCAR, "session")
    covered = approvals.covers(calls("models.generate", {**WORDS, "prompt": "another"}))
    assert covered is not None and (covered.by, covered.scope) == ("oscar", "session")
    assert approvals.covers(calls("models.generate", WORDS, session="s2")) is None
    assert approvals.covers(calls("models.generate", WORDS, session="")) is None
    assert approvals.covers(calls("models.generate", WORDS, user="otto")) is None
    assert approvals.covers(calls("jobs.submit", {"command": "ls"})) is None


def test_a_call_without_a_session_cannot_be_answered_for_one(approvals, calls) -> None:
    name = approvals.hold(calls("models.generate", WORDS, session=""), "execute", "r", "run")
    with pytest.raises(UserError, match="no session"):
        approvals.answer(name, OSCAR, "session")
    assert len(approvals.pending()) == 1


def test_an_always_rule_can_be_seen_and_taken_back(approvals, calls) -> None:
    approvals.answer(approvals.hold(calls("models.generate", WORDS), "execute", "r", "run"), OSCAR, "always")
    (rule,) = approvals.rules("oscar")
    assert (rule.user, rule.syscall, rule.scope, rule.granted_by) == ("oscar", "models.generate", "always", "oscar")
    assert approvals.rules("otto") == []
    assert approvals.covers(calls("models.generate", WORDS, session="")).id == rule.id
    with pytest.raises(DeniedError):
        approvals.revoke(rule.id, OTTO)
    assert approvals.revoke(rule.id, OSCAR) == rule
    assert approvals.rules() == [] and approvals.covers(calls("models.generate", WORDS)) is None
    with pytest.raises(NotFound):
        approvals.revoke(rule.id, ADA)


def test_a_standing_yes_to_destroy_holds_for_the_same_arguments_only(approvals, calls) -> None:
    approvals.answer(approvals.hold(calls("models.delete", {"model": "a"}), "destroy", "r", "run"), OSCAR, "always")
    assert approvals.covers(calls("models.delete", {"model": "a"})) is not None
    assert approvals.covers(calls("models.delete", {"model": "b"})) is None
    assert approvals.rules()[0].arguments == {"model": "a"}


def test_a_yes_to_what_executed_does_not_hold_once_it_destroys(approvals, calls, table, store) -> None:
    approvals.answer(approvals.hold(calls("jobs.submit", {"command": "ls"}), "execute", "r", "run"), OSCAR, "always")
    assert approvals.covers(calls("jobs.submit", {"command": "ls"})) is not None
    later = type(table)()
    later.add(replace(table["jobs.submit"], effect="destroy"))
    assert Approvals(store, later, judge(later).approves).covers(calls("jobs.submit", {"command": "ls"})) is None


def test_what_nobody_answers_in_time_expires_and_can_no_longer_be_approved(approvals, calls, clock) -> None:
    early = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run-1")
    clock.now += 3600
    late = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run-2")
    clock.now += 23 * 3600
    assert [held.id for held in approvals.pending()] == [late]
    (expired,) = approvals.expired()
    assert (expired.id, expired.state, expired.expires) == (early, "expired", clock.now)
    assert approvals.answered(early) == Refused("policy", "nobody answered within 1d", early)
    for by in (OSCAR, ADA):
        with pytest.raises(UserError, match=r"expired on .*It was not run and will not be; ask for it again"):
            approvals.answer(early, by, "once")
    assert [held.id for held in approvals.expire()] == [early] and approvals.expire() == []
    assert "secret" not in str(approvals.held(early)) and approvals.held(early).state == "expired"
    assert [held.id for held in approvals.expired("oscar")] == [early] and approvals.expired("otto") == []
    assert approvals.answered(early) == Refused("policy", "nobody answered within 1d", early)
    with pytest.raises(UserError, match="expired"):
        approvals.answer(early, ADA, "once")
    assert approvals.answer(late, OSCAR, "once") == Approval("oscar", "once", late)


def test_a_key_approves_what_its_scope_covers_alone(approvals, calls) -> None:
    name = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    for scope, lacks in ((("jobs.*",), "its scope lacks models.generate"), (("read-only",), "this key is read-only")):
        for answer in ("once", "always", "no"):
            with pytest.raises(DeniedError, match=lacks):
                approvals.answer(name, replace(ADA, scope=scope), answer)
    assert isinstance(approvals.answer(name, replace(ADA, scope=("models.*",)), "once"), Approval)


def test_a_lesser_role_never_approves_what_takes_a_higher_one(approvals, calls) -> None:
    other = calls("models.delete", {"model": "m"}, user="ada", role="admin")  # the model is oscar's
    name = approvals.hold(other, "destroy", "r", "run")
    for by in (OSCAR, replace(ADA, role="operator")):
        with pytest.raises(DeniedError, match="cannot answer"):
            approvals.answer(name, by, "once")
    assert isinstance(approvals.answer(name, ADA, "once"), Approval)


def test_a_service_account_approves_nothing_and_may_take_back_its_own(approvals, calls) -> None:
    robo = Caller("robo", "admin", service=True)
    theirs = approvals.hold(calls("models.generate", WORDS), "execute", "r", "run")
    own = approvals.hold(calls("models.generate", WORDS, user="robo", role="admin"), "execute", "r", "run")
    for name, answer in ((theirs, "once"), (theirs, "no"), (own, "once"), (own, "always")):
        with pytest.raises(DeniedError, match="approve-person"):
            approvals.answer(name, robo, answer)
    assert isinstance(approvals.answer(own, robo, "no"), Refused)


def test_where_a_rule_wants_a_second_person_nobody_approves_their_own(
    store, table, clock, calls, tmp_path: Path
) -> None:
    (tmp_path / "two.cedar").write_text(
        '@id("two-persons") @reason("what destroys takes a second person")\n'
        'forbid (principal, action == Action::"approvals.answer", resource)\n'
        'when { context.own && context.asked == "destroy" };'
    )
    monitor = judge(table, tmp_path)
    approvals = Approvals(store, table, monitor.approves, clock)
    name = approvals.hold(calls("models.delete", {"model": "m"}), "destroy", "r", "run")
    with pytest.raises(DeniedError, match="two-persons: what destroys takes a second person"):
        approvals.answer(name, OSCAR, "once")
    own = approvals.hold(calls("models.delete", {"model": "m"}, user="ada", role="admin"), "destroy", "r", "run")
    with pytest.raises(DeniedError, match="two-persons"):
        approvals.answer(own, ADA, "always")
    assert isinstance(approvals.answer(name, ADA, "once"), Approval)
    call = calls("models.generate", WORDS)
    assert isinstance(monitor.approves(call, table["models.generate"], OSCAR), Allowed)


def test_so_many_calls_of_one_user_wait_and_no_more(store, table, calls, clock) -> None:
    approvals = Approvals(store, table, judge(table).approves, clock, most=2)
    first, second, third = (calls("models.generate", {"model": "m", "prompt": said}) for said in "pqr")
    for call in (first, second):
        assert approvals.full(call) is None
        approvals.hold(call, "execute", "first a person", "r1")
    full = approvals.full(third)
    assert full is not None and full.rule == "pending-limit"
    assert "2 calls of oscar wait for a person already, and no more than 2 can" in full.reason
    assert "agentos approvals" in full.reason and approvals.full(second) is None
    assert approvals.full(calls("models.generate", {"model": "m", "prompt": "s"}, user="otto")) is None
    approvals.settle(approvals.pending()[0].id, "no", "ada", "")
    assert approvals.full(third) is None
    approvals.hold(third, "execute", "first a person", "r1")
    clock.now += DAY
    assert approvals.full(calls("models.generate", {"model": "m", "prompt": "t"})) is None


def test_who_asks_for_a_call_that_there_is_none_of_learns_of_no_others(approvals, calls) -> None:
    held = approvals.hold(calls("models.generate", {"model": "m", "prompt": "p"}), "execute", "why", "r1")
    otto, ada = Caller("otto", "operator", "s2"), Caller("ada", "admin", "s3")
    approvals.answer(held, ada, "always")
    waits = approvals.hold(calls("models.generate", {"model": "m", "prompt": "q"}), "execute", "why", "r1")
    (rule,) = approvals.rules()
    for asked, name in (
        (lambda by: approvals.answer("a0", by, "no"), waits), (lambda by: approvals.revoke("r0", by), rule.id),
    ):
        with pytest.raises(NotFound) as said:
            asked(otto)
        assert name not in str(said.value)
        with pytest.raises(NotFound) as said:
            asked(ada)
        assert name in str(said.value)
