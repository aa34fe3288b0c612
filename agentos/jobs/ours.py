"""The live system's policy: what ends soonest for what it takes, with a part kept for whoever waited longest."""

from __future__ import annotations

from agentos.jobs.ranked import Displacing

FAIRNESS = 1.0
SENIORS = 0.1
MARGIN = 1.0

OURS = Displacing("ours", fairness=FAIRNESS, seniors=SENIORS, margin=MARGIN)
"""Its queue is `Waiting(History())`, or `Waiting(History(preemptive=True))` where most jobs may be set aside."""
