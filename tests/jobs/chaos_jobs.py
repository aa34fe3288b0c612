"""The jobs that are run while chaos.py kills what runs them; each leaves traces by which it can be judged."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass
class Plan:
    """One job that is asked for, and what must come of it."""

    call: str
    body: str
    code: int = 0
    retries: int = 0
    parent: str | None = None

    def request(self, parent: str | None) -> dict[str, object]:
        # One lock a job: an attempt that begins while another has not ended says so.
        command = (
            f"exec 9>locks/{self.call}; flock -n 9 || echo {self.call} >> overlaps; echo s >> effects/{self.call};"
            f" {self.body}; echo e >> effects/{self.call}; exit {self.code}"
        )
        return {"call": self.call, "command": command, "retries": self.retries, "after": [parent] if parent else []}


def plans(count: int, rng: random.Random) -> list[Plan]:
    """Short ones and long ones, some that fail, some with children, some that wait for another."""
    made = []
    for number in range(count):
        body = rng.choices(
            (":", f"sleep {rng.uniform(0.03, 0.3):.3f}", f"sleep {rng.uniform(0.8, 1.6):.2f}",
             "(sleep 0.2; true) & setsid sleep 0.1 & wait"), (12, 5, 1, 2),
        )[0]
        parent = f"c{rng.randrange(number)}" if number and rng.random() < 0.1 else None
        made.append(Plan(f"c{number}", body, 3 if rng.random() < 0.05 else 0, rng.randrange(2), parent))
    return made
