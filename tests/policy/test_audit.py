"""The trail is on disk before the effect, and shows when it was touched."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agentos.errors import Failed, UserError
from agentos.policy.audit import Audit, audited_args
from agentos.store import Store
from agentos.types import Allowed, Approval, Caller, Denied, NeedsPerson

ADA = Caller("ada", "admin")
YES, NO = Allowed("operator-works"), Denied("destroy-own", "not yours")
ASK = NeedsPerson("confirm-execute", "first a person")


@pytest.fixture
def audit(store, table, clock) -> Audit:
    return Audit(store, table, clock)


def everything(audit: Audit, caller: Caller = ADA, **wanted):
    return audit.search(**{"user": None, "syscall": None, "decision": None, "since": None, **wanted}, caller=caller)


def test_a_call_is_recorded_with_its_outcome_and_what_it_gave(audit, calls) -> None:
    call = calls("models.load", {"model": "gpt2", "engine": "auto"})
    assert audit.outcome_of(call.id) is None
    row = audit.decided(call, YES)
    assert audit.outcome_of(call.id).outcome == "pending"
    audit.finished(row, "done", {"model": "gpt2", "memory": 12})
    past = audit.outcome_of(call.id)
    assert (past.row, past.outcome, past.detail) == (row, "done", {"model": "gpt2", "memory": 12})
    (found,) = everything(audit).rows
    assert (found.user, found.syscall) == ("oscar", "models.load")
    assert (found.decision, found.rule) == ("allow", "operator-works")
    assert (found.outcome, found.call, found.door) == ("done", call.id, "cli")
    assert found.arguments == {"model": "gpt2", "engine": "auto"}


def test_a_row_is_finished_once(audit, calls) -> None:
    row = audit.decided(calls("models.list", {}), YES)
    audit.finished(row, "failed", "no disk")
    for unknown in (row, row + 7, 0):
        with pytest.raises(Failed):
            audit.finished(unknown, "done")
    assert audit.verify().ok and everything(audit).rows[0].outcome == "failed"


def test_a_denial_ends_as_refused(audit, calls) -> None:
    audit.decided(calls("models.delete", {"model": "x"}), NO)
    assert (everything(audit).rows[0].decision, everything(audit).rows[0].outcome) == ("deny", "refused")


def test_a_held_call_keeps_one_row_and_the_answer_closes_it(audit, calls) -> None:
    yes, no = (calls("models.generate", {"model": "m", "prompt": said}) for said in "pq")
    held = audit.decided(yes, ASK)
    assert audit.decided(yes, ASK) == held
    assert audit.outcome_of(yes.id) is None and everything(audit).rows[0].outcome == "pending"
    row = audit.decided(yes, YES, Approval("ada", "once", "a1"))
    assert row != held
    audit.decided(no, ASK)
    audit.refused(no.id, "ada")
    audit.refused(no.id, "ada")
    ends = {(one.call, one.decision): one.outcome for one in everything(audit).rows}
    assert ends == {
        (yes.id, "confirm"): "confirmed", (yes.id, "allow"): "pending", (no.id, "confirm"): "refused",
    }


def test_private_words_never_reach_the_trail(audit, store, calls, settings) -> None:
    said = "my password is hunter2 and my number is 13800138000"
    row = audit.decided(calls("models.generate", {"model": "m", "prompt": said, "max_tokens": 9}), YES)
    audit.finished(row, "done", {"text": "ok"})
    arguments = everything(audit).rows[0].arguments
    assert arguments["model"] == "m" and arguments["max_tokens"] == 9
    assert arguments["prompt"]["length"] == len(said) and len(arguments["prompt"]["sha256"]) == 16
    store.connection.execute("pragma wal_checkpoint(truncate)")
    for file in filter(Path.is_file, settings.home.rglob("*")):
        assert b"hunter2" not in file.read_bytes() and b"13800138000" not in file.read_bytes()


def test_what_no_signature_names_is_kept_as_private(table) -> None:
    assert audited_args(None, {"a": "secret"})["a"]["length"] == 6
    assert "secret" not in str(audited_args(table["models.list"], {"b": ["secret"], "c": {"d": "secret"}}))
    assert audited_args(table["models.pull"], {"model": "m", "source": "https://u:pw@host/x"}) == {
        "model": "m", "source": "https://***@host/x",
    }


def test_a_kill_before_the_outcome_leaves_the_row_and_marks_it_interrupted(settings, store, table, clock) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys, time
            from pathlib import Path
            from agentos.policy.audit import Audit
            from agentos.registry import installed
            from agentos.store import Store
            from agentos.types import Allowed, Call, Caller
            audit = Audit(Store(Path(sys.argv[1])), installed())
            done = audit.decided(Call("before", "models.list", {}, Caller("oscar", "operator")), Allowed("r"))
            audit.finished(done, "done", {"models": []})
            audit.decided(Call("killed", "models.unload", {"model": "m"}, Caller("oscar", "operator")), Allowed("r"))
            print("the effect would start now", flush=True)
            time.sleep(600)
        """), str(settings.database)],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        assert child.stdout.readline().startswith("the effect")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    store.close()
    again = Store(settings.database)
    audit = Audit(again, table, clock)
    assert audit.outcome_of("killed").outcome == "pending"
    assert audit.recover() == 1 and audit.recover() == 0
    assert audit.outcome_of("killed").outcome == "interrupted"
    assert audit.outcome_of("before").detail == {"models": []}
    assert audit.verify().ok
    again.close()


def test_the_database_itself_refuses_to_change_a_row(audit, calls, store) -> None:
    audit.decided(calls("models.list", {}), YES)
    for change in ("update audit set user = 'eve'", "delete from audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.connection.execute(change)


def test_every_tampering_is_found_and_the_first_bad_row_named(audit, calls, store) -> None:
    for _ in range(20):
        audit.finished(audit.decided(calls("models.load", {"model": "m"}), YES), "done", {"model": "m"})
    assert audit.verify().ok and audit.verify().rows == 40
    store.connection.executescript("drop trigger audit_no_update; drop trigger audit_no_delete;")
    dice = random.Random(3)
    columns = ["time", "call", "user", "role", "session", "door", "syscall", "decision", "rule", "arguments", "outcome",
               "approval", "approved_by", "detail", "previous", "hash"]
    for _ in range(200):
        row, column = dice.randint(1, 39), dice.choice([*columns, "a row"])
        store.connection.execute("savepoint before")
        if column == "a row":
            store.connection.execute("delete from audit where id = ?", (row,))
        else:
            store.connection.execute(f"update audit set {column} = {column} || 'x' where id = ?", (row,))
        found = audit.verify()
        assert not found.ok and found.first_bad == row and found.reason, (row, column)
        store.connection.execute("rollback to before")
        store.connection.execute("release before")
    assert audit.verify().ok


def test_a_search_filters_and_counts_all(audit, calls, clock) -> None:
    for number in range(60):
        clock.now += 60
        audit.decided(calls("models.load", {"model": f"m{number}"}), YES)
    clock.now += 7200
    audit.decided(calls("models.delete", {"model": "x"}, user="vera", role="viewer"), NO)
    found = everything(audit)
    assert (len(found.rows), found.total) == (50, 61)
    assert found.rows[0].user == "vera" and found.rows[1].arguments["model"] == "m59"
    assert everything(audit, decision="deny").total == 1
    assert everything(audit, syscall="models.delete").total == 1
    assert everything(audit, syscall="models").total == 61
    assert everything(audit, user="oscar").total == 60
    assert everything(audit, since="1h").total == 1
    assert everything(audit, since="最近三小时").total == 61
    with pytest.raises(UserError, match="is not a time"):
        everything(audit, since="when the cows come home")


def test_who_is_no_administrator_sees_only_their_own_rows(audit, calls) -> None:
    audit.decided(calls("models.list", {}), YES)
    audit.decided(calls("models.list", {}, user="vera", role="viewer"), YES)
    vera = Caller("vera", "viewer")
    assert {row.user for row in everything(audit, vera).rows} == {"vera"} and everything(audit, vera).total == 1
    assert everything(audit, vera, user="oscar").rows == []
    assert everything(audit, ADA).total == 2


def test_a_full_disk_stops_the_call_and_writes_nothing(audit, calls, store) -> None:
    audit.decided(calls("models.list", {}), YES)
    pages = store.connection.execute("pragma page_count").fetchone()[0]
    store.connection.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(Failed, match="nothing was changed"):
        for _ in range(200):
            audit.decided(calls("models.load", {"model": "m" * 180}), YES)
    store.connection.execute("pragma max_page_count = 1000000")
    assert audit.verify().ok
