"""What the prompt says beside its answers, in English and in Chinese."""

from __future__ import annotations

PROMPT: dict[str, tuple[str, str]] = {
    "step_runs": ("running", "开始执行"),
    "step_waits": ("waits for your yes", "等待你确认"),
    "step_done": ("done", "完成"),
    "welcome": (
        "agentos {0}, planning with {1}.\nSay what you want; /help for more, Ctrl-D to leave.",
        "agentos {0}，由 {1} 规划。\n直接说你想做什么；/help 查看帮助，Ctrl-D 退出。",
    ),
    "bye": (
        "The system goes on in the background; `agentos stop` ends it.",
        "系统仍在后台运行；用 `agentos stop` 停止。",
    ),
    "unknown_command": ("there is no {0}; /help lists what there is", "没有 {0} 这个命令；输入 /help 查看全部"),
    "needs_text": ("{0} takes a text after it", "{0} 后面要有内容"),
    "help": ("this list", "显示本列表"),
    "help_plan": ("the plan of a sentence, without running it", "只给出计划，不执行"),
    "help_edit": ("the plan of a sentence, edited by you before it runs", "先修改计划，再执行"),
    "help_status": ("the system and its kernel model", "系统与内核模型的状态"),
    "help_approvals": ("calls that wait for a yes; answer one", "等待确认的调用，并逐个答复"),
    "help_syscalls": ("what the system can do", "系统能做什么"),
    "help_jobs": ("jobs, live while one waits or runs; Ctrl-C leaves", "任务列表，实时刷新；Ctrl-C 退出"),
    "help_logs": ("what a job prints, until it ends", "查看任务输出，直到结束"),
    "help_models": ("models: all, or loaded, stored, catalog", "模型列表；可加 loaded、stored、catalog"),
    "help_runs": ("training runs, or the learning curves of some", "训练记录，或画出某几次的学习曲线"),
    "help_who": ("who you are here, and who else there is", "当前用户，以及所有用户"),
    "help_undo": ("bring back what was deleted last, or by its id", "恢复最近删除的内容，或按编号恢复"),
    "help_correct": (
        "the right plan of what was said last, to learn from",
        "改正上一句的计划，供以后学习；也可以直接说“不对，我是说……”",
    ),
    "help_ps": ("models in memory, live; Ctrl-C leaves", "内存中的模型，实时刷新；Ctrl-C 退出"),
    "help_top": ("the whole machine, live; q leaves", "整机概览，实时刷新；q 退出"),
    "help_history": ("what was typed before, or the lines with a text", "输入过的内容，可按文字查找"),
    "help_lang": ("the language of the interface: en, zh", "界面语言：en、zh"),
    "help_clear": ("an empty screen", "清屏"),
    "help_quit": ("leave; the system goes on", "退出；系统继续运行"),
    "help_shell": ("run COMMAND as a job and show its output; & lets it run beside",
                   "把 COMMAND 作为任务运行并显示输出；末尾加 & 则在后台运行"),
    "help_keys": (
        "Tab completes, Ctrl-R searches what was typed, Alt-Enter begins another line.\n"
        "Ctrl-C cancels what runs (or clears the line), Ctrl-Z suspends, Ctrl-D leaves.",
        "Tab 补全，Ctrl-R 搜索历史，Alt-Enter 换行。\n"
        "Ctrl-C 取消正在执行的内容（或清空本行），Ctrl-Z 挂起，Ctrl-D 退出。",
    ),
    "nothing_said": ("nothing was said yet that could be corrected", "还没有可以改正的话"),
    "correct_keys": (
        "“{0}” came to:\n{1}\nEdit it. Enter keeps it (Esc Enter where it has several lines), Ctrl-C does not.",
        "“{0}”的计划是：\n{1}\n请修改。回车保留（多行时用 Esc 回车），Ctrl-C 放弃。",
    ),
    "edit_keys": (
        "One call a line. Enter begins another line, Esc Enter runs the plan, Ctrl-C does not.",
        "每行一个调用。回车换行，Esc 回车执行，Ctrl-C 放弃。",
    ),
    "edit_file": (
        "# The plan of: {0}\n# One call a line; s1.model is what the first one gave, `after s1` waits for it.\n"
        "# Save and leave to run it; without any call in it, nothing runs.\n",
        "# 这句话的计划：{0}\n# 每行一个调用；s1.model 是第一步的结果，`after s1` 表示等第一步完成。\n"
        "# 保存退出即执行；删掉所有调用则什么都不执行。\n",
    ),
    "edit_failed": ("{0} could not be run ({1}); the plan is edited here", "无法运行 {0}（{1}）；改为在此处编辑"),
    "not_run": ("nothing was run", "没有执行"),
    "not_kept": ("not kept", "没有保留"),
    "kept": ("kept, to learn from: {0}\n{1}", "已保留，供以后学习：{0}\n{1}"),
    "remember": (
        "Keep on this machine, to learn from, that “{0}” means this? [y/N] ",
        "要在本机记住“{0}”是这个意思，供以后学习吗？[y/N] ",
    ),
    "who": ("{0} ({1})", "{0}（{1}）"),
    "who_user": ("USER", "用户"),
    "who_role": ("ROLE", "角色"),
    "lang_now": ("English", "中文"),
    "lang_what": ("/lang takes en or zh", "/lang 后面要写 en 或 zh"),
    "no_history": ("nothing was typed yet", "还没有输入过内容"),
    "job_beside": ("job {0} runs beside the prompt: /logs {0}", "任务 {0} 已在后台运行：/logs {0}"),
    "job_ended": ("job {0} ({1}) {2} after {3}", "任务 {0}（{1}）{2}，用时 {3}"),
    "job_over": ("job {0} ({1}) {2}", "任务 {0}（{1}）{2}"),
    "job_exit": ("job {0}: {1}", "任务 {0}：{1}"),
    "job_cancelled": ("job {0} is cancelled", "任务 {0} 已取消"),
    "job_goes_on": ("job {0} goes on: /logs {0}", "任务 {0} 仍在运行：/logs {0}"),
    "state_succeeded": ("succeeded", "成功"),
    "state_failed": ("failed", "失败"),
    "state_cancelled": ("was cancelled", "已取消"),
    "bar_memory": ("mem", "内存"),
    "bar_jobs": ("{0} running", "{0} 个任务运行中"),
    "bar_queued": ("{0} queued", "{0} 个排队"),
    "bar_approvals": ("{0} wait for a yes: /approvals", "{0} 个等待确认：/approvals"),
    "bar_gone": ("no system runs", "系统没有运行"),
}
