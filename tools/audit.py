"""What was called, by whom, what was decided and what became of it."""

from typing import Literal

from agentos.syscall import syscall
from agentos.types import AuditRows, Context, Name, SyscallName, When

Ruling = Literal["allow", "deny", "confirm"]


@syscall(
    effect="read",
    examples={
        "show me the audit trail": {},
        "昨天以来都有哪些调用": {"since": "昨天"},
        "why was bob's call denied": {"user": "bob", "decision": "deny"},
        "小王最近一小时干了什么": {"user": "小王", "since": "最近一小时"},
        "who deleted a model last week?": {"syscall": "models.delete", "since": "last week"},
        "谁加载过模型": {"syscall": "models.load"},
        "could you pull up everything that was refused today, please": {"decision": "deny", "since": "today"},
        "哪些调用是需要人工确认的": {"decision": "confirm"},
        "list alice's models.pull calls since 2026-05-01": {
            "user": "alice", "syscall": "models.pull", "since": "2026-05-01",
        },
        "查一下被拒绝的 jobs.submit 记录": {"syscall": "jobs.submit", "decision": "deny"},
        "audit log": {},
        "what has been called in the last 30 minutes": {"since": "last 30 minutes"},
        "show the calls that were allowed since Monday": {"decision": "allow", "since": "Monday"},
        "everything lucy ran from 2026-04-12 onwards": {"user": "lucy", "since": "2026-04-12"},
        "did anyone call models.unload after 9am?": {"syscall": "models.unload", "since": "9am"},
        "who got blocked trying to pull models": {"syscall": "models.pull", "decision": "deny"},
        "tomasz's approved calls to models.generate": {
            "user": "tomasz", "syscall": "models.generate", "decision": "allow",
        },
        "has wei.chen undone any deletions over the past 2 days": {
            "user": "wei.chen", "syscall": "kernel.undo", "since": "past 2 days",
        },
        "有谁查过机器的资源": {"syscall": "resources.query"},
        "上周被拦下来的操作": {"decision": "deny", "since": "上周"},
        "看看审计日志": {},
        "把 marta 的操作历史调出来": {"user": "marta"},
        "从5月3号开始 lucy 卸载模型的记录": {"user": "lucy", "syscall": "models.unload", "since": "5月3号"},
        "所有放行的调用都列出来": {"decision": "allow"},
    },
)
async def search(
    ctx: Context,
    user: Name | None = None,
    syscall: SyscallName | None = None,
    decision: Ruling | None = None,
    since: When | None = None,
) -> AuditRows:
    """Past calls and decisions, newest first: who called what, when, and how it ended.

    Args:
        user: Whose calls.
        syscall: Calls of this one, such as models.delete.
        decision: What policy said; deny is what was refused.
        since: From when on, as it was said: yesterday, 1h, 2026-05-01.
    """
    return ctx.audit.search(user=user, syscall=syscall, decision=decision, since=since, caller=ctx.caller)
