"""What an error of a provider means, and how long it asks to be left alone."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from agentos.engines.attempts import attempt
from agentos.engines.faults import Fault, Refused, judge
from agentos.engines.remote import Limits, Remote, Target
from agentos.errors import Failed, Retry, UserError

NOON = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


class Answered(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        super().__init__("no")
        self.status_code = status
        self.response = httpx.Response(status, headers={name.replace("_", "-"): said for name, said in headers.items()})


@pytest.mark.parametrize(
    ("said", "wait"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0), ("soon", None), ("nan", None),
     ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0)],
)
def test_a_pause_is_seconds_or_a_date(said, wait):
    assert judge(Answered(429, Retry_After=said), NOON).wait == wait


@pytest.mark.parametrize(
    ("status", "who", "error"),
    [(400, "asker", UserError), (401, "elsewhere", UserError), (402, "elsewhere", Failed),
     (404, "elsewhere", UserError),
     (408, "again", Retry), (422, "asker", UserError), (429, "again", Retry), (500, "again", Retry),
     (0, "again", Retry)],
)
def test_who_must_act_follows_from_the_status(status, who, error):
    fault = judge(Answered(status) if status else OSError("gone"))
    assert (fault.who, fault.error) == (who, error)


async def pauses(limits: Limits, fault: Fault) -> list[float]:
    kept: list[float] = []

    async def once(_target: Target, _end: float) -> None:
        raise Refused(fault)

    async def sleep(seconds: float) -> None:
        kept.append(seconds)

    with pytest.raises(Retry):
        await attempt(Remote((Target("openai/a"),), limits), once, lambda: False, sleep)
    return kept


def test_pauses_double_and_no_two_callers_come_back_together():
    seen = [asyncio.run(pauses(Limits(retries=3, backoff=1.0), Fault("again", "busy", Retry))) for _ in range(20)]
    for one in seen:
        assert all(2**number / 2 <= pause <= 2**number for number, pause in enumerate(one)) and len(one) == 3
    assert len({tuple(one) for one in seen}) == 20


def test_a_pause_that_was_asked_for_is_kept_exactly():
    assert asyncio.run(pauses(Limits(retries=2), Fault("again", "busy", Retry, wait=5.0))) == [5.0, 5.0]
