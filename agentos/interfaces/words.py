"""What the interface says, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Callable

from agentos.interfaces.words_mcp import MCP
from agentos.interfaces.words_people import PEOPLE
from agentos.interfaces.words_prompt import PROMPT

Say = Callable[..., str]

_WORDS: dict[str, tuple[str, str]] = {
    "plan": ("plan", "计划"),
    "after": ("after {0}", "在 {0} 之后"),
    "held": ("This needs your yes:", "这一步需要你确认："),
    "why": ("why", "原因"),
    "outside": ("[from outside: {0}]", "[来自外部：{0}]"),
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
    "pending": ("{0} call(s) wait for a yes: /approvals", "有 {0} 个调用等待确认：/approvals"),
    "none_pending": ("nothing waits for a yes", "没有等待确认的调用"),
    "ready": ("ready", "就绪"),
    "not_ready": ("starting: {0}", "正在启动：{0}"),
    "broken": ("could not start: {0}", "无法启动：{0}"),
    "model": ("kernel model", "内核模型"),
    "home": ("home", "目录"),
    "process": ("process", "进程"),
    "policies": ("policies", "策略"),
    "policies_refused": (
        "not taken in, the rules before stay in force: {0} (`agentos policy` says more)",
        "未采用，仍按原有规则判定：{0}（详见 `agentos policy`）",
    ),
    "no_reviews": ("no reply waits for review", "没有等待审核的回答"),
    "rules_broken": ("the rules over replies stay as they were: {0}", "回答规则仍按原样生效：{0}"),
    "review_released": ("{0} is released; who asked can fetch it", "已放行 {0}，提问者可以取得"),
    "review_refused": ("{0} is refused; its text is deleted", "已拒绝 {0}，内容已删除"),
    "review_waits": ("{0} waits for review: {1}", "{0} 正在等待审核：{1}"),
    "review_no": ("{0} was refused: {1}", "{0} 被拒绝：{1}"),
    "review_gone": ("{0} was released and fetched; its text is not kept", "{0} 已放行并取走，内容不再保留"),
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
    **MCP,
    **PEOPLE,
    **PROMPT,
}


class Speaker:
    """Gives the words of a key in the language that it speaks now, with what it is given filled in."""

    def __init__(self, language: str) -> None:
        """Speaks `en` or `zh`."""
        self.language = language

    def __call__(self, key: str, *given: object) -> str:
        """The words of a key."""
        return _WORDS[key][1 if self.language == "zh" else 0].format(*given)


def speaker(language: str) -> Speaker:
    """What gives the words of a key in `en` or `zh`."""
    return Speaker(language)
