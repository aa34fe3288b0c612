"""A real Ray cluster on this machine, for tests: run as a process, it obeys lines of JSON and answers with one each.

`{"add": {...}}` adds a node and tells its id and the number of its raylet; the end of the input ends the cluster.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A raylet that was killed is found dead in two seconds, not fifteen; one that is slow still has ten.
    "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
}


def main() -> None:
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    common: dict[str, Any] = {"object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster()
    for line in sys.stdin:
        node = cluster.add_node(**common, **json.loads(line)["add"])
        raylet = node.all_processes["raylet"][0].process.pid
        print(json.dumps({"address": cluster.address, "id": node.node_id, "raylet": raylet}), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
