"""Rules over replies and their review, through the doors: HTTP with keys, and the command line."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from agentos.config import Settings
from agentos.errors import UserError
from agentos.interfaces.http import build
from agentos.system import System
from tests.interfaces.conftest import Agentos, kill

TOKEN = "AKIAQ3EGX7RT5NZ2WLPA"
SCRIPT = rf"""
- {{when: "plainly", say: "It is a fine day, and nothing more is to be said of it."}}
- {{when: "token", say: "Use {TOKEN} for it."}}
- {{when: "law", say: "In a lawsuit you say nothing."}}
- {{when: "打官司", say: "打官司 要花 很多钱"}}
- {{when: "arms", say: "One takes nerve agent and then {'much more of the same ' * 40}."}}
"""
RULES = """\
rules:
  - {id: law, reason: legal advice is read first, do: hold, when: {topics: [lawsuit, 打官司]}}
  - {id: arms, reason: arms are not explained, do: block, when: {patterns: ['(?i)nerve\\s+agent']}}
  - {id: trusted, reason: they know, do: pass, priority: 1, when: {callers: [otto], models: ['talk*']}}
"""


@dataclass(frozen=True)
class Door:
    """A system with a scripted model, over HTTP as another program sees it."""

    system: System
    client: httpx.AsyncClient
    keys: dict[str, str]

    async def ask(
        self, method: str, path: str, data: object = None, *, user: str = "nora", **headers: str
    ) -> httpx.Response:
        given = {"authorization": f"Bearer {self.keys[user]}", **headers}
        return await self.client.request(method, path, json=data, headers=given)

    async def reply(self, prompt: str, user: str = "nora", model: str = "talker") -> dict[str, Any]:
        said = await self.ask(
            "POST", "/v1/syscalls/models.generate", {"args": {"model": model, "prompt": prompt}, "yes": True}, user=user
        )
        assert said.status_code == 200, said.text
        result: dict[str, Any] = said.json()
        return result

    async def stream(self, prompt: str, user: str = "nora") -> tuple[list[str], dict[str, Any]]:
        said = await self.ask(
            "POST", "/v1/syscalls/models.generate", {"args": {"model": "talker", "prompt": prompt}, "yes": True},
            user=user, accept="application/x-ndjson",
        )
        events = [json.loads(line) for line in said.text.splitlines()]
        (result,) = [event["result"] for event in events if event["event"] == "result"]
        return [event["text"] for event in events if event["event"] == "text"], result


def _settings(home: Path, script: Path) -> Settings:
    return Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script=str(script), offline=True, lang="en"
    )


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Door]:
    system = System(settings)
    try:
        await system.start()
        await system.models.load("talker", "scripted", keep_alive="forever")
        roles = {"ada": "admin", "eve": "admin", "nora": "operator", "otto": "operator", "vera": "viewer"}
        keys = {user: system.people.create_key(user, role).key for user, role in roles.items()}  # type: ignore[arg-type]
        app = build(system, lambda: None, {"door"})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
            yield Door(system, client, keys)
    finally:
        await system.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "script.yaml").write_text(SCRIPT, "utf-8")
    made = _settings(tmp_path / "home", tmp_path / "script.yaml")
    (made.home / "policies").mkdir(parents=True)
    (made.home / "policies" / "output.yaml").write_text(RULES, "utf-8")
    return made


@pytest_asyncio.fixture
async def door(settings: Settings) -> AsyncIterator[Door]:
    async with opened(settings) as made:
        yield made


async def test_a_reply_that_no_rule_touches_is_the_same(door: Door) -> None:
    pieces, result = await door.stream("say it plainly")
    assert "".join(pieces) == result["text"] == "It is a fine day, and nothing more is to be said of it."
    assert (result["finish_reason"], result["review"]) == ("stop", "")


async def test_a_token_is_masked_in_the_stream_in_the_result_and_in_all_that_is_kept(door: Door) -> None:
    pieces, result = await door.stream("the token, please")
    assert "".join(pieces) == result["text"] == "Use <API_KEY_1> for it."
    assert (await door.reply("the token, please"))["text"] == result["text"]
    connection = door.system.store.connection
    calls = connection.execute("select call from audit where of = 0 and syscall = 'models.generate'").fetchall()
    kept = [door.system.audit.outcome_of(call) for (call,) in calls]
    assert len(kept) == 2 and all(one is not None and "<API_KEY_1>" in json.dumps(one.detail) for one in kept)
    assert TOKEN not in "\n".join(connection.iterdump()) + json.dumps([one.detail for one in kept if one is not None])


async def test_a_blocked_reply_says_so_as_openai_does(door: Door) -> None:
    pieces, result = await door.stream("tell me about arms")
    assert result["finish_reason"] == "content_filter" and "arms are not explained" in result["text"]
    assert "".join(pieces) == result["text"] and "nerve" not in result["text"]
    assert 0 < result["tokens"] < 50  # of 206: a model is not left to write on what nobody will get


async def test_a_held_reply_is_released_by_an_administrator_and_fetched_once_by_its_asker(door: Door) -> None:
    pieces, result = await door.stream("what of the law")
    name = result["review"]
    assert name and name in result["text"] and "".join(pieces) == result["text"] and "lawsuit" not in result["text"]
    path = f"/v1/reviews/{name}"
    waiting = (await door.ask("GET", path)).json()
    assert (waiting["state"], waiting["text"], waiting["why"]) == ("waiting", None, "legal advice is read first")
    listed = (await door.ask("GET", "/v1/reviews", user="ada")).json()["reviews"]
    assert [(row["id"], row["user"], row["rule"], row["text"]) for row in listed] == [(name, "nora", "law", None)]
    shown = await door.ask("GET", path, user="ada")
    assert shown.json()["text"] == "In a lawsuit you say nothing." and shown.headers["cache-control"] == "no-store"
    released = await door.ask("POST", f"{path}/release", {"reason": "general"}, user="ada")
    assert released.json()["state"] == "released" and "text" not in released.json()
    assert (await door.ask("GET", path)).json()["text"] == "In a lawsuit you say nothing."
    again = (await door.ask("GET", path)).json()
    assert (again["text"], again["state"], again["reason"]) == (None, "released", "general") and again["fetched"]
    assert (await door.ask("POST", f"{path}/release", {}, user="ada")).status_code == 400


async def test_chinese_is_held_and_refused_with_a_reason(door: Door) -> None:
    result = await door.reply("打官司贵吗")
    path = f"/v1/reviews/{result['review']}"
    assert "正在等待人工审核" in result["text"]
    assert (await door.ask("POST", f"{path}/refuse", {}, user="ada")).status_code == 400
    assert (await door.ask("POST", f"{path}/refuse", {"reason": "不便回答"}, user="ada")).status_code == 200
    told = (await door.ask("GET", path)).json()
    assert (told["state"], told["reason"], told["text"]) == ("refused", "不便回答", None)


async def test_another_user_cannot_see_or_decide_and_nobody_decides_over_their_own(door: Door) -> None:
    path = f"/v1/reviews/{(await door.reply('what of the law'))['review']}"
    for user in ("otto", "vera"):
        assert (await door.ask("GET", path, user=user)).status_code == 404
        assert (await door.ask("GET", "/v1/reviews", user=user)).json()["reviews"] == []
        for act in ("release", "refuse"):
            assert (await door.ask("POST", f"{path}/{act}", {"reason": "r"}, user=user)).status_code == 404
    assert (await door.ask("POST", f"{path}/release", {})).status_code == 403
    own = f"/v1/reviews/{(await door.reply('what of the law', 'ada'))['review']}"
    assert (await door.ask("POST", f"{own}/release", {}, user="ada")).status_code == 403
    assert (await door.ask("GET", own, user="ada")).json()["text"] is None
    assert (await door.ask("POST", f"{own}/release", {}, user="eve")).status_code == 200
    assert (await door.ask("GET", "/v1/reviews/none", user="ada")).status_code == 404


async def test_a_caller_whom_a_rule_passes_gets_what_others_do_not(door: Door) -> None:
    assert (await door.reply("what of the law", "otto"))["text"] == "In a lawsuit you say nothing."
    await door.system.models.load("other", "scripted", keep_alive="forever")
    assert (await door.reply("what of the law", "otto", "other"))["review"]


async def test_a_reply_is_held_through_a_restart(settings: Settings) -> None:
    async with opened(settings) as door:
        name = (await door.reply("what of the law"))["review"]
    async with opened(settings) as door:
        assert (await door.ask("POST", f"/v1/reviews/{name}/release", {}, user="eve")).status_code == 200
        assert (await door.ask("GET", f"/v1/reviews/{name}")).json()["text"] == "In a lawsuit you say nothing."


async def test_no_syscall_reaches_held_replies(door: Door) -> None:
    assert not [entry.name for entry in door.system.registry if entry.name.split(".")[0] in ("reviews", "output")]
    assert (await door.ask("POST", "/v1/syscalls/reviews.decide", {"yes": True}, user="ada")).status_code == 404


async def test_a_broken_file_is_told_to_administrators_and_stops_a_start(settings: Settings) -> None:
    file = settings.home / "policies" / "output.yaml"
    async with opened(settings) as door:
        file.write_text("rules:\n  - {id: law}\n", "utf-8")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert (await door.reply("what of the law"))["review"]
        assert f"{file}:2" in (await door.ask("GET", "/v1/reviews", user="ada")).json()["fault"]
        assert (await door.ask("GET", "/v1/reviews")).json()["fault"] == ""
    with pytest.raises(UserError, match="output.yaml:2"):
        async with opened(settings):
            pass


@pytest.fixture
def line(tmp_path: Path, settings: Settings) -> Iterator[Agentos]:
    made = Agentos(settings.home, tmp_path / "script.yaml")
    yield made
    kill(made)


async def _hold(settings: Settings, count: int) -> list[str]:
    async with opened(settings) as door:
        return [(await door.reply("what of the law"))["review"] for _ in range(count)]


async def test_the_command_line_lists_shows_decides_and_fetches(settings: Settings, line: Agentos) -> None:
    one, other = await _hold(settings, 2)
    listed = line.run("review")
    assert listed.returncode == 0, listed.stderr
    told = [row.split()[:4] for row in listed.stdout.splitlines()]
    assert told == [[name, "nora", "talker", "law"] for name in (one, other)]
    assert "In a lawsuit you say nothing." in line.run("review", "show", one).stdout
    waits = line.run("--as", "nora", "review", "get", one)
    assert waits.returncode == 4 and waits.stdout == "" and "waits for review" in waits.stderr
    assert line.run("--as", "otto", "review", "get", one).returncode == 2
    assert line.run("--as", "nora", "review", "release", one).returncode == 3
    assert line.run("review", "release", one, "--reason", "general").returncode == 0
    assert line.run("--as", "nora", "review", "get", one).stdout == "In a lawsuit you say nothing.\n"
    assert "not kept" in line.run("--as", "nora", "review", "get", one).stderr
    without = line.run("review", "refuse", other)
    assert without.returncode == 2 and "--reason" in without.stderr
    assert line.json("review", "refuse", other, "--reason", "not ours", "--json")["state"] == "refused"
    refused = line.run("--as", "nora", "review", "get", other)
    assert refused.returncode == 3 and "not ours" in refused.stderr
    assert "no reply waits" in line.run("review").stdout
    assert line.run("review", "show").returncode == 2
