"""The environment of a job: clean, so that nothing of the system's own gets into it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentos.jobs.executor import Order
from agentos.jobs.tree import MARK

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def environment(order: Order, mark: str, system: Mapping[str, str] | None = None) -> dict[str, str]:
    """All the variables of an attempt.

    Args:
        order: What it brings itself; its secrets win over its other variables.
        mark: By which its processes are known.
        system: The environment of which a few names are kept; this process's own where None.
    """
    source = os.environ if system is None else system
    base = {name: value for name, value in source.items() if name in _KEPT or name.startswith("LC_")}
    base.setdefault("PATH", os.defpath)
    base.setdefault("LANG", "C.UTF-8")
    # Output that waits in a buffer cannot be followed.
    base["PYTHONUNBUFFERED"] = "1"
    base |= dict.fromkeys(_THREADS, str(max(1, order.cpus)))
    # Threads that wait for each other give their core away soon: where programs share cores, those that spin make
    # each other several times slower.
    base["GOMP_SPINCOUNT"] = "1000"
    base |= order.env
    base |= order.secrets
    base["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order.gpus))
    base["AGENTOS_JOB"] = order.job
    base[MARK] = mark
    return base
