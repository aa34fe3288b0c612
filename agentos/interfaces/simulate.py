"""`agentos jobs simulate`: what a policy makes of a trace; no system need run, and nothing is started."""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import Namespace
from pathlib import Path

from agentos.errors import UserError
from agentos.interfaces.show import colourful


def main(args: Namespace) -> int:
    """Replays the trace under one policy, or all of them, and prints figures and a plot."""
    from agentos.jobs import reporting
    from agentos.jobs.simulation import POLICIES, simulate

    if not args.trace:
        raise UserError("which trace? agentos jobs simulate TRACE.csv [--gpus N] [--policy ours|fifo|…|all]")
    reports = []
    for policy in POLICIES if args.policy == "all" else (args.policy,):
        if args.policy == "all":
            print(f"{policy} …", file=sys.stderr)
        reports.append(simulate(
            Path(args.trace), args.gpus, policy, limit=args.limit, restart=args.restart, preemption=not args.steady
        ))
    if args.json:
        print(json.dumps({"reports": [dataclasses.asdict(report) for report in reports]}))
        return 0
    print(reporting.text(reports))
    print(reporting.plot(reports, color=colourful(sys.stdout)))
    return 0
