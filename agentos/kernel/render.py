"""Results as text for people, made from the result and nothing else."""

from __future__ import annotations

import dataclasses
import functools
import time
import typing
from collections.abc import Callable
from typing import Any

from agentos.types.units import Unit, show_bytes, show_seconds

_LABELS = {
    "zh": {
        "cpu": "处理器", "memory": "内存", "gpus": "GPU", "disks": "磁盘", "networks": "网络", "processes": "进程",
        "model": "模型", "models": "模型", "state": "状态", "parameters": "参数", "size": "大小", "licence": "许可",
        "engine": "引擎", "kernel": "内核", "total": "总计", "available": "可用", "used": "已用", "percent": "占比",
        "swap_total": "交换区", "swap_used": "已用交换区", "limit": "限额", "cores": "核心", "load": "负载",
        "frequency_mhz": "频率 MHz", "index": "序号", "name": "名称", "memory_total": "显存", "memory_used": "已用显存",
        "temperature_c": "温度 °C", "power_watts": "功率 W", "mount": "挂载点", "free": "空闲", "interface": "接口",
        "up": "已连接", "sent": "已发送", "received": "已接收", "addresses": "地址", "pid": "进程号", "user": "用户",
        "device": "设备", "dtype": "精度", "seconds": "耗时", "keep_alive": "保留", "reason": "原因", "freed": "释放",
        "undo": "撤销号", "until": "可撤销至", "kind": "种类", "syscall": "系统调用", "role": "角色", "effect": "作用",
        "decision": "决定", "rule": "规则", "rows": "记录", "time": "时间", "outcome": "结果", "door": "入口",
        "ready": "就绪", "version": "版本", "home": "目录", "uptime": "已运行", "syscalls": "系统调用数",
        "plans": "已规划", "adapter": "适配器", "plan_ms": "规划中位毫秒", "topic": "主题", "entries": "条目",
        "does": "作用说明",
        "example": "例子", "description": "说明", "context": "上下文", "download": "下载大小", "sources": "来源",
        "on_disk": "磁盘占用", "needs": "需要内存", "loaded": "已加载", "path": "路径", "source": "来源",
        "fetched": "新下载", "text": "文本", "tokens": "词元", "call": "调用", "arguments": "参数", "id": "编号",
        "job": "任务", "jobs": "任务", "submitted": "提交时间", "runtime": "运行时长", "progress": "进度",
        "priority": "优先级", "command": "命令", "folder": "目录", "cpus": "CPU 数", "at": "定时", "after": "等待",
        "retries": "重试次数", "time_limit": "时限", "secrets": "密钥", "started": "开始", "ended": "结束",
        "exit_code": "退出码", "peak_memory": "内存峰值", "expected": "预计时长", "attempts": "运行记录",
        "attempt": "次数", "node": "节点", "signal": "信号", "detail": "说明", "lost": "缺失",
        "predictions": "预测", "label": "标签", "score": "得分", "scores": "各类得分", "vector": "向量",
        "truncated": "截断数", "base": "原模型", "bits": "位数", "perplexity": "困惑度",
        "accuracy": "准确率", "balance": "标签分布", "before": "之前", "budget": "预算", "budgets": "预算",
        "calibration_error": "校准误差", "changed": "改动", "checked": "检查", "column": "列", "columns": "列",
        "compared": "比较", "confusion": "混淆矩阵", "cost": "费用", "created": "创建时间", "dataset": "数据集",
        "datasets": "数据集", "difference": "差值", "done": "已完成", "dropped": "去除", "estimate": "估计",
        "examples": "例子", "expires_in": "空闲剩余", "finish_reason": "结束原因", "gpu_memory": "显存占用",
        "guessed": "推测", "healthy": "正常", "high": "上限", "labels": "标签", "learned": "来自以往",
        "least": "最小", "lengths": "长度", "lineage": "来历", "live": "运行情况", "loss": "损失", "low": "下限",
        "macro_f1": "宏平均 F1", "median": "中位数", "method": "方法", "metric": "指标", "metrics": "指标",
        "most": "最大", "needs_measured": "实测内存", "note": "备注", "notes": "备注", "other": "对照",
        "p": "p 值", "p95": "第 95 百分位", "quantized": "量化", "replicas": "副本", "requests": "请求",
        "restarts": "重启次数", "review": "复核", "run": "训练", "runs": "训练", "sample": "样例", "seed": "种子",
        "served": "已应答", "sha256": "SHA-256", "share": "占比", "signed": "签名", "skipped": "跳过",
        "step": "步骤", "steps": "步骤", "stratified": "按标签分层", "test": "测试集", "test_rows": "测试行数",
        "together": "成组行数", "tokens_per_second": "每秒词元", "train": "训练集", "train_rows": "训练行数",
        "trained": "训练来历", "value": "值", "verdict": "结论", "waiting": "排队",
    }
}
_NOTHING = {"en": "none", "zh": "无"}
_YES = {"en": ("yes", "no"), "zh": ("是", "否")}
_SEEN = 3
"""Facts of a thing within a row; `agentos ps` and the thing's own card show them all."""
_LONG = 12
"""Numbers in a row that nobody reads one by one: a vector shows how it begins and how long it is."""


def render(value: Any, language: str = "en") -> str:
    """A result dataclass as lines: figures with their units, lists of things as tables."""
    if isinstance(getattr(value, "text", None), str) and (hasattr(value, "tokens") or hasattr(value, "lost")):
        return str(value.text)
    return "\n".join(_lines(value, language))


def _lines(value: Any, language: str) -> list[str]:
    lines: list[str] = []
    facts: list[tuple[str, str]] = []
    for name, hint, inner in _fields(value):
        label = _label(name, language)
        if inner is None or inner in ("", ()):
            continue
        if dataclasses.is_dataclass(inner):
            lines += [label, *(f"  {line}" for line in _lines(inner, language))]
        elif isinstance(inner, list) and inner and dataclasses.is_dataclass(inner[0]):
            lines += [label, *(f"  {line}" for line in _table(inner, language))]
        else:
            facts.append((label, show(inner, hint, language)))
    wide = max((_width(label) for label, _ in facts), default=0)
    return [f"{label}{' ' * (wide - _width(label))}  {text}" for label, text in facts] + lines


def _table(items: list[Any], language: str) -> list[str]:
    columns = [name for name, _, _ in _fields(items[0])]
    rows = [{name: show(inner, hint, language) for name, hint, inner in _fields(item)} for item in items]
    shown = [name for name in columns if any(row[name] not in ("", _NOTHING[language]) for row in rows)]
    head = {name: _label(name, language) for name in shown}
    widths = {name: max(_width(row[name]) for row in [head, *rows]) for name in shown}
    padded = ([row[name] + " " * (widths[name] - _width(row[name])) for name in shown] for row in [head, *rows])
    return ["  ".join(cells).rstrip() for cells in padded]


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _fields(value: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(value, dict):
        return [(name, None, inner) for name, inner in value.items()]
    kind: Any = type(value)
    hints = _hints(kind)
    return [(item.name, hints[item.name], getattr(value, item.name)) for item in dataclasses.fields(value)]


def show(value: Any, hint: Any, language: str = "en") -> str:
    """One value with its unit; `hint` is its annotation."""
    if value is None or value in ([], (), {}):
        return _NOTHING[language]
    if isinstance(value, bool):
        return _YES[language][0 if value else 1]
    if isinstance(value, list | tuple | dict) or dataclasses.is_dataclass(value):
        return _several(value, language)
    if not isinstance(value, int | float):
        return str(value)
    return _figure(value, _unit(hint))


def _several(value: Any, language: str) -> str:
    """What has parts, within a line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={show(inner, None, language)}" for name, inner in value.items())
    if not isinstance(value, list | tuple):
        return ", ".join([show(inner, hint, language) for _, hint, inner in _fields(value) if inner][:_SEEN])
    vector = len(value) > _LONG and all(isinstance(item, float) for item in value)
    said = ", ".join(show(item, None, language) for item in (value[: _LONG // 2] if vector else value))
    return f"{said}, … ({len(value)})" if vector else said


def _figure(value: float, unit: str | None) -> str:
    shown: dict[str | None, Callable[[float], str]] = {
        "B": show_bytes,
        "s": show_seconds,
        "%": "{:.1f}%".format,
        "time": lambda moment: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)),
    }
    if unit in shown:
        return shown[unit](value)
    if isinstance(value, float):
        said = f"{value:.2f}".rstrip("0").rstrip(".")
        return "0" if said == "-0" else said
    return f"{value:,}" if unit == "" and value >= 100_000 else str(value)


def _unit(hint: Any) -> str | None:
    for mark in typing.get_args(hint):
        if isinstance(mark, Unit):
            return mark.symbol
        found = _unit(mark)
        if found is not None:
            return found
    return None


def _label(name: str, language: str) -> str:
    return _LABELS.get(language, {}).get(name) or name.replace("_", " ")


def _width(text: str) -> int:
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
