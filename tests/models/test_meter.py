"""What is counted of a model, by a clock that is told the time."""

from __future__ import annotations

from agentos.models.meter import RECENT, Meter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    clock = Clock()
    meter = Meter(clock)
    for _ in range(5):
        meter.token(4)
        clock.now += 1
    assert meter.rate == 2.0 and meter.tokens == 20
    clock.now += 4
    assert meter.rate == 2.0
    clock.now += 3
    assert meter.rate == 0.8
    clock.now += 1000
    assert meter.rate == 0.0 and meter.tokens == 20


def test_a_crowd_is_remembered_for_a_while() -> None:
    clock = Clock()
    meter = Meter(clock)
    for _ in range(6):
        meter.enter()
    for _ in range(6):
        meter.leave()
    assert meter.asking == 0 and meter.crowd == 6
    clock.now += RECENT - 1
    meter.enter()
    assert meter.crowd == 6
    clock.now += 2
    assert meter.crowd == 1


def test_answers_and_their_cost_add_up_until_the_model_is_loaded_anew() -> None:
    meter = Meter(Clock())
    meter.token()
    meter.done(9, 0.25)
    meter.done(0)
    assert (meter.served, meter.tokens, meter.cost) == (2, 10, 0.25)
    meter.fresh()
    assert (meter.served, meter.tokens, meter.cost) == (0, 0, 0.0)
