"""Commands that run in the background: queued, given room, watched, and never lost."""

from typing import Literal

from agentos.syscall import syscall
from agentos.types import (
    Context,
    JobCancelled,
    JobCard,
    JobList,
    JobLog,
    JobName,
    JobRequest,
    JobSubmitted,
    KeepAlive,
    Name,
    Priority,
    Private,
    Size,
    When,
)

State = Literal["all", "queued", "running", "succeeded", "failed", "cancelled"]


@syscall(
    effect="execute",
    examples={
        "run `python train.py` in the background": {"command": "python train.py"},
        "submit make test as a job with 4 cpus": {"command": "make test", "cpus": 4},
        "queue up `python train.py --epochs 3` on 2 gpus": {"command": "python train.py --epochs 3", "gpus": 2},
        "start a background job: ./prepare.sh data/*.csv > out.txt": {"command": "./prepare.sh data/*.csv > out.txt"},
        'run "make -j4 test" with 8GB of memory and call it unit-tests': {
            "command": "make -j4 test", "name": "unit-tests", "memory": "8GB",
        },
        "submit `torchrun --nproc_per_node 2 ddp.py`, it is urgent, give it two gpus": {
            "command": "torchrun --nproc_per_node 2 ddp.py", "gpus": 2, "priority": "high",
        },
        "run 'bash nightly.sh' tonight at 11 with high priority": {
            "command": "bash nightly.sh", "priority": "high", "at": "tonight at 11",
        },
        "run `bash backup.sh` after job 12": {"command": "bash backup.sh", "after": ["12"]},
        "kick off `python sweep.py --lr 1e-4` in 20 minutes": {
            "command": "python sweep.py --lr 1e-4", "at": "in 20 minutes",
        },
        "have 'python flaky.py' run in the background, retry twice if it fails": {
            "command": "python flaky.py", "retries": 2,
        },
        "launch `./simulate --steps 100000` as a job and stop it after 2 hours": {
            "command": "./simulate --steps 100000", "time_limit": "2h",
        },
        "run `make all` in /srv/project as a low priority job": {
            "command": "make all", "priority": "low", "folder": "/srv/project",
        },
        "submit `python infer.py` with CUDA_VISIBLE_DEVICES=0 in its environment": {
            "command": "python infer.py", "env": ["CUDA_VISIBLE_DEVICES=0"],
        },
        "background this, please: find . -name '*.log' -size +10M": {"command": "find . -name '*.log' -size +10M"},
        "schedule `python score.py` for tomorrow 9am": {"command": "python score.py", "at": "tomorrow 9am"},
        "as a job, execute nvidia-smi --query-gpu=name --format=csv": {
            "command": "nvidia-smi --query-gpu=name --format=csv",
        },
        "在后台运行 ./prepare.sh": {"command": "./prepare.sh"},
        "提交任务 python eval.py，用2块GPU": {"command": "python eval.py", "gpus": 2},
        "后台跑一下 `python train.py --config cfg.yaml`，用两块显卡": {
            "command": "python train.py --config cfg.yaml", "gpus": 2,
        },
        "提交“bash run.sh”，限制内存 4GB": {"command": "bash run.sh", "memory": "4GB"},
        "以高优先级运行 python hot_patch.py": {"command": "python hot_patch.py", "priority": "high"},
        "等任务 3 和 5 完成后运行 ./merge.sh": {"command": "./merge.sh", "after": ["3", "5"]},
        "今晚十一点执行 `bash nightly_backup.sh`": {"command": "bash nightly_backup.sh", "at": "今晚十一点"},
        "半小时后在后台跑 python crawl.py --depth 2": {"command": "python crawl.py --depth 2", "at": "半小时后"},
        "把 `make bench` 放到后台，失败重试3次": {"command": "make bench", "retries": 3},
        "运行 `python tune.py`，最多跑30分钟": {"command": "python tune.py", "time_limit": "30m"},
        "在 /data/exp 目录下后台执行 ./run_all.sh": {"command": "./run_all.sh", "folder": "/data/exp"},
        "提交任务 'python serve_check.py'，起名叫 health-check": {
            "command": "python serve_check.py", "name": "health-check",
        },
        "用8个核在后台编译：make -j8": {"command": "make -j8", "cpus": 8},
        "不着急，低优先级跑 `python reindex.py` 就行": {"command": "python reindex.py", "priority": "low"},
        "后台运行 python probe.py，环境变量设成 SEED=42": {"command": "python probe.py", "env": ["SEED=42"]},
    },
)
async def submit(
    ctx: Context,
    command: Private,
    name: Name | None = None,
    cpus: int = 1,
    gpus: int = 0,
    memory: Size | None = None,
    priority: Priority = "normal",
    after: list[JobName] | None = None,
    at: When | None = None,
    retries: int = 0,
    time_limit: KeepAlive | None = None,
    folder: Name | None = None,
    env: list[Private] | None = None,
    secrets: list[Name] | None = None,
    preemptible: bool = False,
) -> JobSubmitted:
    """Runs a command in the background, once there is room for it.

    Args:
        command: What to run, as one would type it in a shell.
        name: A name for it; the command's first word by default.
        cpus: Processor cores that are kept for it.
        gpus: Graphics processors that it gets for itself.
        memory: The most it may take; it is ended when it takes more.
        priority: Who goes first.
        after: Jobs that must succeed before it starts.
        at: When to start it, at the earliest.
        retries: How often it is tried again when it fails.
        time_limit: How long it may run.
        folder: Where it runs; where you are by default.
        env: Variables of its environment, as `NAME=value`.
        secrets: Stored secrets that become variables of its environment.
        preemptible: Whether it may be ended to make room for another job, and run again from its own checkpoint.
    """
    request = JobRequest(
        command, name, cpus, gpus, memory, priority, tuple(after or ()), at, retries, time_limit, folder,
        tuple(env or ()), tuple(secrets or ()), preemptible,
    )
    return await ctx.jobs.submit(request, ctx.caller, ctx.call)


@syscall(
    effect="read",
    examples={
        "list my jobs": {},
        "which jobs are running?": {"state": "running"},
        "what's running in the background": {"state": "running"},
        "is anything still stuck in the queue": {"state": "queued"},
        "anything failed?": {"state": "failed"},
        "show finished jobs": {"state": "succeeded"},
        "jobs that succeeded": {"state": "succeeded"},
        "which jobs have been cancelled": {"state": "cancelled"},
        "every job there is, whatever became of it": {"state": "all"},
        "jobs, please": {},
        "看看排队的任务": {"state": "queued"},
        "还有几个任务在等着": {"state": "queued"},
        "有哪些任务失败了": {"state": "failed"},
        "正在跑的任务有哪些": {"state": "running"},
        "后台现在都在跑什么": {"state": "running"},
        "跑完的任务都给我看看": {"state": "succeeded"},
        "被取消掉的任务": {"state": "cancelled"},
        "列出所有任务": {"state": "all"},
        "任务列表": {},
        "我提交过哪些任务": {},
    },
)
async def list_(ctx: Context, state: State = "all") -> JobList:
    """The jobs, newest first.

    Args:
        state: Only those in this state; `queued` has those that wait for a time or another job, too.
    """
    return await ctx.jobs.listing(state)


@syscall(
    effect="read",
    outside=("name", "reason", "user", "command", "folder"),
    examples={
        "show me job 12": {"job": "12"},
        "how is job nightly doing?": {"job": "nightly"},
        "details of job 50": {"job": "50"},
        "did job 2 succeed?": {"job": "2"},
        "why did job 9 fail": {"job": "9"},
        "how much memory did nightly-eval use": {"job": "nightly-eval"},
        "exit code of exp_12": {"job": "exp_12"},
        "查看任务 7": {"job": "7"},
        "任务 42 现在是什么状态": {"job": "42"},
        "nightly-eval 跑到哪一步了": {"job": "nightly-eval"},
        "任务 1 为什么会失败": {"job": "1"},
        "看一下任务“exp_12”的详情": {"job": "exp_12"},
    },
)
async def show(ctx: Context, job: JobName) -> JobCard:
    """All that is known of one job: state, resources, attempts, exit code, memory.

    Args:
        job: Its id or its name.
    """
    return await ctx.jobs.card(job)


@syscall(
    effect="read",
    untrusted=True,
    examples={
        "show the log of job 12": {"job": "12"},
        "last 20 lines of output of job nightly": {"job": "nightly", "tail": 20},
        "what has job 5 printed so far": {"job": "5"},
        "follow the log of job 12": {"job": "12", "follow": True},
        "tail -f exp_12": {"job": "exp_12", "follow": True},
        "the last five lines that job 77 wrote": {"job": "77", "tail": 5},
        "keep showing me the output of job 16 until it ends": {"job": "16", "follow": True},
        "could I see the stdout of 'warmup'?": {"job": "warmup"},
        "任务 7 的日志": {"job": "7"},
        "看任务 8 的最后100行输出": {"job": "8", "tail": 100},
        "把任务 19 的输出打出来": {"job": "19"},
        "任务 nightly 最后二十行日志": {"job": "nightly", "tail": 20},
        "实时跟踪任务 36 的日志": {"job": "36", "follow": True},
        "看看 exp_12 都打印了些什么": {"job": "exp_12"},
    },
)
async def logs(ctx: Context, job: JobName, tail: int = 50, follow: bool = False) -> JobLog:
    """What a job has printed.

    Args:
        job: Its id or its name.
        tail: How many lines, from the end.
        follow: Whether to go on with what it prints until it ends.
    """
    return await ctx.jobs.logs(job, tail, follow, ctx.text)


@syscall(
    effect="read",
    outside=("name", "reason", "user", "command", "folder"),
    examples={
        "wait for job 12": {"job": "12"},
        "tell me when the job nightly is done": {"job": "nightly"},
        "block until exp_12 ends": {"job": "exp_12"},
        "等任务 7 结束": {"job": "7"},
        "任务 24 跑完了告诉我一声": {"job": "24"},
        "一直等到 nightly-eval 完成为止": {"job": "nightly-eval"},
    },
)
async def wait(ctx: Context, job: JobName) -> JobCard:
    """Waits until a job has ended, and tells how.

    Args:
        job: Its id or its name.
    """
    return await ctx.jobs.wait(job, ctx.progress)


@syscall(
    effect="destroy",
    examples={
        "cancel job 12": {"job": "12"},
        "stop the job nightly": {"job": "nightly"},
        "kill job 7": {"job": "7"},
        "abort exp_12": {"job": "exp_12"},
        "job 90 is stuck, put an end to it": {"job": "90"},
        "取消任务 7": {"job": "7"},
        "停掉任务 nightly": {"job": "nightly"},
        "取消任务 42": {"job": "42"},
        "把任务 13 杀掉": {"job": "13"},
        "终止 exp_12 这个任务": {"job": "exp_12"},
        "任务 8 不用再跑了": {"job": "8"},
    },
)
async def cancel(ctx: Context, job: JobName) -> JobCancelled:
    """Ends a job, whether it waits or runs, with every process it has started.

    Args:
        job: Its id or its name.
    """
    return await ctx.jobs.cancel(job, ctx.caller.user)


@syscall(
    effect="write",
    examples={
        "retry job 12": {"job": "12"},
        "run job nightly again": {"job": "nightly"},
        "rerun job 34": {"job": "34"},
        "job 80 failed, try it once more": {"job": "80"},
        "give nightly-eval another go": {"job": "nightly-eval"},
        "重试任务 7": {"job": "7"},
        "任务 22 再跑一遍": {"job": "22"},
        "重新运行 exp_12": {"job": "exp_12"},
        "nightly-eval 失败了，再试一次": {"job": "nightly-eval"},
    },
)
async def retry(ctx: Context, job: JobName) -> JobSubmitted:
    """Runs a job again that has failed, was cancelled or is done.

    Args:
        job: Its id or its name.
    """
    return await ctx.jobs.retry(job, ctx.caller.user)
