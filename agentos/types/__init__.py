"""The words every layer shares: calls, plans, results, and the seams between parts."""

from agentos.types.calls import (
    Allowed,
    Approval,
    Call,
    Caller,
    Decision,
    Denied,
    Effect,
    Event,
    Json,
    NeedsPerson,
    Plan,
    Role,
    Scope,
    Step,
)
from agentos.types.engine import Completed, Engine, Generation, LoadedModel, Message, ModelSpec, Prompt, Token
from agentos.types.results import (
    AuditRow,
    AuditRows,
    Cpu,
    Deleted,
    Disk,
    Explanation,
    Gpu,
    Help,
    HelpEntry,
    KernelStatus,
    LoadedReport,
    Memory,
    ModelCard,
    ModelList,
    ModelRow,
    Network,
    Process,
    Pulled,
    ResourceReport,
    Text,
    Undone,
    Unloaded,
)
from agentos.types.seams import Audit, Context, KernelView, Models, Policy, Resources, Trash
from agentos.types.units import (
    Bytes,
    Count,
    KeepAlive,
    Name,
    Percent,
    Private,
    Seconds,
    SyscallName,
    Timestamp,
    Topic,
    When,
)

__all__ = [
    "Allowed", "Approval", "Audit", "AuditRow", "AuditRows", "Bytes", "Call", "Caller", "Completed", "Context",
    "Count", "Cpu", "Decision", "Deleted", "Denied", "Disk", "Effect", "Engine", "Event", "Explanation", "Generation",
    "Gpu", "Help", "HelpEntry", "Json", "KeepAlive", "KernelStatus", "KernelView", "LoadedModel", "LoadedReport",
    "Memory", "Message", "ModelCard", "ModelList", "ModelRow", "ModelSpec", "Models", "Name", "NeedsPerson",
    "Network", "Percent", "Plan", "Policy", "Private", "Process", "Prompt", "Pulled", "ResourceReport", "Resources",
    "Role", "Scope", "Seconds", "Step", "SyscallName", "Text", "Timestamp", "Token", "Topic", "Trash", "Undone",
    "Unloaded", "When",
]
