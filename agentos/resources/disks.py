"""Mounted file systems that hold data."""

from __future__ import annotations

import os
import threading

import psutil

from agentos.types import Disk

_PSEUDO = {
    "anon_inodefs", "autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs",
    "devpts", "devtmpfs", "efivarfs", "fdescfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "nullfs", "proc", "procfs", "pstore", "ramfs", "rpc_pipefs",
    "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs",
}  # fmt: skip
_WAIT = 2.0
"""Seconds a file system may take to answer: one whose server is gone never does."""


def read() -> list[Disk]:
    """File systems by mount point, each once; pseudo ones and those that do not answer are left out."""
    seen: set[object] = set()
    found: list[Disk] = []
    # Every mount, since a container's root lies on no device; the shortest name of a file system is its best.
    for part in sorted(psutil.disk_partitions(all=True), key=lambda each: (len(each.mountpoint), each.mountpoint)):
        options = part.opts.split(",")
        if part.fstype.lower() in _PSEUDO or "cdrom" in options or not part.fstype:
            continue
        if part.mountpoint != "/" and (part.fstype == "overlay" or "nobrowse" in options):
            continue  # other containers' roots; macOS' own volumes
        device = part.device if part.device.startswith("/") or os.name == "nt" else part.mountpoint
        disk = None if device in seen else _usage(part.mountpoint)
        if disk is None or disk.total == 0:
            continue
        seen.add(device)
        found.append(disk)
    return sorted(found, key=lambda disk: disk.mount)


def _usage(mount: str) -> Disk | None:
    answer: list[Disk] = []

    def ask() -> None:
        try:
            if os.path.isdir(mount):  # a container has single files mounted over its own
                usage = psutil.disk_usage(mount)
                answer.append(Disk(mount, usage.total, usage.used, usage.free, usage.percent))
        except OSError:
            return

    # A daemon thread, so that one that never answers holds up neither this call nor the end of the process.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_WAIT)
    return answer[0] if answer else None
