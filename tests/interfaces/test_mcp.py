"""The official client at our door, and other people's servers as our syscalls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult

from .conftest import Agentos, kill
from .test_server import until_ready

SERVERS = Path(__file__).parents[1] / "mounts" / "servers.py"
ERAS = pytest.mark.parametrize("era", ["legacy", "auto"])
"""Up to 2025-11-25 a person is asked within the call; from 2026-07-28 on between two calls."""
DELETE = ("models.delete", {"model": "smollm2-135m"})


def server(kind: str) -> tuple[str, ...]:
    return ("--", sys.executable, str(SERVERS), kind)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory, script: Path) -> Iterator[tuple[Agentos, str, dict[str, str]]]:
    """A system on TCP with notes mounted; its address and keys."""
    agentos = Agentos(tmp_path_factory.mktemp("mcp"), script)
    with agentos.popen("serve", "--http", "127.0.0.1:0") as process:
        found = re.search(r"http://127\.0\.0\.1:\d+", until_ready(process))
        assert found
        roles = {"ada": "admin", "otto": "operator", "vera": "viewer"}
        create = ("keys", "create", "--json")
        keys = {user: str(agentos.json(*create, "--user", user, "--role", role)["key"]) for user, role in roles.items()}
        # from where it may write its notes
        added = agentos.popen(
            "mcp", "add", "notes", "--env", "NOTES_KEY=s3same", "--json", *server("good"), cwd=agentos.home.parent
        )
        told = added.communicate(timeout=120)
        assert added.returncode == 0, told
        yield agentos, found[0], keys
        kill(agentos)
        assert process.stderr
        process.stderr.read()


class Person:
    """Answers what a client shows to them."""

    def __init__(self, action: Any) -> None:
        self.action, self.shown = action, list[str]()

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.shown.append(params.message)
        return ElicitResult(action=self.action, content={} if self.action == "accept" else None)


@asynccontextmanager
async def over_stdio(agentos: Agentos, person: Person | None, era: str, user: str = "") -> AsyncIterator[Client]:
    args = ["-m", "agentos", *(["--as", user] if user else []), "mcp"]
    program = StdioServerParameters(command=sys.executable, args=args, env=agentos.env)
    async with Client(program, mode=era, elicitation_callback=person) as client:
        yield client


@asynccontextmanager
async def over_http(url: str, key: str, person: Person | None, era: str) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as asked:
        transport = streamable_http_client(f"{url}/mcp", http_client=asked)
        async with Client(transport, mode=era, elicitation_callback=person) as client:
            yield client


def said(result: CallToolResult) -> dict[str, Any]:
    assert isinstance(result.structured_content, dict)
    return result.structured_content


@ERAS
async def test_the_table_is_served_over_stdio_and_a_yes_runs_a_held_call(notes: Any, era: str) -> None:
    person, told = Person("accept"), list[str | None]()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with over_stdio(notes[0], person, era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        reads, destroys, runs = tools["models.list"], tools["models.delete"], tools["jobs.submit"]
        assert [(t.annotations.read_only_hint, t.annotations.destructive_hint) for t in (reads, destroys, runs)] == [
            (True, False), (False, True), (False, False)
        ]
        assert reads.input_schema["properties"]["state"]["enum"] == ["all", "loaded", "stored", "catalog"]
        assert "description" in runs.input_schema["properties"]["command"]
        assert "ask" in tools and tools["notes.add_note"].annotations.open_world_hint
        memory = await client.call_tool("resources.query", {"kind": "memory"})
        assert said(memory)["memory"]["total"] == json.loads(memory.content[0].text)["memory"]["total"]
        assert not person.shown
        kept = await client.call_tool("notes.add_note", {"text": "a b", "colour": "blue"}, progress_callback=progress)
        assert not kept.is_error and said(kept)["text"] == "kept 'a b' in blue with None"
        assert "notes.add_note" in person.shown[0] and 'text = "a b"' in person.shown[0]
        assert "what executes is confirmed by a person first" in person.shown[0]
        asked = await client.call_tool("ask", {"text": "how much memory is free?"}, progress_callback=progress)
        assert not asked.is_error and said(asked)["plan"]["steps"][0]["syscall"] == "resources.query"
        assert "planning" in told


@ERAS
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_anything_but_a_yes_is_a_no(notes: Any, era: str, action: str) -> None:
    agentos, url, keys = notes
    person = Person(action)
    async with over_http(url, keys["ada"], person, era) as client:
        done = await client.call_tool(*DELETE)
    assert done.is_error and said(done)["error"]["type"] == "refused" and len(person.shown) == 1
    assert agentos.json("approvals", "--json")["approvals"] == []


@ERAS
async def test_a_client_that_can_ask_nobody_is_told_how_a_person_answers(notes: Any, era: str) -> None:
    agentos, url, keys = notes
    async with over_http(url, keys["ada"], None, era) as client:
        done = await client.call_tool(*DELETE)
    approval = said(done)["error"]["approval"]
    assert done.is_error and f"agentos refuse {approval}" in done.content[0].text
    assert agentos.run("refuse", approval).returncode == 0


@ERAS
async def test_errors_and_denials_are_results_and_unknown_tools_are_not(notes: Any, era: str) -> None:
    _, url, keys = notes
    async with over_http(url, keys["vera"], Person("accept"), era) as client:
        wrong = await client.call_tool("models.list", {"state": "odd"})
        assert wrong.is_error and said(wrong)["error"]["type"] == "user" and "odd" in wrong.content[0].text
        denied = await client.call_tool(*DELETE)
        assert denied.is_error and said(denied)["error"]["type"] == "denied"
        with pytest.raises(MCPError, match=r"models\.nope"):
            await client.call_tool("models.nope", {})
        empty = await client.call_tool("ask", {"words": "x"})
        assert empty.is_error and "sentence" in empty.content[0].text


@ERAS
async def test_over_http_a_call_is_made_in_the_key_holders_role_and_recorded(notes: Any, era: str) -> None:
    agentos, url, keys = notes
    person = Person("accept")
    async with over_http(url, keys["otto"], person, era) as client:
        kept = await client.call_tool("notes.search_notes", {"query": "x", "limit": 1})
    assert not kept.is_error and said(kept)["data"]["found"] == ["x"] and len(person.shown) == 1
    rows: Any = agentos.json("audit", "search", "--syscall", "notes.search_notes", "--json")["rows"]
    assert (rows[0]["user"], rows[0]["door"], rows[0]["outcome"]) == ("otto", "mcp", "done")


async def test_http_lets_in_nobody_without_a_key_nor_a_page_of_another_address(notes: Any) -> None:
    _, url, keys = notes
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}}
    accept = {"Accept": "application/json, text/event-stream"}

    def key(user: str) -> dict[str, str]:
        return {**accept, "Authorization": f"Bearer {keys[user]}"}

    async with httpx2.AsyncClient(base_url=url) as http:
        assert (await http.post("/mcp", json=hello, headers=accept)).status_code == 401
        for odd in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            assert (await http.post("/mcp", json=hello, headers={**key("ada"), **odd})).status_code == 403
        opened = await http.post("/mcp", json=hello, headers={**key("ada"), "Origin": url})
        assert opened.status_code == 200
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert (await http.post("/mcp", json=ping, headers={**key("ada"), **session})).status_code == 200
        assert (await http.post("/mcp", json=ping, headers={**key("vera"), **session})).status_code == 404
        long = b" " * (1024 * 1024 + 1)
        assert (await http.post("/mcp", content=long, headers={**key("ada"), "content-type": "application/json"})
                ).status_code == 413


async def test_an_answer_to_a_question_counts_once_for_who_was_asked_about_that_call(notes: Any) -> None:
    agentos, url, keys = notes
    yes = {"approve": ElicitResult(action="accept", content={})}
    async with over_http(url, keys["ada"], Person("accept"), "auto") as ada:
        first: Any = await ada.session.call_tool(*DELETE, allow_input_required=True)
        state = first.request_state
        async with over_http(url, keys["otto"], Person("accept"), "auto") as otto:
            stolen = await otto.session.call_tool(*DELETE, input_responses=yes, request_state=state)
            assert stolen.is_error and "no longer open" in stolen.content[0].text
        other = await ada.session.call_tool(
            "models.delete", {"model": "all-minilm-l6"}, input_responses=yes, request_state=state
        )
        assert other.is_error and "no longer open" in other.content[0].text
        again = await ada.session.call_tool(*DELETE, input_responses=yes, request_state=state)
        assert again.is_error
    (held,) = agentos.json("approvals", "--json")["approvals"]  # type: ignore[misc]
    assert agentos.run("refuse", held["id"]).returncode == 0


def test_what_is_mounted_is_a_syscall_at_every_door(notes: Any) -> None:
    agentos = notes[0]
    listed: Any = agentos.json("syscalls", "notes.add_note", "--json")
    assert "notes" in json.dumps(listed)
    (mount,) = agentos.json("mcp", "list", "--json")["mounts"]  # type: ignore[misc]
    assert mount["state"] == "running" and mount["server"]["env"] == ["NOTES_KEY"] and "s3same" not in json.dumps(mount)
    done = agentos.run("call", "notes.shaped", "--filter", '{"a": [1]}', "--where", "here", "--yes")
    assert (done.returncode, done.stdout.strip()) == (0, '[{"a": [1]}, "here"]')
    assert agentos.run("call", "notes.add_note", "--text", "x").returncode == 4
    (held,) = agentos.json("approvals", "--json")["approvals"]  # type: ignore[misc]
    assert agentos.run("refuse", held["id"]).returncode == 0
    died = agentos.run("call", "notes.die", "--yes")
    assert died.returncode == 1 and "exit code 7" in died.stderr
    assert agentos.run("call", "notes.search_notes", "--query", "x", "--yes").returncode == 0
    database = b"".join(file.read_bytes() for file in agentos.home.glob("agentos.db*"))
    assert b"s3same" not in database


def test_mounting_takes_an_administrator_and_is_recorded(notes: Any) -> None:
    agentos = notes[0]
    for args in (("add", "more", *server("good")), ("remove", "notes"), ("refresh", "notes")):
        done = agentos.run("--as", "otto", "mcp", *args)
        assert done.returncode == 3 and "administrator" in done.stderr
    rows: Any = agentos.json("audit", "search", "--syscall", "mcp", "--json")["rows"]
    assert [(row["syscall"], row["user"], row["decision"]) for row in rows[:3]] == [
        ("mcp.refresh", "otto", "deny"), ("mcp.remove", "otto", "deny"), ("mcp.add", "otto", "deny")
    ]
    assert rows[3]["syscall"] == "mcp.add" and rows[3]["outcome"] == "done"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("add", "notes", *server("good")), 2, "already"), (("add", "models", *server("good")), 2, "something else"),
        (("add", "policy", *server("good")), 2, "something else"), (("add", "Odd", *server("good")), 2, "no name"),
        (("add", "x"), 2, "command"), (("add", "x", "--url", "http://example.com/mcp"), 2, "in clear"),
        (("add", "x", "--", "/no/such/program"), 1, "no program"), (("remove", "nobody"), 2, "nobody"),
        (("refresh", "nobody"), 2, "nobody"), (("odd",), 2, "invalid choice"), (("list", "--", "x"), 2, "no command"),
        (("add", "x", "--env", "NOT_SET_HERE", *server("good")), 2, "not set"),
    ],
)
def test_what_cannot_be_mounted_is_told_and_changes_nothing(
    notes: Any, args: tuple[str, ...], code: int, says: str
) -> None:
    done = notes[0].run("mcp", *args)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert len(notes[0].json("mcp", "list", "--json")["mounts"]) == 1


def test_a_hostile_server_gets_no_name_but_its_own_and_no_word_of_its_own_in(notes: Any) -> None:
    agentos = notes[0]
    mount: Any = agentos.json("mcp", "add", "odd", "--trust-read-only", "--json", *server("hostile"))
    assert set(mount["tools"]) == {"odd.models_delete", "odd.pick", "odd.etc_passwd"}
    assert {one["tool"][:8] for one in mount["refused"]} == {
        "get-issu", "getIssue", "删除", "nnnnnnnn", "twin", "huge", "needs"
    }
    shown = agentos.run("syscalls", "odd.models_delete").stdout
    assert "\x1b" not in shown and "\u202e" not in shown and len(shown) < 500
    assert agentos.run("ask", "how much memory is free?").returncode == 0
    assert agentos.run("mcp", "remove", "odd").returncode == 0
    assert agentos.run("call", "odd.models_delete").returncode == 2


def test_mounts_outlive_a_restart_and_a_change_of_a_tool_takes_a_refresh(fresh: Agentos, tmp_path: Path) -> None:
    added = fresh.popen("mcp", "add", "shifty", "--trust-read-only", "--json", *server("changing"), cwd=tmp_path)
    out, err = added.communicate(timeout=120)
    assert added.returncode == 0, err
    assert json.loads(out)["tools"] == ["shifty.only_0", "shifty.read", "shifty.same"]
    assert fresh.run("call", "shifty.same").returncode == 4
    (held,) = fresh.json("approvals", "--json")["approvals"]  # type: ignore[misc]
    assert fresh.run("approve", held["id"], "--for", "always").returncode == 0
    assert fresh.run("stop").returncode == 0
    (mount,) = fresh.json("mcp", "list", "--json")["mounts"]  # type: ignore[misc]
    assert (mount["state"], mount["tools"]) == ("idle", ["shifty.only_0", "shifty.read", "shifty.same"])
    done = fresh.run("call", "shifty.read")  # trusted to only read, by the administrator
    assert (done.returncode, done.stdout.strip()) == (0, "read {}")
    assert "Version 0" in fresh.run("syscalls", "shifty.read").stdout  # though it says 1 by now
    assert fresh.run("call", "shifty.same").returncode == 0  # the yes holds
    refreshed: Any = fresh.json("mcp", "refresh", "shifty", "--json")["refreshed"]
    assert (refreshed[0]["added"], refreshed[0]["removed"], refreshed[0]["changed"]) == (
        ["shifty.only_2"], ["shifty.only_0"], ["shifty.read"]
    )
    assert "Version 2" in fresh.run("syscalls", "shifty.read").stdout
    (fresh.home / "policies").mkdir()
    rule = fresh.home / "policies" / "mine.cedar"
    rule.write_text('@id("mine") forbid (principal, action == Action::"shifty.same", resource);')
    assert fresh.run("mcp", "remove", "shifty").returncode == 2  # a rule of the owner's names it
    rule.unlink()
    assert fresh.run("mcp", "remove", "shifty").returncode == 0
    assert fresh.json("rules", "--json")["rules"] == []  # the yes went with the tool
    assert fresh.json("mcp", "list", "--json")["mounts"] == []


def test_a_server_at_an_address_is_mounted_with_its_key(notes: Any) -> None:
    agentos = notes[0]
    with subprocess.Popen([sys.executable, str(SERVERS), "web"], stdout=subprocess.PIPE, text=True) as web:
        assert web.stdout
        url = f"http://127.0.0.1:{int(web.stdout.readline())}/mcp"
        try:
            refused = agentos.run("mcp", "add", "web", "--url", url, "--header", "X-Key: wrong")
            assert refused.returncode == 1 and "nothing was sent" in refused.stderr
            args = ("--url", url, "--header", "X-Key: sesame", "--trust-read-only", "--timeout", "20", "--json")
            assert agentos.json("mcp", "add", "web", *args)["tools"] == ["web.long", "web.look"]
            done = agentos.run("call", "web.look", "--what", "a tree")
            assert (done.returncode, done.stdout.strip()) == (0, "seen a tree")
            long = agentos.run("call", "web.long", "--yes")
            assert long.returncode == 1 and "web" in long.stderr
        finally:
            web.kill()
    gone = agentos.run("call", "web.look", "--what", "a tree")
    assert gone.returncode == 1 and "'web'" in gone.stderr
    assert agentos.run("mcp", "remove", "web").returncode == 0


def test_the_client_that_serves_tools_imports_nothing_heavy() -> None:
    code = (
        "import sys, agentos.interfaces.mcp_server, agentos.interfaces.mcp_door\n"
        "print([name for name in ('torch', 'transformers', 'langgraph', 'cedarpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
