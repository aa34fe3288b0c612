"""What the bodies and queries of our own endpoints hold, for their description. `name!` is required."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer"}
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_ROLE: dict[str, Any] = {"type": "string"}
_SAID: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_KIND: dict[str, Any] = {"enum": ["model", "dataset", "job"]}
_REASON = {"reason": _TEXT}

BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/syscalls/{name}": {"args": _OBJECT, "yes": _FLAG, "session": _TEXT},
    "POST /v1/runs": {"text!": _SAID, "session": _TEXT, "plan": _TEXT},
    "POST /v1/plans": {"text": _TEXT, "id": _TEXT, "batch": {"type": "array", "items": _OBJECT}},
    "POST /v1/plans/check": {"plan!": _TEXT},
    "POST /v1/approvals/{id}": {
        "answer!": {"enum": ["once", "session", "always", "no"]}, "reason": _TEXT, "session": _TEXT,
    },
    "POST /v1/users": {"name!": _TEXT, "role": _ROLE, "service": _FLAG},
    "PUT /v1/users/{name}": {"role!": _ROLE},
    "POST /v1/keys": {
        "user!": _TEXT, "role": {"type": ["string", "null"]}, "expires": {"type": ["string", "null"]},
        "scope": _TEXTS, "read_only": _FLAG,
    },
    "POST /v1/groups": {"name!": _TEXT},
    "POST /v1/groups/{name}/give": {"kind!": _KIND, "name!": _TEXT},
    "POST /v1/groups/{name}/take": {"kind!": _KIND, "name!": _TEXT},
    "POST /v1/roles": {"name!": _TEXT, "base!": _ROLE, "allow": _TEXTS, "forbid": _TEXTS},
    "PUT /v1/quotas": {
        "subject!": _TEXT, "resource!": _TEXT, "period!": _TEXT, "amount!": {"type": "number"},
    },
    "DELETE /v1/quotas": {"subject!": _TEXT, "resource!": _TEXT, "period": _TEXT},
    "POST /v1/reviews/{id}/release": _REASON,
    "POST /v1/reviews/{id}/refuse": {"reason!": _SAID},
    "POST /v1/policy/explain": {"syscall!": _TEXT, "user": _TEXT, "args": _OBJECT, "owner": _TEXT},
    "POST /v1/kernel/train": {
        "rows": _COUNT, "epochs": _COUNT, "seed": _COUNT, "feedback": _FLAG, "further": _FLAG,
    },
    "POST /v1/kernel/corrections": {"text!": _TEXT, "plan!": _TEXT},
    "POST /v1/kernel/wording": {"plan!": _OBJECT},
    "POST /v1/kernel/feedback": {"agreed!": _FLAG},
    "POST /v1/kernel/keep": {"run!": _TEXT},
    "POST /v1/kernel/mean": {"adapters!": _TEXTS},
    "POST /v1/kernel/promote": {
        "adapter!": _TEXT, "scores": _OBJECT, "threshold": {"type": "number"}, "slope": {"type": "number"},
    },
    "POST /v1/mounts": {
        "name!": _TEXT, "command": _TEXTS, "env": _OBJECT, "folder": _TEXT, "url": _TEXT, "headers": _OBJECT,
        "timeout": {"type": "number"}, "trust_read_only": _FLAG,
    },
    "PUT /v1/secrets/{name}": {"value!": _TEXT},
    "PUT /v1/private": {"kind!": _TEXT, "name!": _TEXT, "private": _FLAG},
    "POST /v1/signatures": {"model!": _TEXT},
}
QUERIES: dict[str, dict[str, Any]] = {
    "GET /v1/syscalls": {"schema": {"enum": ["true", "false"]}},
    "GET /v1/audit": {
        "limit": _COUNT, "user": _TEXT, "syscall": _TEXT, "decision": {"enum": ["allow", "deny", "confirm"]},
        "since": _TEXT,
    },
    "GET /v1/audit/export": {"user": _TEXT, "since": _TEXT},
    "GET /v1/quotas": {"user": _TEXT},
    "GET /v1/signatures": {"model": _TEXT},
    "GET /v1/jobs": {
        "state": {"enum": ["all", "queued", "running", "succeeded", "failed", "cancelled"]}, "session": _TEXT,
    },
    "GET /v1/jobs/{job}/logs": {"tail": _COUNT},
    "GET /v1/ps": {"state": {"enum": ["all", "loaded", "stored", "catalog"]}, "session": _TEXT},
    "GET /v1/top": {"session": _TEXT},
}


def schema(said: dict[str, Any]) -> dict[str, Any]:
    """A body's JSON Schema."""
    required = [name[:-1] for name in said if name.endswith("!")]
    shape: dict[str, Any] = {
        "type": "object", "properties": {name.removesuffix("!"): kind for name, kind in said.items()},
    }
    return {**shape, "required": required} if required else shape
