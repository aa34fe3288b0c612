"""A home's key is changed for everything that is sealed; killed anywhere, nothing is ever unreadable."""

from __future__ import annotations

import ast
import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from langgraph.checkpoint.base import empty_checkpoint

import agentos
from agentos.config import Settings
from agentos.errors import UserError
from agentos.interfaces.repl_history import SealedHistory
from agentos.jobs.queue import Queue
from agentos.jobs.records import Spec
from agentos.kernel.graph import checkpoints, saver_on
from agentos.mounts.server import Mounted
from agentos.mounts.service import Mounts, Offer
from agentos.mounts.spec import read as read_spec
from agentos.policy.approvals import Approvals
from agentos.policy.audit import Audit
from agentos.policy.output import read as read_rules
from agentos.policy.reviews import Reviews
from agentos.registry import Registry
from agentos.sealing import KEY, KeyFile, Sealer, derived, mark_of
from agentos.sealing.files import Vault
from agentos.sealing.rotation import BEFORE, COLUMNS, LINES, opened, rotate
from agentos.secrets import Secrets
from agentos.store import Store
from agentos.types import Allowed, Call, Caller

SAID = "what nobody else may read"
JOBS = 450
"""More than are sealed in one transaction, twice."""
ANN, ROOT = Caller("ann", "operator", session="s"), Caller("root", "admin")
RULE = read_rules({"f": "rules: [{id: law, reason: read first, do: hold, when: {models: ['*']}}]"})[0]
SERVER = read_spec({"command": ["true", SAID]})
CHILD = """
import sys
from pathlib import Path
from agentos.config import Settings
from agentos.sealing.rotation import rotate

def told(step):
    print(step, flush=True)
    if waits:
        sys.stdin.readline()

home, waits = Path(sys.argv[1]), sys.argv[2] == "waits"
print("begins", flush=True)
rotate(Settings(home=home, cache=home / "cache"), told)
"""


def settings_of(home: Path) -> Settings:
    return Settings(home=home, cache=home / "cache")


def parts(store: Store) -> tuple[Approvals, Audit, Reviews]:
    audit = Audit(store, Registry())
    return (
        Approvals(store, Registry(), lambda call, entry, by: Allowed("all")), audit,
        Reviews(store, audit, lambda by: Allowed("all"), "root"),
    )


async def threads(home: Path, write: bool) -> list[Any]:
    connection = await checkpoints(home / "agentos.db")
    try:
        saver = saver_on(connection, Sealer(home, "runs"))
        where: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        if write:
            made = empty_checkpoint() | {"channel_values": {"said": SAID}}
            there = await saver.aput(where, made, {}, {})  # type: ignore[arg-type]
            await saver.aput_writes(there, [("said", SAID)], "task")
        found = await saver.aget_tuple(where)
        assert found is not None and found.pending_writes is not None
        return [found.checkpoint["channel_values"]["said"], found.pending_writes[0][2]]
    finally:
        await connection.close()


def fill(home: Path) -> None:
    """Something in every place where something is sealed."""
    store = Store(home / "agentos.db")
    Secrets(store).put("TOKEN", SAID, "ann")
    Queue(store).submit([Spec(f"echo {SAID}", "ann", env={"WHO": SAID})] * JOBS, 1.0)
    approvals, audit, reviews = parts(store)
    audit.recover()
    call = Call("c1", "models.list", {"why": SAID}, ANN)
    audit.finished(audit.decided(call, Allowed("all")), "done", {"said": SAID})
    approvals.hold(call, "write", "", "r1")
    reviews.hold(ANN, "tiny", RULE, SAID)
    Mounts(store, Registry()).keep(Offer("far", SERVER, (), (), (), Mounted("far", lambda: SERVER)), "ann")
    store.close()
    asyncio.run(threads(home, write=True))
    (home / "history").touch(0o600)
    for line in (SAID, f"again\n{SAID}"):
        SealedHistory(home / "history").store_string(line)
    (plain := home / "plain").write_bytes(SAID.encode() * 100_000)
    (home / "datasets" / "people").mkdir(parents=True)
    Vault(home).seal(plain, home / "datasets" / "people" / "data.sealed")
    plain.unlink()


def check(home: Path) -> None:
    """Everything can be read by parts that have just been started."""
    store = Store(home / "agentos.db")
    assert Secrets(store).get("TOKEN", "ann").value == SAID
    found = Queue(store).find
    jobs = [found.get(str(number)) for number in range(1, JOBS + 1)]
    assert all(job.spec.command == f"echo {SAID}" and job.spec.env == {"WHO": SAID} for job in jobs)
    approvals, audit, reviews = parts(store)
    recorded = audit.outcome_of("c1")
    assert recorded is not None and recorded.detail == {"said": SAID}
    (held,) = approvals.pending()
    assert held.arguments == {"why": SAID}
    (waiting,) = reviews.waiting(ROOT)
    assert reviews.get(waiting.id, ROOT).text == SAID
    assert Mounts(store, Registry())._spec("far") == SERVER
    assert audit.verify().ok
    store.close()
    assert asyncio.run(threads(home, write=False)) == [SAID, SAID]
    assert list(SealedHistory(home / "history").load_history_strings()) == [f"again\n{SAID}", SAID]
    with Vault(home).reading(home / "datasets" / "people" / "data.sealed") as reader:
        assert reader.read() == SAID.encode() * 100_000


def one_key(home: Path, old: bytes) -> None:
    """There is one key, it is another one, and the old one opens nothing that is left."""
    key = KeyFile(home / KEY, marked=True)
    new = key.read()
    assert new is not None and new != old and key.former is None
    assert not (home / f"{KEY}.next").exists() and (home / f"{KEY}.id").read_bytes() == mark_of(new) + b"\n"
    assert {path.name for path in home.glob(f"{KEY}*")} == {KEY, f"{KEY}.id"}
    (home / "old").mkdir()
    (home / "old" / KEY).touch(0o600)
    (home / "old" / KEY).write_bytes(old)
    shutil.copy(home / "agentos.db", home / "old")
    before = Store(home / "old" / "agentos.db")
    rows = before.connection.execute("select id, command from jobs")
    assert all("is gone" in Queue(before)._rows._opened(command, number, "is gone") for number, command in rows)
    before.close()
    sealed = (home / "datasets" / "people" / "data.sealed").read_bytes()
    first = sealed[64 : 64 + (1 << 20) + 16]
    with pytest.raises(InvalidTag):
        derived(old, "files", sealed[16:48]).decrypt(bytes(12), first, sealed[:64] + bytes(8))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("filled") / "home"
    home.mkdir(0o700)
    fill(home)
    check(home)
    return home


def started(home: Path, waits: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_killed_after_any_step_everything_is_readable_and_the_next_start_ends_it(filled: Path, tmp_path: Path) -> None:
    old, steps = (filled / KEY).read_bytes(), 0
    while True:
        home = tmp_path / f"home{steps}"
        shutil.copytree(filled, home)
        with started(home, "waits") as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdout.readline()
            for _ in range(steps):
                child.stdin.write("\n")
            child.stdin.flush()
            told = [child.stdout.readline() for _ in range(steps + 1)]
            child.kill()
        if not told[-1]:
            break
        check(home)
        if told[-1].startswith("forgot"):
            one_key(home, old)
        else:
            opened(settings_of(home)).close()
            check(home)
            one_key(home, old)
        shutil.rmtree(home)
        steps += 1
    assert steps >= 15


def test_killed_at_any_moment_again_and_again_it_ends_all_the_same(filled: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(filled, home)
    old = (home / KEY).read_bytes()
    for steps in (1, 2, 4, 6, 9):
        with started(home, "runs") as child:
            assert child.stdout is not None
            for _ in range(steps):
                child.stdout.readline()
            child.kill()
        check(home)
    rotate(settings_of(home))
    check(home)
    one_key(home, old)


def test_every_use_of_a_sealer_has_its_place_in_the_rotation() -> None:
    there = set()
    for path in Path(agentos.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sealer":
                use = node.args[1]
                assert isinstance(use, ast.Constant), f"{path}: a use that can be found"
                there.add(use.value)
    assert there == {column.use for column in COLUMNS if column.use} | {use for _, use, _ in LINES}


def test_what_no_key_opens_is_left_and_counted_and_what_is_in_clear_stays_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store(home / "agentos.db")
    Queue(store).submit([Spec("true", "ann")] * 3, 1.0)
    store.connection.execute("update jobs set command = 'sealed:AAAA' where id = 1")
    store.connection.execute("update jobs set command = 'in clear' where id = 2")
    store.close()
    before = (home / KEY).read_bytes()
    made = rotate(settings_of(home))
    assert (made.values, made.files, made.unreadable) == (1, 0, 1)
    aside = home / f"{BEFORE}1"  # of a file with one damaged chunk, the old key opens the others
    assert aside.read_bytes() == before and aside.stat().st_mode & 0o777 == 0o600
    between = (home / KEY).read_bytes()
    assert rotate(settings_of(home)).unreadable == 1
    assert aside.read_bytes() == before and (home / f"{BEFORE}2").read_bytes() == between
    kept = Store(home / "agentos.db").connection.execute("select command from jobs order by id").fetchall()
    assert kept[0] == ("sealed:AAAA",) and kept[1] == ("in clear",)


def test_a_line_that_was_cut_is_left_and_keeps_no_system_from_starting(tmp_path: Path) -> None:
    line = Sealer(tmp_path, "history").text("said", "line")
    (tmp_path / "history").write_text(f"+{line}\n+sealed:AAAAA\n")
    assert rotate(settings_of(tmp_path)).unreadable == 1
    opened(settings_of(tmp_path)).close()
    assert "+sealed:AAAAA" in (tmp_path / "history").read_text()


def test_files_on_another_disk_are_sealed_anew_where_they_lie(tmp_path: Path) -> None:
    home, far = tmp_path / "home", tmp_path / "far"
    (home / "models").mkdir(parents=True)
    (far / "big").mkdir(parents=True)
    (plain := tmp_path / "plain").write_text(SAID)
    Vault(home).seal(plain, far / "big" / "weights")
    Vault(home).seal(plain, far / "alone")
    (home / "models" / "big").symlink_to(far / "big")
    (home / "models" / "alone").symlink_to(far / "alone")
    (home / "models" / "again").symlink_to(home / "models")
    assert rotate(settings_of(home)).files == 2
    for name in ("big/weights", "alone"):
        with Vault(home).reading(home / "models" / name) as reader:
            assert reader.read() == SAID.encode()
    assert (home / "models" / "alone").is_symlink()


def test_nothing_is_removed_behind_a_link_of_a_run(tmp_path: Path) -> None:
    home, far = tmp_path / "home", tmp_path / "far"
    (home / "runs" / "r1").mkdir(parents=True)
    far.mkdir()
    (home / "runs" / "r1" / "link").symlink_to(far)
    for folder in (far, home / "runs" / "r1"):
        (folder / "a.1.00000000.part").touch()
    opened(settings_of(home)).close()
    assert (far / "a.1.00000000.part").exists() and not (home / "runs" / "r1" / "a.1.00000000.part").exists()


def test_no_old_key_is_taken_for_the_right_one_afterwards(tmp_path: Path) -> None:
    kept = Sealer(tmp_path, "jobs").text("make", "1")
    old = (tmp_path / KEY).read_bytes()
    running = Sealer(tmp_path, "history")
    line = running.text("said", "line")
    (tmp_path / "history").write_text(f"+{line}\n")
    rotate(settings_of(tmp_path))
    with pytest.raises(Exception, match="does not open"):
        Sealer(tmp_path, "jobs").plain(kept, "1")  # it was nowhere that the rotation knows
    (again,) = [text[1:] for text in (tmp_path / "history").read_text().splitlines() if text]
    assert running.plain(again, "line") == "said", "a prompt that is open reads and writes with the new key"
    assert Sealer(tmp_path, "history").plain(running.text("more", "line"), "line") == "more"
    (tmp_path / KEY).write_bytes(old)
    with pytest.raises(Exception, match="holds another key than before"):
        Sealer(tmp_path, "jobs").text("x", "1")


def test_an_unknown_store_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    Sealer(tmp_path, "jobs").text("make", "1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match="AGENTOS_KEY_STORE"):
        rotate(Settings(home=tmp_path, cache=tmp_path / "cache", key_store="safe"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
