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
        "what's the RAM situation on this box": {"kind": "memory"},
        "how big is the swap and is any of it used?": {"kind": "memory"},
        "这台电脑一共装了几个G的内存条": {"kind": "memory"},
        "free mem pls": {"kind": "memory"},
        "am I about to run out of RAM? the notebook keeps dying": {"kind": "memory"},
        "any VRAM left?": {"kind": "gpu"},
        "显存还剩多少": {"kind": "gpu"},
        "how hot is the gpu running": {"kind": "gpu"},
        "显卡温度高不高，帮忙看一眼": {"kind": "gpu"},
        "video memory in use": {"kind": "gpu"},
        "看下 nvidia 卡的 utilization": {"kind": "gpu"},
        "load average": {"kind": "cpu"},
        "how many cores do I have to play with": {"kind": "cpu"},
        "处理器是几核的，现在负载多大": {"kind": "cpu"},
        "wat is the procesor load rn": {"kind": "cpu"},
        "the fans are screaming, would you check whether the cpu is pegged": {"kind": "cpu"},
        "还有多少存储空间可以用": {"kind": "disk"},
        "storage left on the main drive?": {"kind": "disk"},
        "before I copy my 40 GB of videos over: will they fit on the ssd": {"kind": "disk"},
        "磁盘快满了吗": {"kind": "disk"},
        "df -h": {"kind": "disk"},
        "bandwidth right now": {"kind": "network"},
        "现在网速怎么样，带宽占了多少": {"kind": "network"},
        "which network interfaces are up?": {"kind": "network"},
        "top five processes": {"kind": "processes", "top": 5},
        "procs": {"kind": "processes"},
        "前十个最吃内存的程序是哪些": {"kind": "processes", "top": 10},
        "I'd like the 15 hungriest tasks by cpu time": {"kind": "processes", "top": 15},
        "谁在占用这么多CPU": {"kind": "processes"},
        "just two of the heaviest programs, no more": {"kind": "processes", "top": 2},
        "is this server heavily loaded at the moment": {},
        "机器现在压力大吗，整体看看": {},
        "full hardware overview, all of it": {"kind": "all"},
        "系统资源概况": {},
    },
)
async def query(ctx: Context, kind: Kind = "all", top: int = 10) -> ResourceReport:
    """What the machine has and what is using it.

    Args:
        kind: Which resource; a machine without a GPU answers with an empty list.
        top: How many processes, the hungriest first.
    """
    return await ctx.resources.report(kind, top=top)
