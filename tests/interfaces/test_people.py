"""Users, keys with scopes, groups, roles and quotas as people and programs meet them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Agentos, kill
from .served import served as serving
from .test_http import Door


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, script: Path) -> Iterator[tuple[Agentos, Door]]:
    folder = tmp_path_factory.mktemp("people")
    agentos = Agentos(folder / "home", script)
    with serving(agentos, folder / "said") as url:
        keys = {"ada": "admin", "otto": "operator", "vera": "viewer", "zoe": "operator"}
        create = ("keys", "create", "--json")
        made = {u: str(agentos.json(*create, "--user", u, "--role", r)["key"]) for u, r in keys.items()}
        yield agentos, Door(url, made)


def key(agentos: Agentos, door: Door, name: str, *more: str) -> str:
    """A further key, by a name that the door knows it by."""
    door.keys[name] = str(agentos.json("keys", "create", "--json", *more)["key"])
    return name


def call(door: Door, user: str, syscall: str, **args: object):
    return door.ask("POST", f"/v1/syscalls/{syscall}", {"args": args}, user=user)


def test_a_scoped_key_makes_the_calls_of_its_scope_and_no_others(served) -> None:
    agentos, door = served
    narrow = key(agentos, door, "narrow", "--user", "ada", "--scope", "models.*", "--scope", "jobs.list")
    assert call(door, narrow, "models.list").status == 200
    assert call(door, narrow, "jobs.list").status == 200
    said = call(door, narrow, "resources.query")
    assert said.status == 403 and "this key is for jobs.list, models.*; its scope lacks resources.query" in said.body
    for method, path, body in (
        ("POST", "/v1/keys", {"user": "eve", "role": "admin"}), ("GET", "/v1/users", None), ("POST", "/v1/stop", {}),
        ("PUT", "/v1/quotas", {}), ("POST", "/v1/groups", {"name": "x"}), ("GET", "/v1/secrets", None),
        ("POST", "/v1/kernel/rollback", {}), ("GET", "/v1/audit/export", None), ("DELETE", "/v1/rules/r1", None),
        ("POST", "/v1/reviews/x/release", {}), ("GET", "/v1/approvals", None),
    ):
        said = door.ask(method, path, body, user=narrow)
        assert said.status == 403 and "its scope lacks" in said.body, (method, path, said)
    assert "eve" not in agentos.run("users").stdout
    reads = key(agentos, door, "reads", "--user", "ada", "--read-only")
    assert door.ask("GET", "/v1/users", user=reads).status == 200
    assert "this key is read-only" in door.ask("POST", "/v1/groups", {"name": "x"}, user=reads).body
    assert "this key is read-only" in call(door, reads, "models.unload", model="x").body


def test_a_scope_holds_in_a_sentence_in_a_plan_and_in_an_answer_to_a_held_call(served) -> None:
    agentos, door = served
    jobs = key(agentos, door, "jobs", "--user", "otto", "--scope", "jobs.*")
    said = door.ask("POST", "/v1/runs", {"text": "how much memory is free?"}, user=jobs)
    told = said.body.replace(" ", "")
    assert '"decision":"deny","rule":"scope"' in told and '"exit_code":3' in told
    held = call(door, "otto", "models.generate", model="m", prompt="hello")
    assert held.status == 409
    name = held.json["error"]["approval"]  # type: ignore[index]
    said = door.ask("POST", f"/v1/approvals/{name}", {"answer": "once"}, user=jobs)
    assert "its scope lacks models.generate" in said.body
    assert name in agentos.run("approvals").stdout
    assert agentos.run("refuse", name, "--reason", "not today").returncode == 0


def test_a_key_that_has_ended_says_so(served) -> None:
    agentos, door = served
    brief = key(agentos, door, "brief", "--user", "vera", "--expires", "1s")
    gone = key(agentos, door, "gone", "--user", "vera")
    until = time.monotonic() + 30
    while door.ask("GET", "/v1/status", user=brief).status == 200 and time.monotonic() < until:
        pass
    said = door.ask("GET", "/v1/status", user=brief)
    assert said.status == 401 and re.search(r"this key \(k\w+\) expired on ", said.body)
    listed = agentos.json("keys", "list", "--json")["keys"]
    newest = next(one for one in listed if one["user"] == "vera" and one["expires"] is None)  # type: ignore[attr-defined]
    assert door.ask("GET", "/v1/status", user=gone).status == 200
    agentos.run("keys", "revoke", str(newest["id"]))
    assert "was revoked on" in door.ask("GET", "/v1/status", user=gone).body
    shown = agentos.run("keys", "list").stdout
    assert "last_use=" in shown and "expires=" in shown


def test_a_service_account_calls_and_neither_confirms_nor_prompts_nor_comes_through_the_socket(served) -> None:
    agentos, door = served
    assert agentos.json("users", "create", "robo", "--role", "operator", "--service", "--json")["service"] is True
    robo = key(agentos, door, "robo", "--user", "robo")
    assert call(door, robo, "models.list").status == 200
    said = door.ask("POST", "/v1/syscalls/jobs.submit", {"args": {"command": "true"}, "yes": True}, user=robo)
    assert said.status == 409
    name = said.json["error"]["approval"]  # type: ignore[index]
    said = door.ask("POST", f"/v1/approvals/{name}", {"answer": "once"}, user=robo)
    assert "approve-person" in said.body
    through = agentos.run("--as", "robo", "call", "models.list")
    assert through.returncode == 3 and "it speaks by its keys alone" in through.stderr
    assert door.ask("POST", "/v1/runs", {"text": "hi"}, user=robo, X_Agentos_Door="repl").status == 403
    assert agentos.run("approve", name).returncode == 0


def test_what_was_given_to_a_group_is_its_members(served, tmp_path: Path) -> None:
    agentos, door = served
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\na,1\nb,0\n")
    agentos.run("--as", "otto", "call", "datasets.add", "--path", str(rows), "--name", "ours")
    assert call(door, "zoe", "datasets.delete", dataset="ours").status == 403
    assert agentos.run("groups", "create", "crew").returncode == 0
    assert agentos.run("groups", "add", "crew", "otto", "zoe").returncode == 0
    said = door.ask("POST", "/v1/groups/crew/give", {"kind": "dataset", "name": "ours"}, user="zoe")
    assert said.status == 403 and "not 'zoe'" in said.body
    assert agentos.run("--as", "otto", "groups", "give", "crew", "dataset", "ours").returncode == 0
    assert call(door, "zoe", "datasets.delete", dataset="ours").status == 409
    (crew,) = agentos.json("groups", "--json")["groups"]  # type: ignore[misc]
    assert crew["members"] == ["otto", "zoe"] and crew["things"][0]["name"] == "ours"
    assert agentos.run("groups", "give", "crew", "model", "no-such-model").returncode == 2
    assert door.ask("GET", "/v1/groups", user="vera").json == {"groups": []}
    assert door.ask("POST", "/v1/groups", {"name": "mine"}, user="otto").status == 403
    assert agentos.run("groups", "delete", "crew").returncode == 0
    assert call(door, "zoe", "datasets.delete", dataset="ours").status == 403


def test_roles_are_what_the_rules_say_and_new_ones_can_be_made_of_them(served) -> None:
    agentos, door = served
    shown = agentos.json("roles", "show", "viewer", "--json")
    decisions = {one["syscall"]: one["decision"] for one in shown["may"]}  # type: ignore[attr-defined]
    assert decisions["models.list"] == "allow" and decisions["models.delete"] == "deny"
    made = agentos.run("roles", "create", "watcher", "--base", "operator", "--forbid", "jobs.*")
    assert made.returncode == 0, made.stderr
    assert agentos.run("users", "create", "will", "--role", "watcher").returncode == 0
    will = key(agentos, door, "will", "--user", "will")
    assert call(door, will, "models.list").status == 200
    said = call(door, will, "jobs.list")
    assert said.status == 403 and "role-watcher-forbid" in said.body
    assert door.ask("DELETE", "/v1/roles/watcher", user="otto").status == 403
    gone = agentos.run("roles", "delete", "watcher")
    assert gone.returncode == 2 and "will have the role" in gone.stderr
    listed = agentos.run("roles").stdout
    assert "watcher" in listed and "operator" in listed


def test_a_quota_refuses_clearly_and_is_lifted(served) -> None:
    agentos, door = served
    assert agentos.run("quotas", "set", "user:vera", "requests", "2/month").returncode == 0
    assert [call(door, "vera", "models.list").status for _ in range(3)] == [200, 200, 403]
    said = call(door, "vera", "models.list")
    assert "2 requests a month is the limit of vera; 2 requests used. It starts anew at " in said.body
    assert "2 requests a month" in door.ask("POST", "/v1/plans", {"text": "hello"}, user="vera").body
    (mine,) = door.ask("GET", "/v1/quotas", user="vera").json["quotas"]  # type: ignore[misc]
    assert (mine["used"], mine["limit"]) == (2, 2)
    assert door.ask("PUT", "/v1/quotas", {"subject": "user:vera"}, user="vera").status == 403
    rows = agentos.json("call", "audit.search", "--user", "vera", "--decision", "deny", "--json")["rows"]  # type: ignore[index]
    assert [row["rule"] for row in rows[:2]] == ["administration-by-admin", "quota"]
    assert agentos.run("quotas", "set", "user:nobody", "tokens", "1/day").returncode == 2
    assert agentos.run("quotas", "remove", "user:vera", "requests").returncode == 0
    assert call(door, "vera", "models.list").status == 200


def test_no_syscall_and_no_job_can_approve(served) -> None:
    agentos, door = served
    names = {one["name"] for one in door.ask("GET", "/v1/syscalls").json["syscalls"]}  # type: ignore[attr-defined]
    families = {name.partition(".")[0] for name in names}
    assert not families & {"approvals", "rules", "reviews", "users", "keys", "groups", "roles", "quotas", "secrets"}
    held = call(door, "otto", "models.generate", model="m", prompt="hello")
    name = held.json["error"]["approval"]  # type: ignore[index]
    for syscall in ("approvals.answer", "policy.approve", f"approve%20{name}"):
        assert door.ask("POST", f"/v1/syscalls/{syscall}", {"args": {"id": name}}).status == 404
    said = door.ask("POST", "/v1/runs", {"text": f"approve {name}"})
    assert f'"{name}"' not in said.body and name in agentos.run("approvals").stdout
    env = " ".join(f"{k}='{v}'" for k, v in agentos.env.items() if k.startswith("AGENTOS_"))
    for command in (f"agentos approve {name}", "agentos keys create --user eve --role admin"):
        python = f"{env} {__import__('sys').executable} -m {command}"
        ran = agentos.run("call", "jobs.submit", "--command", python, "--yes", "--wait", "--json")
        assert ran.returncode == 1 and "exit code 3" in ran.stdout, ran
        job = agentos.json("call", "jobs.list", "--json")["jobs"][0]["id"]  # type: ignore[index]
        log = agentos.json("call", "jobs.logs", "--job", str(job), "--json")["text"]
        assert "this comes from within a job, and a person decides it" in str(log)
    assert name in agentos.run("approvals").stdout and "eve" not in agentos.run("users").stdout
    assert agentos.run("refuse", name).returncode == 0


def test_what_nobody_answered_in_time_is_listed_and_never_runs(tmp_path: Path, script: Path) -> None:
    agentos = Agentos(tmp_path / "home", script)
    agentos.home.mkdir()
    (agentos.home / "config.toml").write_text("approval_hours = 0.0003\n")  # about a second
    try:
        waits = agentos.run("call", "jobs.submit", "--command", f"touch {tmp_path}/ran")
        assert waits.returncode == 4
        until = time.monotonic() + 60
        while not (expired := agentos.json("approvals", "--json")["expired"]) and time.monotonic() < until:
            pass
        (held,) = expired  # type: ignore[misc]
        assert held["state"] == "expired" and agentos.json("approvals", "--json")["approvals"] == []
        late = agentos.run("approve", held["id"])
        assert late.returncode == 2 and "expired on" in late.stderr and "ask for it again" in late.stderr
        assert "Nobody answered these in time" in agentos.run("approvals").stdout
        agentos.run("stop")
        row = agentos.json("call", "audit.search", "--syscall", "jobs.submit", "--json")["rows"][0]  # type: ignore[index]
        assert row["decision"] == "confirm" and row["outcome"] == "refused"
        assert not (tmp_path / "ran").exists()
    finally:
        kill(agentos)


def test_a_scoped_key_makes_no_key_that_is_for_more(served) -> None:
    agentos, door = served
    keys = key(agentos, door, "keys", "--user", "ada", "--scope", "keys.*")
    for more in ({}, {"scope": ["write"]}, {"scope": ["keys.*", "users.*"]}, {"read_only": True}):
        said = door.ask("POST", "/v1/keys", {"user": "ada", **more}, user=keys)
        assert said.status == 403 and "makes no key that is for more" in said.body, said
    assert door.ask("POST", "/v1/keys", {"user": "ada", "scope": ["keys.list"]}, user=keys).status == 201
    assert door.ask("POST", "/v1/keys", {"user": "ada"}, user="ada").status == 201


def test_a_key_that_is_for_less_ends_no_other_persons_run(served) -> None:
    agentos, door = served
    name = call(door, "otto", "models.generate", model="m", prompt="hello").json["error"]["approval"]  # type: ignore[index]
    (row,) = [one for one in door.ask("GET", "/v1/approvals", user="otto").json["approvals"] if one["id"] == name]  # type: ignore[index]
    reads = key(agentos, door, "looks", "--user", "ada", "--read-only")
    assert door.ask("POST", f"/v1/runs/{row['run']}/cancel", {}, user=reads).status == 404
    assert name in agentos.run("approvals").stdout
    assert door.ask("POST", f"/v1/runs/{row['run']}/cancel", {}, user="ada").json == {"cancelled": True}


WITHIN = """
import json, os, socket, sys
def ask(path, data, gone=False):
    if gone and (child := os.fork()):
        return os.waitpid(child, 0)
    door, said = socket.socket(socket.AF_UNIX), json.dumps(data)
    door.connect(sys.argv[1])
    door.sendall(f"POST {path} HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: {len(said)}\\r\\n\\r\\n{said}".encode())
    if gone:
        os._exit(0)
    print(path, door.recv(65536).split()[1].decode(), flush=True)
ask(f"/v1/approvals/{sys.argv[2]}", {"answer": "once"}, gone=True)
ask("/v1/syscalls/jobs.submit", {"args": {"command": f"touch {sys.argv[3]}"}, "yes": True})
ask("/v1/syscalls/models.list", {"yes": True})
ask("/v1/mounts", {"name": "evil", "command": ["true"]})
ask("/v1/reviews/v0/release", {})
ask(f"/v1/approvals/{sys.argv[2]}", {"answer": "once"})
"""


def test_a_jobs_command_says_yes_to_nothing_by_any_way(served, tmp_path: Path) -> None:
    agentos, door = served
    touched, script = tmp_path / "ran", tmp_path / "within.py"
    script.write_text(WITHIN)
    held = call(door, "otto", "jobs.submit", command=f"touch {touched}").json["error"]["approval"]  # type: ignore[index]
    command = f"{sys.executable} {script} {agentos.home / 'agentos.sock'} {held} {touched}"
    assert agentos.run("call", "jobs.submit", "--command", command, "--yes", "--wait").returncode == 0
    job = agentos.json("call", "jobs.list", "--json")["jobs"][0]["id"]  # type: ignore[index]
    assert str(agentos.json("call", "jobs.logs", "--job", str(job), "--json")["text"]).split("\n")[:5] == [
        "/v1/syscalls/jobs.submit 409", "/v1/syscalls/models.list 200", "/v1/mounts 403", "/v1/reviews/v0/release 403",
        f"/v1/approvals/{held} 403",
    ]
    waiting = agentos.json("approvals", "--json")["approvals"]
    assert {one["answer"] for one in waiting} == {""} and held in {one["id"] for one in waiting}  # type: ignore[attr-defined, index]
    for one in waiting:  # type: ignore[attr-defined]
        assert agentos.run("refuse", str(one["id"])).returncode == 0
    assert not touched.exists()
