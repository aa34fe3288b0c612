"""The syscalls of policy, audit and kernel, over the real services, and their examples."""

import re
from types import SimpleNamespace

import pytest

from agentos.policy.audit import Audit
from agentos.policy.monitor import Monitor
from agentos.policy.trash import TrashCan
from agentos.registry import installed
from agentos.types import Allowed, Caller, Undone

NAMES = ["policy.explain", "audit.search", "kernel.status", "kernel.help", "kernel.undo"]
ROLES = {"oscar": "operator", "ada": "admin"}


def test_their_effects_and_parameters_are_the_documented_ones() -> None:
    table = installed()
    found = {name: (table[name].effect, [(p.name, p.required) for p in table[name].params]) for name in NAMES}
    assert found == {
        "policy.explain": ("read", [("syscall", True), ("user", False)]),
        "audit.search": ("read", [("user", False), ("syscall", False), ("decision", False), ("since", False)]),
        "kernel.status": ("read", []),
        "kernel.help": ("read", [("topic", False)]),
        "kernel.undo": ("write", [("item", False)]),
    }


async def test_they_reach_the_services_of_their_call(table, store, settings, clock, calls) -> None:
    audit, can = Audit(store, table, clock), TrashCan(store, settings, clock)
    ctx = SimpleNamespace(
        caller=Caller("oscar", "operator"), policy=Monitor(table, ROLES.get), audit=audit, trash=can,
    )
    assert (await table["policy.explain"].function(ctx, syscall="models.load")).decision == "allow"
    audit.decided(calls("models.list", {}), Allowed("operator-works"))
    audit.decided(calls("models.list", {}, user="ada", role="admin"), Allowed("admin-everything"))
    assert (await table["audit.search"].function(ctx, since="1h")).total == 1
    folder = settings.models / "m"
    folder.mkdir(parents=True)
    can.put("model", "m", folder, "c1", "oscar")
    assert await table["kernel.undo"].function(ctx) == Undone("model", "m")


@pytest.mark.parametrize("name", NAMES)
def test_about_half_of_the_examples_are_chinese_and_their_words_are_in_the_sentence(name) -> None:
    examples = installed()[name].examples
    chinese = [said for said in examples if re.search(r"[\u4e00-\u9fff]", said)]
    assert len(examples) >= 8 and 0.4 <= len(chinese) / len(examples) <= 0.6
    for said, args in examples.items():
        for key, value in args.items():
            assert key in ("decision", "syscall", "topic") or value in said, (said, key)
