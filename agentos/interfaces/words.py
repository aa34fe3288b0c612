"""What the interface says, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[..., str]

_WORDS: dict[str, tuple[str, str]] = {
    "plan": ("plan", "计划"),
    "after": ("after {0}", "在 {0} 之后"),
    "held": ("This needs your yes:", "这一步需要你确认："),
    "why": ("why", "原因"),
    "effect": ("effect", "作用"),
    "choose": (
        "[y] once  [s] for this session  [a] always  [n] no > ",
        "[y] 仅此一次  [s] 本次会话  [a] 以后都允许  [n] 不 > ",
    ),
    "choose_again": ("Answer y, s, a or n.", "请输入 y、s、a 或 n。"),
    "waiting": (
        "{1} waits for a person's yes. Approve it with `agentos approve {0}`, or `agentos refuse {0}`.",
        "{1} 正等待人工确认。用 `agentos approve {0}` 批准，或用 `agentos refuse {0}` 拒绝。",
    ),
    "refused": ("not run", "没有执行"),
    "cancelled": ("cancelled", "已取消"),
    "nothing_runs": ("no system is running on {0}", "{0} 上没有正在运行的系统"),
    "stopped": ("stopped", "已停止"),
    "starting": ("starting", "正在启动"),
    "error": ("error", "错误"),
    "welcome": (
        "agentos {0}, planning with {1}.\nSay what you want; /help for more, Ctrl-D to leave.",
        "agentos {0}，由 {1} 规划。\n直接说你想做什么；/help 查看帮助，Ctrl-D 退出。",
    ),
    "pending": ("{0} call(s) wait for a yes: /approvals", "有 {0} 个调用等待确认：/approvals"),
    "none_pending": ("nothing waits for a yes", "没有等待确认的调用"),
    "unknown_command": ("there is no {0}; /help lists what there is", "没有 {0} 这个命令；输入 /help 查看全部"),
    "needs_text": ("{0} takes a text after it", "{0} 后面要有内容"),
    "bye": (
        "The system goes on in the background; `agentos stop` ends it.",
        "系统仍在后台运行；用 `agentos stop` 停止。",
    ),
    "help": ("this list", "显示本列表"),
    "help_plan": ("the plan of a sentence, without running it", "只给出计划，不执行"),
    "help_status": ("the system and its kernel model", "系统与内核模型的状态"),
    "help_approvals": ("calls that wait for a yes; answer one", "等待确认的调用，并逐个答复"),
    "help_syscalls": ("what the system can do", "系统能做什么"),
    "help_jobs": ("jobs, live while one waits or runs; Ctrl-C leaves", "任务列表，实时刷新；Ctrl-C 退出"),
    "help_undo": ("bring back what was deleted last, or by its id", "恢复最近删除的内容，或按编号恢复"),
    "help_quit": ("leave; the system goes on", "退出；系统继续运行"),
    "help_keys": (
        "Ctrl-C cancels what runs (or clears the line), Ctrl-R searches the history, Tab completes.",
        "Ctrl-C 取消正在执行的内容（或清空本行），Ctrl-R 搜索历史，Tab 补全。",
    ),
    "ready": ("ready", "就绪"),
    "not_ready": ("starting: {0}", "正在启动：{0}"),
    "broken": ("could not start: {0}", "无法启动：{0}"),
    "model": ("kernel model", "内核模型"),
    "home": ("home", "目录"),
    "process": ("process", "进程"),
}


def speaker(language: str) -> Say:
    """A function that gives the words of a key in `en` or `zh`, with what it is given filled in."""
    column = 1 if language == "zh" else 0

    def say(key: str, *given: object) -> str:
        return _WORDS[key][column].format(*given)

    return say
