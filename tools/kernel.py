"""The kernel itself: how it is, what it can do, and taking back what was deleted."""

from agentos.syscall import syscall
from agentos.types import Context, Help, KernelStatus, Name, Topic, Undone


@syscall(
    effect="read",
    examples={
        "status": {},
        "系统现在正常吗": {},
        "which model is the kernel running on?": {},
        "内核用的是哪个模型": {},
        "are you up, and for how long already": {},
        "agentos 是什么版本的": {},
        "how fast have your plans been so far?": {},
        "请告诉我系统的进程号和主目录": {},
        "kernel status": {},
        "how long have you been running": {},
        "what version of agentos is this?": {},
        "is the kernel healthy": {},
        "your pid, please": {},
        "which language model powers you": {},
        "everything fine with you, agentos? just checking in": {},
        "你启动多久了": {},
        "把版本号报一下": {},
        "看看你自己的运行状况": {},
        "规划一句话平均要花多长时间": {},
    },
)
async def status(ctx: Context) -> KernelStatus:
    """How agentos itself is: its kernel model, version, uptime, and speed of planning; not the machine's resources."""
    return ctx.kernel.status()


@syscall(
    effect="read",
    examples={
        "help": {},
        "你能做什么": {},
        "what can you do?": {},
        "列出所有可用的命令": {},
        "how do I use the models commands?": {"topic": "models"},
        "models.load 怎么用": {"topic": "models.load"},
        "show me the documentation for audit.search": {"topic": "audit.search"},
        "i'd like to know what there is for training": {"topic": "training"},
        "教我怎么处理 datasets": {"topic": "datasets"},
        "list the commands": {},
        "I'm new here, where do I start?": {},
        "what sort of things can I ask you to do": {},
        "manual": {},
        "help audit": {"topic": "audit"},
        "how does models.pull work": {"topic": "models.pull"},
        "what arguments does models.generate take?": {"topic": "models.generate"},
        "有哪些功能可以用": {},
        "使用说明": {},
        "怎么用 kernel.undo": {"topic": "kernel.undo"},
        "policy 相关的命令有哪些": {"topic": "policy"},
        "能教教我 resources 这一类怎么用吗": {"topic": "resources"},
    },
)
async def help_(ctx: Context, topic: Topic | None = None) -> Help:
    """What the system can do and how to ask for it: every syscall, or those about a topic.

    Args:
        topic: A family such as models, or one syscall such as models.load.
    """
    return ctx.kernel.help(topic)


@syscall(
    effect="write",
    examples={
        "undo that": {},
        "撤销刚才的删除": {},
        "oops, bring back what I just deleted": {},
        "删错了，帮我恢复": {},
        "please restore u3fa9c01e": {"item": "u3fa9c01e"},
        "恢复 u77b20d4c": {"item": "u77b20d4c"},
        "i didn't mean to remove it, can it be recovered?": {},
        "把上次删掉的东西找回来": {},
        "undo": {},
        "undelete please": {},
        "that deletion was a mistake, roll it back": {},
        "ctrl-z on my last delete": {},
        "put u5c2d7aa0 back, I need it after all": {"item": "u5c2d7aa0"},
        "can you bring back the deleted item 'u44aa01bc'?": {"item": "u44aa01bc"},
        "撤销": {},
        "反悔了，取消上一次删除": {},
        "刚才不该删的，还原回来吧": {},
        "把 u9d00c3e7 这一项还原": {"item": "u9d00c3e7"},
    },
)
async def undo(ctx: Context, item: Name = "last") -> Undone:
    """Brings back something that was deleted, for a day after.

    Args:
        item: The undo id that deleting gave; last is what you deleted most recently.
    """
    return await ctx.trash.restore(item, ctx.caller)
