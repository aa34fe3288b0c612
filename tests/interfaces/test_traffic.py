"""Doors held to load: queues, rates, clients that go away, the end in good order, ids and life signs."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from agentos.interfaces.http_traffic import Rates
from agentos.interfaces.openai_lanes import Lane

from .conftest import Agentos, kill
from .live import Live, running
from .test_server import until_ready


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A system where one request may wait for a model, and each key may ask twenty times a minute."""
    with running(tmp_path_factory.mktemp("narrow"), http_queue=1, http_rate=20) as made:
        yield made


def client(live: Live, user: str = "otto", **more: Any) -> httpx.Client:
    return httpx.Client(base_url=live.base, headers={"authorization": f"Bearer {live.keys[user]}"}, timeout=60, **more)


def chat(said: str, **more: Any) -> dict[str, Any]:
    return {"model": "talker", "messages": [{"role": "user", "content": said}], **more}


def until(true: Callable[[], bool]) -> None:
    """Waits, 30 seconds at most."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def last_answer(live: Live) -> tuple[int, str]:
    """How many answers the trail has, and what became of the newest."""
    async def look() -> Any:
        return live.system.audit.search(
            user=None, syscall="models.generate", decision=None, since=None, caller=live.system.people.owner()
        )

    found = live.do(look)
    return found.total, found.rows[0].outcome if found.rows else ""


def test_one_waits_the_next_is_told_to_come_back(narrow: Live) -> None:
    slow, plain = chat("slowly", stream=True), chat("plainly", stream=True)
    with client(narrow) as http, http.stream("POST", "/chat/completions", json=slow) as first:
        lines = first.iter_lines()
        assert next(lines).startswith("data: ")
        with http.stream("POST", "/chat/completions", json=plain) as second:
            waiting = second.iter_lines()
            assert re.match(r": place 1 in the queue, about \d+ s", next(waiting))
            third = http.post("/chat/completions", json=chat("plainly"))
            assert third.status_code == 429 and int(third.headers["retry-after"]) >= 1
            error = third.json()["error"]
            assert error["code"] == "queue_full" and "number 2" in error["message"]
            assert "data: [DONE]" in [*lines] and "data: [DONE]" in [*waiting]


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(narrow: Live) -> None:
    with client(narrow, "vera") as http:
        answers = [http.get("/models") for _ in range(22)]
    assert [answer.status_code for answer in answers[:20]] == [200] * 20
    last = answers[-1]
    assert last.status_code == 429 and 1 <= int(last.headers["retry-after"]) <= 3
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert last.headers["x-ratelimit-limit-requests"] == "20" and answers[0].headers["x-ratelimit-remaining-requests"]
    with client(narrow) as http:
        assert http.get("/models").status_code == 200


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    rates = Rates(60, lambda: now[0])
    assert [rates.take("a").wait > 0 for _ in range(61)] == [False] * 60 + [True]
    assert rates.take("b").left == 59
    now[0] += 2.5
    assert [rates.take("a").wait > 0 for _ in range(3)] == [False, False, True]
    assert rates.take("a").wait == pytest.approx(0.5)


@pytest.mark.asyncio
async def test_a_lane_expects_what_answers_took_and_gives_slots_in_order() -> None:
    import asyncio

    now, told, order = [0.0], [], []
    lane = Lane(lambda: 2, 10, lambda: now[0], lambda more: None)

    async def place(at: Any) -> None:
        told.append((at.position, at.wait))

    gates = [asyncio.Event() for _ in range(5)]

    async def one(at: int) -> None:
        async with lane.turn(place):
            order.append(at)
            await gates[at].wait()

    tasks = [asyncio.create_task(one(at)) for at in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0, 1] and [position for position, _ in told] == [1, 2, 3] and lane.waiting == 3
    now[0] = 8.0
    gates[0].set()
    until_ = asyncio.create_task(_until(lambda: 2 in order))
    await until_
    tasks[3].cancel()  # who gives up in the queue makes room for the next
    gates[1].set()
    await _until(lambda: 4 in order)
    assert order == [0, 1, 2, 4]
    assert lane.place(0).wait == 8.0
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert lane.running == 0 and lane.waiting == 0


async def _until(true: Callable[[], bool]) -> None:
    import asyncio

    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_slot(live: Live, stream: bool) -> None:
    before = last_answer(live)[0]
    with client(live) as http:
        if stream:
            with http.stream("POST", "/chat/completions", json=chat("slowly", stream=True)) as answer:
                next(answer.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                http.post("/chat/completions", json=chat("slowly"), timeout=0.5)
        until(lambda: last_answer(live) == (before + 1, "cancelled"))
        assert http.post("/chat/completions", json=chat("plainly")).status_code == 200


def test_every_response_has_an_id_and_one_that_was_sent_is_kept(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    with client(live) as http, caplog.at_level("INFO", logger="agentos.http"):
        given = {"x-request-id": "abc.1"}
        assert http.post("/chat/completions", json=chat("plainly"), headers=given).headers["x-request-id"] == "abc.1"
        odd = http.post("/nothing", headers={"x-request-id": "a b@c"}).headers["x-request-id"]
        denied = http.get("/models", headers={"authorization": "Bearer x"})
    assert odd.startswith("req-") and denied.status_code == 401 and denied.headers["x-request-id"]
    logged = [record.getMessage() for record in caplog.records if record.name == "agentos.http"]
    assert any(re.match(r"id=abc\.1 method=POST route=/v1/chat/completions status=200 ms=", said) for said in logged)
    assert not any("plainly" in said for said in logged)


def test_life_signs_take_no_key_and_metrics_do(live: Live) -> None:
    assert httpx.get(f"{live.url}/live").json() == {"live": True}
    assert httpx.get(f"{live.url}/ready", headers={"host": "elsewhere.example"}).json() == {"ready": True}
    assert httpx.get(f"{live.url}/metrics").status_code == 401
    with client(live, "vera") as http:
        http.get("/models")
        told = http.get(f"{live.url}/metrics").text
    assert re.search(r'agentos_http_requests_total\{route="/v1/models",status="200"\} [1-9]', told)
    assert "agentos_http_queued 0.0" in told


def test_answers_under_way_are_given_until_the_end(fresh: Agentos) -> None:
    fresh.home.mkdir(parents=True)
    script = fresh.home / "slow.yaml"
    script.write_text('- {when: "slow", say: "none()", wait: 2}\n', "utf-8")
    system = Agentos(fresh.home, script)
    with system.popen("serve", "--http", "127.0.0.1:0") as server:
        url = re.search(r"http://127\.0\.0\.1:\d+", until_ready(server))
        assert url
        key = str(system.json("keys", "create", "--user", "otto", "--role", "operator", "--json")["key"])
        head, answers = {"authorization": f"Bearer {key}"}, []
        asked = {"model": "agentos", "messages": [{"role": "user", "content": "slow"}]}

        def ask() -> None:
            answers.append(httpx.post(f"{url[0]}/v1/chat/completions", json=asked, headers=head, timeout=60))

        thread = threading.Thread(target=ask)
        thread.start()
        until(lambda: "agentos_http_answering 1.0" in httpx.get(f"{url[0]}/metrics", headers=head).text)
        server.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{url[0]}/ready").status_code == 503)
        assert httpx.get(f"{url[0]}/live").status_code == 200
        refused = httpx.post(f"{url[0]}/v1/chat/completions", json=asked, headers=head)
        assert refused.status_code == 503 and refused.headers["retry-after"]
        thread.join(60)
        assert server.stderr
        server.stderr.read()
    assert server.returncode == 0
    assert [answer.status_code for answer in answers] == [200] and "nothing was run" in json.dumps(answers[0].json())
    kill(system)
