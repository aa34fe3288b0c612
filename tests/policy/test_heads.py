"""What tampers with the trail or its signed heads is found, and the first bad row named."""

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agentos.errors import Failed, UserError
from agentos.interfaces.bench_audit import KINDS, tamper, unlocked
from agentos.policy import covering, exporting
from agentos.policy.audit import Audit
from agentos.policy.heads import head_of, own_key, parse, public_key
from agentos.policy.trail import COLUMNS, row_hash
from agentos.policy.verifying import verify, verify_home
from agentos.store import Store
from agentos.types import Allowed, Caller, Denied, NeedsPerson

EDITS = 300
"""Random tamperings; raise it for a longer search."""
YES, NO, ASK = Allowed("operator-works"), Denied("destroy-own", "not yours"), NeedsPerson("confirm-execute", "ask")


class Trail:
    """A home's trail as its files lie on disk."""

    def __init__(self, home: Path, table, clock, calls) -> None:
        self.home, self.table, self.clock, self.calls = home, table, clock, calls
        self.database, self.folder = home / "agentos.db", home / "audit"
        self.heads, self.key = self.folder / "heads.jsonl", self.folder / "key"

    def write(self, count: int) -> None:
        """A run of the system that makes so many calls, each a write and its outcome, and stops."""
        with closing(Store(self.database)) as store:
            audit = Audit(store, self.table, self.clock)
            audit.recover()
            for at in range(count):
                self.clock.now += 1
                row = audit.decided(self.calls("models.load", {"model": f"modèle {at}"}), YES)
                audit.finished(row, "done", {"at": at})
            audit.sign()

    def verify(self, **given):
        return verify_home(self.database, **given)

    def edit(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database)) as db:
            unlocked(db)
            for statement in statements:
                db.execute(statement)
            db.commit()

    def lines(self) -> list[bytes]:
        return self.heads.read_bytes().splitlines(keepends=True)

    def put(self, lines: list[bytes]) -> None:
        self.heads.write_bytes(b"".join(lines))

    def copy(self, name: str) -> Path:
        """The database in one file, as a backup has it."""
        with closing(sqlite3.connect(self.database)) as db:
            db.execute("pragma wal_checkpoint(truncate)")
        return Path(shutil.copy(self.database, self.home / name))

    def restore(self, copy: Path) -> None:
        for end in ("-wal", "-shm"):
            self.database.with_name(f"agentos.db{end}").unlink(missing_ok=True)
        shutil.copy(copy, self.database)


@pytest.fixture(autouse=True)
def slowly(monkeypatch) -> None:
    """How long a test takes decides nothing: only rows make a head due."""
    monkeypatch.setattr(covering, "WITHIN", 1000.0)


@pytest.fixture
def trail(home, table, clock, calls) -> Trail:
    made = Trail(home, table, clock, calls)
    made.write(20)
    return made


def test_a_trail_that_nobody_touched_is_right_and_wholly_covered(trail) -> None:
    found = trail.verify()
    assert (found.ok, found.rows, found.uncovered, found.first_bad) == (True, 40, 0, None)
    assert (found.head.row, found.head.number, found.heads) == (40, found.heads, len(trail.lines()))
    trail.write(3)
    assert (trail.verify().rows, trail.verify().head.row) == (46, 46)


def test_files_are_their_owners_alone_and_the_key_never_changes(trail) -> None:
    files = {file.name: file.stat().st_mode & 0o777 for file in trail.folder.iterdir()}
    assert files == {"heads.jsonl": 0o600, "key": 0o600, "public.pem": 0o600}
    assert trail.folder.stat().st_mode & 0o777 == 0o700
    before = trail.key.read_bytes()
    trail.write(1)
    assert trail.key.read_bytes() == before
    public = public_key((trail.folder / "public.pem").read_bytes(), "public.pem")
    assert trail.verify(key=public).ok and parse(trail.lines()[-1]).right(public)


def test_a_head_is_on_disk_before_an_effect_and_with_a_refusal_or_a_hold(home, store, table, clock, calls) -> None:
    audit, folder = Audit(store, table, clock), home / "audit"

    def uncovered() -> int:
        return verify(store.connection, folder, own_key(folder)).uncovered

    for syscall, args, decision, left in (
        ("models.list", {}, YES, 1), ("models.load", {"model": "m"}, YES, 0), ("models.list", {}, YES, 1),
        ("models.delete", {"model": "m"}, NO, 0), ("models.list", {}, ASK, 0), ("no.such", {}, YES, 0),
    ):
        row = audit.decided(calls(syscall, args), decision)
        assert uncovered() == left, syscall
    audit.finished(row, "done")
    assert uncovered() == 1
    assert audit.verify().uncovered == 0


def test_no_more_rows_than_the_window_are_without_a_head(home, store, table, clock, calls) -> None:
    audit, folder = Audit(store, table, clock), home / "audit"
    most = 0
    for _ in range(3 * covering.EVERY):
        audit.decided(calls("models.list", {}), YES)
        most = max(most, verify(store.connection, folder, own_key(folder)).uncovered)
    assert 0 < most < covering.EVERY


async def test_the_newest_rows_are_covered_soon_when_nothing_follows_and_at_the_end(
    store, table, clock, calls, monkeypatch
) -> None:
    monkeypatch.setattr(covering, "WITHIN", 0.02)
    audit, folder = Audit(store, table, clock), store.path.parent / "audit"
    audit.decided(calls("models.list", {}), YES)
    for _ in range(500):
        if not (left := verify(store.connection, folder, own_key(folder)).uncovered):
            break
        await asyncio.sleep(0.01)
    assert not left
    monkeypatch.setattr(covering, "WITHIN", 1000.0)
    audit.decided(calls("models.list", {}), YES)
    await audit.close()
    assert verify(store.connection, folder, own_key(folder)).uncovered == 0


async def test_calls_that_only_answer_share_what_puts_them_on_disk_and_each_waits_for_its_own_row(
    store, table, clock, calls
) -> None:
    audit, folder = Audit(store, table, clock), store.path.parent / "audit"
    seen: list[bool] = []

    async def one(number: int) -> None:
        for _ in range(number):  # so that rows come while others are being put on disk
            await asyncio.sleep(0)
        row = audit.decided(calls("models.generate", {"model": "m", "prompt": "p", "max_tokens": 1}), YES, awaited=True)
        await audit.lasting(row)
        newest = parse(audit_lines(folder)[-1])
        seen.append(newest.row >= row)
        audit.finished(row, "done", {"text": "ok"}, lasting=False)

    await asyncio.wait_for(asyncio.gather(*(one(number % 7) for number in range(60))), 60)
    assert seen == [True] * 60
    assert len(audit_lines(folder)) < 60, "one head covers those that wait together"
    await audit.close()
    found = verify(store.connection, folder, own_key(folder))
    assert (found.ok, found.rows, found.uncovered) == (True, 120, 0)


async def test_where_no_head_can_be_written_who_waits_for_it_is_told(home, store, table, clock, calls) -> None:
    audit = Audit(store, table, clock)
    audit.sign()
    row = audit.decided(calls("models.list", {}), YES)
    (home / "audit" / "heads.jsonl").unlink()
    row = audit.decided(calls("models.predict", {"model": "m", "text": "x"}), YES, awaited=True)
    with pytest.raises(Failed, match="could not be signed"):
        await audit.lasting(row)
    await audit.close()


def audit_lines(folder: Path) -> list[bytes]:
    return (folder / "heads.jsonl").read_bytes().splitlines()


def test_a_process_that_was_killed_between_a_row_and_its_head_leaves_a_trail_that_is_right(trail) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import os, sys, time
            from pathlib import Path
            from agentos.policy.audit import Audit
            from agentos.policy.headfile import Heads
            from agentos.registry import installed
            from agentos.store import Store
            from agentos.types import Allowed, Call, Caller
            def here(self, row, hash, found):
                print("the row is written", flush=True)
                time.sleep(600)
            audit = Audit(Store(Path(sys.argv[1])), installed())
            audit.sign()
            Heads.write = here
            audit.decided(Call("killed", "models.load", {"model": "m"}, Caller("oscar", "operator")), Allowed("r"))
        """), str(trail.database)],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        assert child.stdout.readline().startswith("the row")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    found = trail.verify()
    assert (found.ok, found.rows, found.uncovered, found.head.row) == (True, 41, 1, 40)
    trail.write(0)
    found = trail.verify()
    assert (found.ok, found.rows, found.uncovered) == (True, 42, 0)  # what was cut off is `interrupted`
    assert found.found == found.head.found == 1


def test_a_head_that_a_crash_left_half_written_is_no_tampering_and_is_gone_at_the_next_start(trail) -> None:
    whole = trail.lines()
    trail.put([*whole[:-1], whole[-1][:50]])
    found = trail.verify()
    assert found.ok and found.uncovered == 1
    trail.write(1)
    assert trail.verify().ok and trail.verify().uncovered == 0
    assert all(line.endswith(b"\n") for line in trail.lines())


def test_random_tampering_with_the_database_is_found_and_the_row_named(trail) -> None:
    key, dice = own_key(trail.folder), random.Random(11)
    with closing(sqlite3.connect(trail.database, isolation_level=None)) as db:
        unlocked(db)
        for at in range(EDITS):
            kind = KINDS[at % len(KINDS)]
            db.execute("begin")
            row = tamper(db, kind, dice)
            found = verify(db, trail.folder, key)
            assert not found.ok and found.reason, (kind, row)
            # where every hash was made to fit, the next head tells: there is one at each second row
            assert found.first_bad == row or (kind == "forge" and found.first_bad == row - 1), (kind, row, found)
            db.execute("rollback")
        assert verify(db, trail.folder, key).ok


@pytest.mark.parametrize("column", [*COLUMNS, "hash"])
def test_an_edit_of_any_column_is_found(trail, column) -> None:
    trail.edit(f"update audit set {column} = {column} + 100 where id = 17" if column in ("id", "of", "time")
               else f"update audit set {column} = {column} || char(0) where id = 17")
    found = trail.verify()
    assert (found.ok, found.first_bad, found.rows) == (False, 17, 16)


@pytest.mark.parametrize("value", ["x'ff'", "cast(x'ff' as text)", "'oscar' || char(0) || 'x'", "'oscár'"])
def test_what_is_no_text_or_cannot_be_read_is_found_at_its_row(trail, value) -> None:
    trail.edit(f"update audit set user = {value} where id = 17")
    assert (trail.verify().ok, trail.verify().first_bad) == (False, 17)


def test_rows_that_were_cut_off_are_missing_to_the_signed_head(trail) -> None:
    trail.edit("delete from audit where id > 30")
    found = trail.verify()
    assert (found.ok, found.first_bad, found.rows) == (False, 31, 30)
    assert "31 to 40 are missing" in found.reason
    trail.edit("delete from audit")
    assert trail.verify().first_bad == 1
    trail.edit("drop table audit")
    assert trail.verify().first_bad == 1
    trail.database.unlink()
    assert trail.verify().first_bad == 1


@pytest.mark.parametrize("more", [0, 3, 30])
def test_an_older_database_is_found_also_when_the_system_wrote_on(trail, more, caplog) -> None:
    old = trail.copy("old.db")
    trail.write(10)
    trail.restore(old)
    if more:
        trail.clock.now += 1000
        trail.write(more)
        assert "audit trail" in caplog.text
    found = trail.verify()
    assert (found.ok, found.first_bad) == (False, 41)


def test_both_put_back_together_is_told_by_a_head_that_was_kept(trail) -> None:
    old, lines = trail.copy("old.db"), trail.lines()
    trail.write(10)
    kept = exporting.kept_head(trail.lines()[-1], "kept")
    assert trail.verify(kept=kept).ok
    trail.restore(old)
    trail.put(lines)
    assert trail.verify().ok
    found = trail.verify(kept=kept)
    assert (found.ok, found.first_bad) == (False, 41)
    trail.clock.now += 5
    trail.write(30)
    assert trail.verify().ok
    assert not trail.verify(kept=kept).ok and trail.verify(kept=kept).first_bad <= 41


def _swap(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[6], lines[5], *lines[7:]]


def _edit(at: int, **changed: object):
    def edit(lines: list[bytes]) -> list[bytes]:
        lines[at] = replace(parse(lines[at]), **changed).line + b"\n"
        return lines

    return edit


def _relink(lines: list[bytes]) -> list[bytes]:
    """Edits a head and makes all after it fit, without the key."""
    heads = [parse(line) for line in lines]
    heads[7] = replace(heads[7], hash="0" * 64)
    for at in range(8, len(heads)):
        heads[at] = replace(heads[at], previous=heads[at - 1].digest)
    return [head.line + b"\n" for head in heads]


def _resign(lines: list[bytes]) -> list[bytes]:
    """The same heads under a key of one's own."""
    key, made, previous = Ed25519PrivateKey.generate(), [], ""
    for line in lines:
        made.append(replace(parse(line), previous=previous).signed(key))
        previous = made[-1].digest
    return [head.line + b"\n" for head in made]


@pytest.mark.parametrize(("change", "row"), [
    (lambda lines: lines[:-2], None), (lambda lines: [], 1), (lambda lines: lines[3:], 1), (_swap, None),
    (lambda lines: [*lines[:4], *lines[5:]], None), (lambda lines: [*lines[:4], b"{}\n", *lines[5:]], None),
    (lambda lines: [*lines, lines[-1]], 41),
    (lambda lines: [*lines, b"x" * 9000], 41), (lambda lines: [*lines, b"[" * 3000 + b"\n"], 41),
    (_edit(6, time=5.0), None), (_edit(0, row=2), 1), (_edit(-1, row=4000), None), (_edit(-1, time=5.0), None),
    (lambda lines: [*lines[:-1], lines[-1].replace(b'","', b'", "')], None), (_relink, None), (_resign, 1),
])
def test_heads_that_were_cut_changed_or_replaced_are_found(trail, change, row) -> None:
    trail.write(1)  # so that the database knows of a head that the cut one was before
    trail.put(change(trail.lines()))
    found = trail.verify()
    assert not found.ok and found.reason and found.first_bad is not None
    if row is not None:
        assert found.first_bad in (row, row + 2)


def test_a_file_of_heads_that_is_gone_is_found_and_going_on_does_not_hide_it(trail, caplog) -> None:
    trail.heads.unlink()
    assert not trail.verify().ok and "are missing" in trail.verify().reason
    trail.write(3)
    assert "heads of the audit trail are missing" in caplog.text
    assert not trail.verify().ok and trail.verify().first_bad == 1


def test_heads_that_were_cut_stay_found_when_the_system_goes_on(trail) -> None:
    trail.write(1)
    trail.put(trail.lines()[:-3])
    assert not trail.verify().ok
    trail.write(3)
    assert not trail.verify().ok and "are missing" in trail.verify().reason


def test_another_key_is_found_and_refused_at_boot(trail) -> None:
    os.chmod(trail.key, 0o600)
    trail.key.write_bytes(os.urandom(32))
    assert "another key" in trail.verify().reason
    with pytest.raises(Failed, match="does not end with a head that the key"):
        trail.write(1)


def test_a_key_that_is_missing_or_open_to_others_is_refused_with_what_to_do(trail) -> None:
    os.chmod(trail.key, 0o644)
    for refused in (trail.verify, lambda: trail.write(1)):
        with pytest.raises(Failed, match="chmod 600"):
            refused()
    os.chmod(trail.key, 0o600)
    os.chmod(trail.heads, 0o666)
    with pytest.raises(Failed, match="chmod 600"):
        trail.write(1)
    os.chmod(trail.heads, 0o600)
    trail.key.unlink()
    assert not trail.verify().ok and "--key" in trail.verify().reason
    with pytest.raises(Failed, match="Put the key back"):
        trail.write(1)
    public = public_key((trail.folder / "public.pem").read_bytes(), "public.pem")
    assert trail.verify(key=public).ok


def test_where_no_head_can_be_written_no_call_that_acts_runs_and_the_record_says_so(
    home, store, table, clock, calls
) -> None:
    audit = Audit(store, table, clock)
    audit.decided(calls("models.load", {"model": "m"}), YES)
    (home / "audit" / "heads.jsonl").unlink()
    call = calls("models.load", {"model": "m"})
    with pytest.raises(Failed, match="could not be signed"):
        audit.decided(call, YES)
    assert audit.outcome_of(call.id).outcome == "failed"
    audit.finished(audit.decided(calls("models.list", {}), YES), "done")  # a read goes on within the window


def test_heads_that_somebody_else_wrote_to_or_rows_of_somebody_else_stop_the_system(
    home, store, table, clock, calls
) -> None:
    audit = Audit(store, table, clock)
    audit.decided(calls("models.load", {"model": "m"}), YES)
    row = list(store.connection.execute("select * from audit").fetchone()[:-1])
    forged = [2, *row[1:-1], row_hash(row)]
    store.connection.execute(f"insert into audit values ({', '.join('?' * 18)})", [*forged, row_hash(forged)])
    with pytest.raises(Failed, match="changed by somebody else"):
        audit.decided(calls("models.load", {"model": "m"}), YES)
    with (home / "audit" / "heads.jsonl").open("ab") as file:
        file.write(b"\n")
    again = Audit(store, table, clock)
    with pytest.raises(Failed, match="does not end with a head"):
        again.recover()


def test_a_trail_from_before_there_were_heads_is_right_and_covered_from_the_next_start(trail) -> None:
    trail.edit("delete from audit_head")
    shutil.rmtree(trail.folder)
    found = trail.verify()
    assert (found.ok, found.uncovered, found.head) == (True, 40, None)
    trail.write(1)
    found = trail.verify()
    assert (found.ok, found.rows, found.uncovered, found.found) == (True, 42, 0, 40)


def test_rows_that_were_added_while_the_system_was_down_are_told_from_its_own(trail) -> None:
    assert trail.verify().found == 0
    with closing(sqlite3.connect(trail.database)) as db:
        last = db.execute("select * from audit order by id desc limit 1").fetchone()
        forged = [last[0] + 1, *last[1:3], 0, *last[4:-2], last[-1]]
        db.execute(f"insert into audit values ({', '.join('?' * 18)})", [*forged, row_hash(forged)])
        db.commit()
    assert (trail.verify().ok, trail.verify().uncovered) == (True, 1)
    trail.write(1)
    assert (trail.verify().ok, trail.verify().uncovered, trail.verify().found) == (True, 0, 1)


def test_a_trail_is_right_at_every_moment_while_the_system_writes(trail) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import sys
            from pathlib import Path
            from agentos.policy.audit import Audit
            from agentos.registry import installed
            from agentos.store import Store
            from agentos.types import Allowed, Call, Caller
            audit = Audit(Store(Path(sys.argv[1])), installed())
            print("ready", flush=True)
            for at in range(400):
                call = Call(f"l{at}", "models.load", {"model": "m"}, Caller("oscar", "operator"))
                audit.finished(audit.decided(call, Allowed("r")), "done")
        """), str(trail.database)],
        stdout=subprocess.PIPE, text=True,
    )
    assert child.stdout.readline() == "ready\n"
    seen = []
    while child.poll() is None:
        found = trail.verify()
        assert found.ok, found.reason
        seen.append(found.rows)
    child.stdout.close()
    assert child.returncode == 0 and len(set(seen)) > 1 and trail.verify().rows == 840


def test_nothing_to_verify_is_the_askers_error(tmp_path) -> None:
    with pytest.raises(UserError, match="AGENTOS_HOME"):
        verify_home(tmp_path / "agentos.db")
    (tmp_path / "agentos.db").write_bytes(b"no database at all" * 400)
    with pytest.raises(Failed, match="cannot be read"):
        verify_home(tmp_path / "agentos.db")


@pytest.fixture
def exported(home, store, table, clock, calls) -> tuple[Audit, list[bytes]]:
    audit = Audit(store, table, clock)
    for user in ("oscar", "vera", "oscar"):
        clock.now += 600
        audit.finished(audit.decided(calls("models.load", {"model": "m"}, user=user), YES), "done", {"x": 1})
    return audit, "".join(audit.export(None, None)).encode().splitlines(keepends=True)


def test_an_export_is_verified_with_the_public_key_alone(exported, home) -> None:
    _, lines = exported
    key = public_key((home / "audit" / "public.pem").read_bytes(), "public.pem")
    found = exporting.verify(lines, "export", key)
    assert (found.ok, found.rows, found.head.row) == (True, 6, 6)
    assert exporting.verify(lines, "export", None, exporting.kept_head(b"".join(lines), "export")).ok
    other = Ed25519PrivateKey.generate().public_key()
    assert not exporting.verify(lines, "export", other).ok


def test_every_change_of_an_export_is_found(exported, home) -> None:
    _, lines = exported
    key = own_key(home / "audit")
    dice = random.Random(5)
    for _ in range(EDITS):
        changed = list(lines)
        at = dice.randrange(len(lines) - 1)
        row = json.loads(changed[at])
        kind = dice.choice(["edit", "drop", "swap", "twice"])
        if kind == "edit":
            column = dice.choice([*COLUMNS, "hash"])
            row[column] = dice.choice([None, True, f"{row[column]}x", 7.5, []])
            changed[at] = json.dumps(row).encode() + b"\n"
        elif kind == "drop":
            del changed[at]
        elif kind == "swap":
            changed[at], changed[at - 1] = changed[at - 1], changed[at]
            if at == 0:  # that would move the end, which is another error
                continue
        else:
            changed.insert(at, changed[at])
        found = exporting.verify(changed, "export", key)
        assert not found.ok and found.reason, (kind, at)
    assert not exporting.verify(lines[:-1], "export", key).ok
    with pytest.raises(UserError, match="goes on after its end"):
        exporting.verify([*lines, lines[0]], "export", key)
    with pytest.raises(UserError, match="no JSON object"):
        exporting.verify([b"x\n"], "export", key)


def test_a_part_says_that_it_cannot_be_verified(exported) -> None:
    audit, lines = exported
    for given in ({"user": "oscar", "since": None}, {"user": None, "since": "15m"}):
        part = "".join(audit.export(**given)).encode().splitlines(keepends=True)
        assert len(part) == 5 and "cannot be verified" in json.loads(part[-1])["part"]
        found = exporting.verify(part, "part", None)
        assert not found.ok and "a part" in found.reason
        assert head_of(json.loads(part[-1])["head"]).row == 6
    ours = [json.loads(line) for line in "".join(audit.export("oscar", None)).splitlines()[:-1]]
    assert [row["id"] for row in ours] == [1, 2, 5, 6]
    assert Caller("oscar", "operator").user == ours[0]["user"]
