"""What policy would say, without making the call."""

from agentos.syscall import syscall
from agentos.types import Context, Explanation, Name, SyscallName


@syscall(
    effect="read",
    examples={
        "am I allowed to delete models?": {"syscall": "models.delete"},
        "我能下载模型吗": {"syscall": "models.pull"},
        "may bob load a model?": {"syscall": "models.load", "user": "bob"},
        "小李有没有权限卸载模型": {"syscall": "models.unload", "user": "小李"},
        "what rule decides who can run models.generate": {"syscall": "models.generate"},
        "audit.search 这个调用谁说了算，我可以用吗": {"syscall": "audit.search"},
        "please explain whether chen is permitted to quantize a model": {"syscall": "models.quantize", "user": "chen"},
        "麻烦解释一下为什么我取消任务要先确认": {"syscall": "jobs.cancel"},
        "would the system let dana submit jobs": {"syscall": "jobs.submit", "user": "dana"},
        "zhang.wei 删得了数据集吗？": {"syscall": "datasets.delete", "user": "zhang.wei"},
        "can I run models.pull?": {"syscall": "models.pull"},
        "who may look at the audit log": {"syscall": "audit.search"},
        "does marta need a confirmation to delete a model": {"syscall": "models.delete", "user": "marta"},
        "is wei.chen blocked from loading models?": {"syscall": "models.load", "user": "wei.chen"},
        "why would generating text be refused for 'guest7'": {"syscall": "models.generate", "user": "guest7"},
        "which policy covers looking at the machine's resources": {"syscall": "resources.query"},
        "could tomasz list the models if he wanted to": {"syscall": "models.list", "user": "tomasz"},
        "what would happen if I tried to undo a deletion, is it permitted": {"syscall": "kernel.undo"},
        "老陈能不能看审计记录": {"syscall": "audit.search", "user": "老陈"},
        "查询资源需要审批吗": {"syscall": "resources.query"},
        "lucy 可以让模型生成文字吗": {"syscall": "models.generate", "user": "lucy"},
        "models.unload 的策略规则是什么": {"syscall": "models.unload"},
        "撤销删除这种操作我有权限做吗": {"syscall": "kernel.undo"},
        "如果 guest7 来删模型，会被拒绝吗": {"syscall": "models.delete", "user": "guest7"},
    },
)
async def explain(ctx: Context, syscall: SyscallName, user: Name | None = None) -> Explanation:
    """Whether a user may make a call, and the rule that says so; nothing is run.

    Args:
        syscall: The syscall asked about, such as models.delete.
        user: Who would make it, or a role such as viewer; the caller where nobody is named.
    """
    return ctx.policy.explain(syscall, user, ctx.caller)
