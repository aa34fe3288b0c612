"""Network interfaces."""

from __future__ import annotations

import socket

import psutil

from agentos.types import Network


def read() -> list[Network]:
    """Network interfaces, those that are up first; addresses are IPv4 and IPv6."""
    try:
        stats, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    except OSError:
        stats, addresses = {}, {}
    try:
        counters = psutil.net_io_counters(pernic=True) or {}
    except OSError:
        counters = {}
    found: list[Network] = []
    for name in {*stats, *addresses, *counters}:
        counter = counters.get(name)
        found.append(
            Network(
                interface=name,
                up=bool(name in stats and stats[name].isup),
                sent=counter.bytes_sent if counter else 0,
                received=counter.bytes_recv if counter else 0,
                addresses=tuple(
                    address.address.split("%", 1)[0]
                    for address in addresses.get(name, [])
                    if address.family in (socket.AF_INET, socket.AF_INET6)
                ),
            )
        )
    return sorted(found, key=lambda each: (not each.up, each.interface))
