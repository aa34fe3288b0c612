"""Rules that follow their files: the running monitor takes a change in whole, or keeps the old set and says why."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentos.policy.monitor import Monitor
from agentos.policy.reload import EVERY, SETTLED
from agentos.policy.rules import added
from agentos.registry import Registry
from agentos.types import Allowed, Call, Caller, Decision, Denied, NeedsPerson

from .conftest import Clock

ROLES = {"vera": "viewer", "oscar": "operator", "ada": "admin"}
ASKED = (
    '@id("pull-asked") @reason("pulling is confirmed here")\n'
    'forbid (principal, action == Action::"models.pull", resource) unless { context.confirmed };\n'
)
WHEN = '@id("a") permit (principal, action, resource) when '
NEVER = '@id("pull-never") forbid (principal, action == Action::"models.pull", resource);\n'


@dataclass
class World:
    monitor: Monitor
    table: Registry
    folder: Path
    clock: Clock

    @property
    def file(self) -> Path:
        return self.folder / "mine.cedar"

    def pull(self, user: str = "oscar") -> Decision:
        """What a pull gets, a second after whatever was done before."""
        self.clock.now += EVERY
        return self.now(user)

    def now(self, user: str = "oscar") -> Decision:
        entry = self.table["models.pull"]
        call = Call("c", entry.name, entry.validate({"model": "m"}), Caller(user, ROLES[user]))
        return self.monitor.decide(call, entry)


@pytest.fixture
def world(table: Registry, tmp_path: Path, clock: Clock) -> World:
    folder = tmp_path / "policies"
    return World(Monitor(table, ROLES.get, extra=folder, clock=clock), table, folder, clock)


def test_a_file_that_is_added_changed_and_removed_is_followed(world: World) -> None:
    assert world.pull() == Allowed("operator-works")
    world.folder.mkdir()
    world.file.write_text(ASKED)
    assert world.pull() == NeedsPerson("pull-asked", "pulling is confirmed here")
    assert world.monitor.state().since == world.clock.now
    world.file.write_text(NEVER)
    assert world.pull().rule == "pull-never"
    world.file.unlink()
    assert world.pull() == Allowed("operator-works")
    world.file.write_text(NEVER)
    assert world.pull().rule == "pull-never"
    world.file.unlink()
    world.folder.rmdir()
    assert world.pull() == Allowed("operator-works")


def test_a_file_named_like_a_shipped_one_takes_its_place_and_gives_it_back(world: World) -> None:
    world.folder.mkdir()
    (world.folder / "operator.cedar").write_text("// Operators do nothing here.\n")
    assert isinstance(world.pull(), Denied)
    (world.folder / "operator.cedar").rename(world.folder / "operator.cedar.off")
    assert world.pull() == Allowed("operator-works")


def test_a_file_that_is_renamed_over_another_of_the_same_size_and_time_is_seen(world: World) -> None:
    world.folder.mkdir()
    world.file.write_text(NEVER)
    was = world.file.stat()
    assert world.pull().rule == "pull-never"
    other = world.folder / "mine.cedar.part"
    other.write_text(NEVER.replace("never", "newer"))
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.rename(world.file)
    assert (world.file.stat().st_size, world.file.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert world.pull().rule == "pull-newer"


def test_what_is_written_over_in_place_with_its_old_time_is_seen(world: World) -> None:
    world.folder.mkdir()
    world.file.write_text(NEVER)
    was = world.file.stat()
    assert world.pull().rule == "pull-never"
    world.file.write_text(NEVER.replace("never", "newer"))
    while world.file.stat().st_ctime_ns == was.st_ctime_ns:  # the file system's clock has ticks
        os.utime(world.file)
    os.utime(world.file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert world.pull().rule == "pull-newer"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("// one\n\n@id(\"a\") permit (principal, action", "mine.cedar:3: this policy does not parse"),
        ('@id("a") permit (principal, action == Action::"models.explode", resource);', ":1: this policy does not fit"),
        ('@id("destroy-own") permit (principal, action, resource);', "destroy-own.cedar:3"),
        ("permit (principal, action, resource);", "@id"),
        (f"{WHEN}{{ {'(' * 5000}true{')' * 5000} }};", ":1: this policy nests"),
        (f"{WHEN}{{ {'if true then true else ' * 5000}true }};", ":1: this policy nests"),
        (f"{WHEN}{{ true{' && true' * 50_000} }};", ":1: this policy nests"),
        (f"{WHEN}{{ true{' && true' * 2000} }};", ":1: this policy chains"),
        (b"\xff\xfe\x00", "mine.cedar cannot be read (it is not UTF-8 text)"),
    ],
)
def test_a_broken_file_keeps_the_old_set_and_is_named_until_it_is_mended(
    world: World, caplog: pytest.LogCaptureFixture, text: str | bytes, says: str
) -> None:
    world.folder.mkdir()
    (world.folder / "asked.cedar").write_text(ASKED)
    assert world.pull().rule == "pull-asked"
    before = world.monitor.state()
    assert before.refused is None
    world.file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with caplog.at_level(logging.WARNING, "agentos.policy"):
        assert world.pull().rule == "pull-asked"
        assert world.pull().rule == "pull-asked"
    state = world.monitor.state()
    assert state.refused is not None and (state.rules, state.since) == (before.rules, before.since)
    (fault,) = state.refused.faults
    assert says in fault and str(world.file) in fault
    assert [record.getMessage().endswith(fault) for record in caplog.records] == [True]  # once, not each second
    world.file.write_text(NEVER)
    assert "pull-never" in world.pull().rule
    assert world.monitor.state().refused is None


def test_a_broken_file_holds_back_a_sound_one_beside_it(world: World) -> None:
    world.folder.mkdir()
    (world.folder / "never.cedar").write_text(NEVER)
    world.file.write_text("nonsense;\nmore;")
    assert world.pull() == Allowed("operator-works")
    refused = world.monitor.state().refused
    assert refused is not None
    assert [fault.split(": this")[0] for fault in refused.faults] == [f"{world.file}:1", f"{world.file}:2"]
    world.file.unlink()
    assert world.pull().rule == "pull-never"


def test_taking_a_broken_file_away_mends_it_without_a_new_set(world: World) -> None:
    world.folder.mkdir()
    assert world.pull() == Allowed("operator-works")
    before = world.monitor.state()
    world.file.write_text("nonsense")
    world.pull()
    assert world.monitor.state().refused
    world.file.unlink()
    world.pull()
    assert world.monitor.state() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_what_cannot_be_read_any_more_is_no_reason_to_drop_its_rules(world: World) -> None:
    world.folder.mkdir()
    world.file.write_text(NEVER)
    assert world.pull().rule == "pull-never"
    for closed in (world.file, world.folder):
        closed.chmod(0)
        try:
            assert world.pull().rule == "pull-never"
            refused = world.monitor.state().refused
            assert refused is not None and str(closed) in refused.faults[0]
        finally:
            closed.chmod(0o700)
        assert world.pull().rule == "pull-never"
        assert world.monitor.state().refused is None


def test_a_folder_that_is_a_file_or_a_link_to_nowhere_keeps_the_old_set(world: World) -> None:
    world.folder.mkdir()
    world.file.write_text(NEVER)
    assert world.pull().rule == "pull-never"
    world.file.unlink()
    world.file.symlink_to(world.folder / "nowhere")
    assert world.pull().rule == "pull-never"
    assert "mine.cedar cannot be read" in world.monitor.state().refused.faults[0]
    world.file.unlink()
    world.folder.rmdir()
    world.folder.write_text("no folder")
    assert world.pull().rule == "pull-never"
    assert "policies cannot be read" in world.monitor.state().refused.faults[0]


def test_the_folder_is_looked_at_once_a_second_and_a_second_is_enough(world: World) -> None:
    world.folder.mkdir()
    assert world.pull() == Allowed("operator-works")
    world.file.write_text(NEVER)
    world.clock.now += EVERY * 0.9
    assert world.now() == Allowed("operator-works")
    world.clock.now += EVERY * 0.1
    assert world.now().rule == "pull-never"


def test_a_clock_that_is_set_back_delays_nothing(world: World) -> None:
    world.folder.mkdir()
    world.pull()
    world.file.write_text(NEVER)
    world.clock.now -= 86_400
    assert world.now().rule == "pull-never"


def test_a_file_that_is_being_written_is_waited_for(world: World) -> None:
    world.folder.mkdir()
    world.pull()
    world.file.write_text(NEVER)
    written = world.file.stat().st_ctime_ns / 1e9
    world.clock.now = written + SETTLED * 0.5
    assert world.now() == Allowed("operator-works")
    world.clock.now = written + SETTLED * 1.6
    assert world.now().rule == "pull-never"


def test_a_file_that_was_being_written_at_the_start_is_read_again(table: Registry, tmp_path: Path) -> None:
    file = tmp_path / "mine.cedar"
    file.write_text(NEVER)
    clock = Clock(file.stat().st_ctime_ns / 1e9)
    world = World(Monitor(table, ROLES.get, extra=tmp_path, clock=clock), table, tmp_path, clock)
    since = world.monitor.state().since
    assert world.pull().rule == "pull-never"
    assert world.monitor.state().since == since


def test_files_of_editors_are_no_policies(world: World) -> None:
    world.folder.mkdir()
    for name in (".#mine.cedar", "._mine.cedar", ".mine.cedar.swp", "mine.cedar~", "mine.cedar.part"):
        (world.folder / name).write_text("nonsense")
    assert world.pull() == Allowed("operator-works")
    assert world.monitor.state().refused is None and added(world.folder) == {}


def test_an_explanation_and_the_state_look_too(world: World) -> None:
    world.folder.mkdir()
    world.file.write_text(NEVER)
    world.clock.now += EVERY
    assert world.monitor.explain("models.pull", "oscar", Caller("ada", "admin")).rule == "pull-never"
    world.file.write_text(ASKED)
    world.clock.now += EVERY
    (mine,) = [rule for rule in world.monitor.state().rules if rule.file == str(world.file)]
    assert (mine.id, mine.line, mine.reason) == ("pull-asked", 1, "pulling is confirmed here")


def test_an_owner_whose_role_changed_is_seen_in_the_new_role(table: Registry, tmp_path: Path) -> None:
    (tmp_path / "bosses.cedar").write_text(
        '@id("bosses") forbid (principal, action == Action::"models.unload", resource)\n'
        'when { resource has owner && resource.owner in Role::"admin" && resource.owner != principal };'
    )
    roles = {"oscar": "operator", "ada": "admin"}
    monitor = Monitor(table, roles.get, owner_of=lambda kind, name: "ada", extra=tmp_path)
    entry = table["models.unload"]
    call = Call("c", entry.name, entry.validate({"model": "m"}), Caller("oscar", "operator"))
    assert monitor.decide(call, entry).rule == "bosses"
    roles["ada"] = "viewer"
    assert monitor.decide(call, entry) == Allowed("operator-works")


def in_threads(*works: Callable[[], None]) -> list[BaseException]:
    failed: list[BaseException] = []

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=kept, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_while_files_change_every_decision_is_by_one_whole_set(table: Registry, tmp_path: Path) -> None:
    """A decision asks the rules twice and then for the reason: by two sets, rule and reason would not fit together."""
    ticks = Clock()

    def clock() -> float:
        ticks.now += EVERY / 3
        return ticks.now

    def put(first: str, second: str) -> None:
        part = tmp_path / "all.part"
        part.write_text(first + second)
        part.rename(tmp_path / "all.cedar")

    even = NEVER.replace("pull-never", "even"), ASKED.replace("pull-asked", "even-asked")
    odd = NEVER.replace("pull-never", "odd"), ASKED.replace("pull-asked", "odd-asked")
    put(*even)
    monitor = Monitor(table, ROLES.get, extra=tmp_path, clock=clock)
    entry = table["models.pull"]
    call = Call("c", entry.name, entry.validate({"model": "m"}), Caller("oscar", "operator"))
    over = threading.Event()
    seen: set[tuple[str, str]] = set()

    def decide() -> None:
        said = monitor.decide(call, entry)
        assert isinstance(said, Denied), said
        seen.add((said.rule, said.reason))

    def keep_deciding() -> None:
        while not over.is_set():
            decide()

    def change() -> None:
        try:
            for turn in range(60):
                put(*(odd if turn % 2 else even))
                for _ in range(3):
                    decide()
                if turn % 10 == 5:
                    (tmp_path / "broken.cedar").write_text("nonsense")
                    decide()
                    (tmp_path / "broken.cedar").unlink()
        finally:
            over.set()

    assert in_threads(change, keep_deciding, keep_deciding) == []
    assert seen == {(name, f"the rule {name!r} forbids it") for name in ("even", "odd")}
