import time
from typing import Any

import pytest

from agentos.config import load
from agentos.interfaces.client import Client
from agentos.interfaces.repl_watch import Beside
from agentos.interfaces.show import width
from agentos.interfaces.words import speaker

from .conftest import Agentos


def beside(agentos: Agentos, language: str = "en") -> Beside:
    return Beside(Client(load(agentos.env), door="repl", session="beside"), speaker(language))


def submitted(agentos: Agentos, command: str, *more: str) -> str:
    return str(agentos.json("call", "jobs.submit", "--command", command, "--yes", "--json", *more)["job"])


def in_force(agentos: Agentos, rule: str, wanted: bool) -> None:
    until = time.monotonic() + 30
    client = Client(load(agentos.env))
    while any(row["id"] == rule for row in client.request("GET", "/v1/policy")["rules"]) is not wanted:
        assert time.monotonic() < until, f"{rule} is {'not ' * wanted}in force"


def test_the_bar_has_the_machine_the_model_jobs_and_approvals(agentos: Agentos) -> None:
    held = agentos.run("call", "jobs.submit", "--command", "true")
    assert held.returncode == 4
    looked = beside(agentos)
    looked.look()
    line = looked.line(200)
    for part in ("mem ", "GiB", "qwen2.5-coder-0.5b", "wait for a yes: /approvals"):
        assert part in line, line
    assert looked.seen["user"] and looked.seen["role"] == "admin"
    for columns in (80, 40, 20, 5):
        assert width(looked.line(columns)) <= columns
    assert "/approvals" in looked.line(40), "what a person must act on is the last to go"
    chinese = beside(agentos, "zh")
    chinese.look()
    assert "内存" in chinese.line(200) and width(chinese.line(40)) <= 40
    for row in agentos.json("approvals", "--json")["approvals"]:  # type: ignore[attr-defined]
        agentos.run("refuse", row["id"])


def test_a_job_that_ends_is_told_once_and_above_the_line_that_is_typed(agentos: Agentos) -> None:
    looked = beside(agentos)
    submitted(agentos, "true", "--wait")
    looked.look()
    assert looked.told() == [], "what ended before the prompt was there is no news"
    good, bad, mine = submitted(agentos, "true"), submitted(agentos, "exit 3"), submitted(agentos, "true")
    looked.mute(mine)
    assert agentos.run("wait", good, bad, mine).returncode == 1
    shown: list[str] = []
    with looked.prompting(lambda: None, shown.append):
        looked.look()
        looked.look()
    assert [line.split(" after ")[0] for line in shown] == [f"job {good} (true) succeeded", f"job {bad} (exit) failed"]
    assert shown[1].endswith("exit code 3")
    again = submitted(agentos, "true", "--wait")
    looked.look()
    assert [line.split(" ")[1] for line in looked.told()] == [again]
    assert looked.told() == []


def test_the_bar_changes_only_where_a_figure_does(agentos: Agentos, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, changes = beside(agentos), []
    looked.look()
    monkeypatch.setattr(looked, "_client", _Still(looked.seen))
    with looked.prompting(lambda: changes.append(1), None):
        looked.look()
        assert not changes
        looked.seen["machine"]["memory"]["percent"] += 30
        looked._client.seen = {**looked.seen, "running": 7}  # type: ignore[attr-defined]
        looked.look()
    assert changes == [1] and "7 running" in looked.line(80)


class _Still:
    """An answer that stays."""

    session = "beside"

    def __init__(self, seen: dict[str, Any]) -> None:
        self.seen = seen

    def request(self, *asked: object, **how: object) -> dict[str, Any]:
        return self.seen


def test_a_system_that_is_gone_is_told_and_not_started(fresh: Agentos) -> None:
    looked = beside(fresh)
    looked.look()
    assert looked.line(80) == "no system runs"
    assert not (fresh.home / "agentos.sock").exists()


def test_who_may_not_see_jobs_gets_none_and_one_row_on_the_trail(agentos: Agentos) -> None:
    rules = agentos.home / "policies"
    rules.mkdir(mode=0o700, exist_ok=True)
    rule = rules / "no-jobs.cedar"
    rule.write_text('@id("no-jobs")\n@reason("not today")\n'
                    'forbid (principal, action == Action::"jobs.list", resource);\n', "utf-8")
    try:
        in_force(agentos, "no-jobs", True)
        client = Client(load(agentos.env), door="repl", session="denied")
        for _ in range(3):
            seen = client.request("GET", "/v1/brief?session=denied")
            assert seen["jobs"] == [] and seen["running"] == 0 and seen["machine"]["memory"]["total"]
    finally:
        rule.unlink()
        in_force(agentos, "no-jobs", False)
    rows = agentos.json("audit", "search", "--syscall", "jobs.list", "--decision", "deny", "--json")["rows"]
    assert len(rows) == 1  # type: ignore[arg-type]
