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
    "help_correct": (
        "the right plan of what was said last, to learn from; “no, I meant …” says it another way",
        "改正上一句的计划，供以后学习；也可以直接说“不对，我是说……”",
    ),
    "nothing_said": ("nothing was said yet that could be corrected", "还没有可以改正的话"),
    "correct_keys": (
        "“{0}” came to:\n{1}\nEdit it. Enter keeps it (Esc Enter where it has several lines), Ctrl-C does not.",
        "“{0}”的计划是：\n{1}\n请修改。回车保留（多行时用 Esc 回车），Ctrl-C 放弃。",
    ),
    "not_kept": ("not kept", "没有保留"),
    "kept": ("kept, to learn from: {0}\n{1}", "已保留，供以后学习：{0}\n{1}"),
    "remember": (
        "Keep on this machine, to learn from, that “{0}” means this? [y/N] ",
        "要在本机记住“{0}”是这个意思，供以后学习吗？[y/N] ",
    ),
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
    "no_models": ("no model is in memory", "内存中没有模型"),
    "budget": ("{0}: {1} of {2} taken by models", "{0}：模型占用 {1}，上限 {2}"),
    "ps_model": ("MODEL", "模型"),
    "ps_engine": ("ENGINE", "引擎"),
    "ps_state": ("STATE", "状态"),
    "ps_device": ("DEVICE", "设备"),
    "ps_memory": ("MEMORY", "内存"),
    "ps_gpu_memory": ("GPU MEM", "显存"),
    "ps_requests": ("REQ", "请求"),
    "ps_rate": ("TOK/S", "词元/秒"),
    "ps_served": ("SERVED", "已应答"),
    "ps_leaves": ("LEAVES IN", "剩余时间"),
    "ps_replicas": ("REPLICAS", "副本"),
    "ps_restarts": ("RESTARTS", "重启"),
    "ps_cost": ("COST", "费用"),
    "state_waiting": ("waiting", "等待"),
    "state_loading": ("loading", "加载中"),
    "state_ready": ("ready", "就绪"),
    "state_busy": ("busy", "忙"),
    "state_restarting": ("restarting", "重启中"),
    "state_unloading": ("unloading", "卸载中"),
    "in_use": ("in use", "使用中"),
    "stays": ("stays", "常驻"),
    "help_ps": ("models in memory, live; Ctrl-C leaves", "内存中的模型，实时刷新；Ctrl-C 退出"),
    "help_top": ("the whole machine, live; q leaves", "整机概览，实时刷新；q 退出"),
    "top_up": ("up {0}", "已运行 {0}"),
    "top_keys": ("q quit  p pause  s sort: {0}", "q 退出  p 暂停  s 排序：{0}"),
    "top_paused": ("PAUSED", "已暂停"),
    "top_gone": ("the system does not answer: {0}", "系统没有应答：{0}"),
    "sort_memory": ("memory", "内存"),
    "sort_cpu": ("cpu", "处理器"),
    "sort_name": ("name", "名称"),
    "top_cpu": ("CPU", "CPU"),
    "top_cores": ("{0} cores", "{0} 核"),
    "top_load": ("load {0}", "负载 {0}"),
    "top_memory": ("Memory", "内存"),
    "top_swap": ("swap {0} of {1}", "交换区 {0} / {1}"),
    "top_of": ("{0} of {1}", "{0} / {1}"),
    "top_disk": ("Disk", "磁盘"),
    "top_free": ("{0} free of {1}", "空闲 {0} / {1}"),
    "top_io": ("read {0}/s  write {1}/s", "读 {0}/秒  写 {1}/秒"),
    "top_net": ("Net", "网络"),
    "top_flow": ("in {0}/s  out {1}/s", "收 {0}/秒  发 {1}/秒"),
    "top_jobs": ("Jobs: {0} running, {1} queued", "任务：{0} 运行中，{1} 排队"),
    "job_id": ("JOB", "任务"),
    "job_name": ("NAME", "名称"),
    "job_state": ("STATE", "状态"),
    "job_progress": ("DONE", "进度"),
    "job_time": ("TIME", "时长"),
    "job_user": ("USER", "用户"),
    "process_pid": ("PID", "进程号"),
    "process_name": ("PROCESS", "进程"),
    "process_cpu": ("CPU", "CPU"),
    "process_memory": ("MEMORY", "内存"),
    "rate_left": ("{0} left", "剩 {0}"),
}


def speaker(language: str) -> Say:
    """A function that gives the words of a key in `en` or `zh`, with what it is given filled in."""
    column = 1 if language == "zh" else 0

    def say(key: str, *given: object) -> str:
        return _WORDS[key][column].format(*given)

    return say
