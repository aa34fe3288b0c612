"""What can never run is told from what must wait."""

from __future__ import annotations

import pytest

from agentos.jobs.scheduling import Node, Request, fits

NODES = (Node("a", 8, 100, (0, 1)), Node("b", 32, 50))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"cpus": 8, "memory": 100, "gpus": 2}, None),
        ({"cpus": 32, "memory": 50}, None),
        ({"cpus": 33}, "33 CPUs (the most is 32)"),
        ({"gpus": 3, "memory": 101}, "101 bytes of memory (the most is 100) and 3 GPUs (the most is 2)"),
        ({"cpus": 9, "gpus": 1}, "no single node of a, b has"),
    ],
)
def test_a_request_fits_a_node_or_the_reason_is_told(asked, reason):
    found = fits(Request("1", "ann", 0.0, **asked), NODES)
    assert found is None if reason is None else reason in (found or "")


def test_without_nodes_nothing_fits():
    assert fits(Request("1", "ann", 0.0), ()) == "there is no node"
