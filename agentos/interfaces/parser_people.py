"""The commands about people: users, keys, groups, roles and quotas."""

from __future__ import annotations

import argparse
from collections.abc import Callable

ROLES = ("viewer", "operator", "admin")


def people(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds them."""
    users = add("users", "commands_policy:users", "list users, make one, or give one a role", json=True)
    users.add_argument("action", nargs="?", choices=("create", "set"), help="make a user; give one a role")
    users.add_argument("name", nargs="?", help="the user")
    users.add_argument("--role", default="", metavar="ROLE", help="viewer, operator, admin, or one of `agentos roles`")
    users.add_argument("--service", action="store_true", help="create: a service account: keys alone, approves nothing")
    keys = add("keys", "commands_policy:keys", "list, create or revoke API keys", json=True)
    keys.add_argument("action", choices=("create", "list", "revoke"))
    keys.add_argument("id", nargs="?", help="the key's id, to revoke it")
    keys.add_argument("--user", dest="holder", default="", metavar="NAME", help="who holds the new key")
    keys.add_argument("--role", choices=ROLES, help="the most that the key may do (the holder's role)")
    keys.add_argument("--scope", action="append", default=[], metavar="WHAT",
                      help="what it is for: models.list, models.*, write; given again it adds (all that the role may)")
    keys.add_argument("--read-only", action="store_true", help="it reads and changes nothing")
    keys.add_argument("--expires", default="", metavar="TIME", help="how long it works, such as 12h or 30d (forever)")
    groups = add("groups", "commands_groups:groups", "list groups, change them, or give them things to own", json=True)
    groups.add_argument(
        "action", nargs="?", choices=("list", "create", "delete", "add", "remove", "give", "take"),
        help="add and remove take users; give and take take a model, a dataset or a job",
    )
    groups.add_argument("group", nargs="?", default="", help="the group")
    groups.add_argument("words", nargs="*", metavar="WORD", help="users; give, take: model|dataset|job NAME")
    roles = add("roles", "commands_groups:roles", "list roles, show what one may do, make or delete one", json=True)
    roles.add_argument("action", nargs="?", choices=("list", "show", "create", "delete"), help="list is the default")
    roles.add_argument("name", nargs="?", default="", help="the role")
    roles.add_argument("--base", choices=ROLES[:2], help="create: the role that it differs from")
    roles.add_argument("--allow", action="append", default=[], metavar="WHAT",
                       help="create: what it may do besides: models.pull, models.*, write")
    roles.add_argument("--forbid", action="append", default=[], metavar="WHAT", help="create: what it may not do")
    quotas = add("quotas", "commands_quotas:quotas", "list quotas and what is used of them; set or lift one", json=True)
    quotas.add_argument("action", nargs="?", choices=("list", "set", "remove"), help="list is the default")
    quotas.add_argument("subject", nargs="?", default="", metavar="SUBJECT",
                        help="user:NAME, group:NAME (all its members) or role:NAME (each who has it); list: a user")
    quotas.add_argument("resource", nargs="?", default="", metavar="RESOURCE",
                        help="requests, tokens, cpu-hours, gpu-hours or cost (US dollars); remove: RESOURCE[/PERIOD]")
    quotas.add_argument("amount", nargs="?", default="", metavar="AMOUNT/PERIOD",
                        help="set: such as 60/minute, 100000/day or 20/month")
