"""What administrators change, and what others are refused to, is on the audit trail; whatever door it came through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from agentos.config import Settings
from agentos.interfaces.http import build
from agentos.interfaces.http_acts import ACTS
from agentos.system import System

from .conftest import Agentos
from .served import served as serving
from .test_http import Door

ELSEWHERE = {
    "/v1/syscalls/{name}", "/v1/runs", "/v1/runs/{id}/cancel", "/v1/plans", "/v1/plans/check", "/v1/policy/explain",
    "/v1/audit/head", "/v1/stop", "/v1/kernel/corrections", "/v1/kernel/wording", "/v1/kernel/feedback",
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/responses/{id}",
    "/v1/responses/{id}/cancel", "/mcp",
}
"""What is decided and recorded call by call, changes nothing, or is a person's own say over what is kept of them."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, script: Path) -> Iterator[tuple[Agentos, Door]]:
    folder = tmp_path_factory.mktemp("acts")
    agentos = Agentos(folder / "home", script)
    with serving(agentos, folder / "said") as url:
        create = ("keys", "create", "--json")
        made = {
            user: str(agentos.json(*create, "--user", user, "--role", role)["key"])
            for user, role in {"ada": "admin", "otto": "operator"}.items()
        }
        yield agentos, Door(url, made)


def trail(agentos: Agentos, *asked: str) -> list[tuple[Any, ...]]:
    """User, act, decision, rule, outcome and what it was on; the oldest first."""
    found: Any = agentos.json("audit", "search", *asked, "--json")["rows"]
    return [
        (row["user"], row["syscall"], row["decision"], row["rule"], row["outcome"], row["arguments"])
        for row in reversed(found)
    ]


def test_every_endpoint_that_changes_something_is_in_the_table_or_known_not_to_belong_there(tmp_path: Path) -> None:
    app = build(System(Settings(home=tmp_path)), lambda: None, {"localhost"})
    found = {
        (method, route.path) for route in app.routes if isinstance(route, Route)
        for method in route.methods or () if method not in ("GET", "HEAD")
    }
    assert {one for one in found if one not in ACTS and one[1] not in ELSEWHERE} == set()
    assert {one for one in ACTS if one not in found} == set()


def test_every_change_is_a_row_and_so_is_every_refusal(served) -> None:
    agentos, door = served
    me = trail(agentos, "--syscall", "keys")[0][0]
    for command in (
        "users create zoe@example.org --role viewer", "users create robo --role operator --service",
        "users set robo --role viewer", "groups create crew", "groups add crew robo", "groups remove crew robo",
        "groups delete crew", "roles create watcher --base operator --forbid jobs.*", "roles delete watcher",
        "quotas set user:robo tokens 10/day", "quotas remove user:robo tokens",
    ):
        assert agentos.run(*command.split()).returncode == 0, command
    assert agentos.run("users", "create", "robo").returncode == 2
    for family, expected in {
        "users": [
            ("users.create", "done", {"name": "zoe@example.org", "role": "viewer", "service": False}),
            ("users.create", "done", {"name": "robo", "role": "operator", "service": True}),
            ("users.set", "done", {"name": "robo", "role": "viewer"}),
            ("users.create", "failed", {"name": "robo", "role": "viewer", "service": False}),
        ],
        "groups": [
            ("groups.create", "done", {"name": "crew"}), ("groups.add", "done", {"name": "crew", "user": "robo"}),
            ("groups.remove", "done", {"name": "crew", "user": "robo"}), ("groups.delete", "done", {"name": "crew"}),
        ],
        "roles": [
            ("roles.create", "done", {"name": "watcher", "base": "operator", "allow": [], "forbid": ["jobs.*"]}),
            ("roles.delete", "done", {"name": "watcher"}),
        ],
        "quotas": [
            ("quotas.set", "done", {"subject": "user:robo", "resource": "tokens", "amount": 10.0, "period": "day"}),
            ("quotas.remove", "done", {"subject": "user:robo", "resource": "tokens", "period": ""}),
        ],
    }.items():
        rows = [(name, outcome, {k: v for k, v in args.items() if v is not None})
                for user, name, decision, rule, outcome, args in trail(agentos, "--syscall", family)
                if (user, decision, rule) == (me, "allow", "admin-everything")]
        assert rows == expected, family
    reloads = [row[-1] for row in trail(agentos, "--syscall", "policies.reload")]
    assert [one["files"] for one in reloads] == [["role-watcher.cedar"], []]
    for method, path, body in (
        ("POST", "/v1/users", {"name": "eve", "role": "admin"}), ("POST", "/v1/keys", {"user": "otto"}),
        ("DELETE", "/v1/keys/k1", None), ("PUT", "/v1/quotas", {"subject": "user:otto"}), ("POST", "/v1/keys", []),
        ("POST", "/v1/kernel/rollback", {}),
    ):
        assert door.ask(method, path, body, user="otto").status == 403, path
    denied = trail(agentos, "--user", "otto", "--decision", "deny")
    assert [(row[1], row[3], row[4]) for row in denied] == [
        (name, "administration-by-admin", "refused")
        for name in ("users.create", "keys.create", "keys.revoke", "quotas.set", "keys.create", "kernel.rollback")
    ]
    assert agentos.run("audit", "verify").returncode == 0


def test_a_keys_id_is_on_the_trail_and_its_secret_never(served) -> None:
    agentos, door = served
    made = agentos.json("keys", "create", "--user", "otto", "--read-only", "--expires", "1h", "--json")
    assert agentos.run("keys", "revoke", str(made["key"])).returncode == 2  # the key in its id's place
    assert agentos.run("keys", "revoke", str(made["id"])).returncode == 0
    created, wrong, revoked = trail(agentos, "--syscall", "keys")[-3:]
    assert created[-1]["id"] == made["id"] and created[-1]["user"] == "otto" and created[4] == "done"
    assert wrong[-1] == {"id": "ak_***"} and wrong[4] == "failed" and revoked[-1] == {"id": made["id"]}
    for file in agentos.home.rglob("*"):
        if file.is_file():
            assert str(made["key"]).encode() not in file.read_bytes(), file


def test_what_a_keys_scope_does_not_reach_to_is_a_refusal_on_the_trail(served) -> None:
    agentos, door = served
    door.keys["reads"] = str(agentos.json("keys", "create", "--user", "ada", "--read-only", "--json")["key"])
    assert door.ask("DELETE", "/v1/groups/crew", user="reads").status == 403
    door.keys["keys"] = str(agentos.json("keys", "create", "--user", "ada", "--scope", "keys.*", "--json")["key"])
    assert door.ask("POST", "/v1/keys", {"user": "ada"}, user="keys").status == 403
    rows = trail(agentos, "--user", "ada", "--decision", "deny")
    assert [row[1:5] for row in rows] == [
        ("groups.delete", "deny", "scope", "refused"), ("keys.create", "deny", "administration-by-admin", "refused"),
    ]
    assert rows[0][-1] == {"name": "crew"}


def test_an_answer_that_somebody_may_not_give_is_a_refusal_on_the_trail(served) -> None:
    agentos, door = served
    asked = {"args": {"model": "m", "prompt": "hello"}}
    held: Any = door.ask("POST", "/v1/syscalls/models.generate", asked, user="ada").json
    if "approval" not in held["error"]:
        pytest.fail(str(held))
    name = held["error"]["approval"]
    assert "another person's call" in door.ask("POST", f"/v1/approvals/{name}", {"answer": "once"}, user="otto").body
    (row,) = trail(agentos, "--syscall", "approvals", "--decision", "deny")
    assert row[:4] == ("otto", "approvals.answer", "deny", "administration-by-admin")
    assert row[-1] == {"id": name, "answer": "once"}
    answered = agentos.run("approve", name, "--for", "always")
    assert "there is no model 'm'" in answered.stderr  # it was let, and ran
    grants = trail(agentos, "--syscall", "rules.grant")
    assert [row[-1]["approval"] for row in grants] == [name]
    rules: Any = agentos.json("rules", "--json")["rules"]
    assert agentos.run("rules", "revoke", rules[0]["id"]).returncode == 0
    assert trail(agentos, "--syscall", "rules.revoke")[0][-1] == {"id": rules[0]["id"]}
