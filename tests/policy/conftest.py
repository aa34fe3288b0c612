"""Real parts on a database of their own, with a clock that only a test moves."""

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.policy.permissions import Suite, read_suite
from agentos.registry import Registry, installed
from agentos.store import Store
from agentos.types import Call, Caller, Json, Role


@dataclass
class Clock:
    """Says the time it was set to."""

    now: float = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Calls:
    """Makes calls with ids of their own."""

    made: int = field(default=0)

    def __call__(
        self, syscall: str, args: dict[str, Json], user: str = "oscar", role: Role = "operator", session: str = "s1"
    ) -> Call:
        self.made += 1
        return Call(f"c{self.made}", syscall, args, Caller(user, role, session, "cli"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def store(settings: Settings):
    opened = Store(settings.database)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def suite() -> Suite:
    return read_suite(resources.files("agentos.evals").joinpath("permissions.yaml").read_text("utf-8"))


@pytest.fixture(scope="session")
def table(suite: Suite) -> Registry:
    return suite.table(installed())
