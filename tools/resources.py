"""What the machine has and what is using it."""

from typing import Literal

from agentos.syscall import syscall
from agentos.types import Context, ResourceReport

Kind = Literal["all", "cpu", "memory", "gpu", "disk", "network", "processes"]


@syscall(
    effect="read",
    examples={
        "how much memory is free?": {"kind": "memory"},
        "现在GPU占用怎么样": {"kind": "gpu"},
        "disk usage": {"kind": "disk"},
        "看看CPU忙不忙": {"kind": "cpu"},
        "could you tell me which 3 programs are eating the most RAM, please": {"kind": "processes", "top": 3},
        "帮我列出占资源最多的20个进程": {"kind": "processes", "top": 20},
        "how is this machine doing overall?": {},
        "麻烦把所有资源的情况都给我看一下": {"kind": "all"},
        "is there a graphics card in here": {"kind": "gpu"},
        "硬盘还剩多少空间": {"kind": "disk"},
        "everything feels slow, what is running right now?": {"kind": "processes"},
        "内存够用吗": {"kind": "memory"},
        "what is my IP address": {"kind": "network"},
        "网卡收发了多少流量": {"kind": "network"},
    },
)
async def query(ctx: Context, kind: Kind = "all", top: int = 10) -> ResourceReport:
    """What the machine has and what is using it.

    Args:
        kind: Which resource; a machine without a GPU answers with an empty list.
        top: How many processes, the hungriest first.
    """
    return await ctx.resources.report(kind, top=top)
