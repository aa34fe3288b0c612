"""Who asks and about what, as Cedar's entities: users in their roles and groups, and things with their owners."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import cedarpy

from agentos.policy.people import ROLES
from agentos.types import Json, Role

_CACHED = 1024


class Member(NamedTuple):
    """What a user is beside the role."""

    groups: tuple[str, ...] = ()
    custom: str = ""
    """The role of the owner's own, by name."""
    needs: tuple[str, ...] = ()
    """The rules that must be in force for that role: without them it would be its base."""
    service: bool = False


class Parties(NamedTuple):
    """Who asks and about what: all that the entities of a request are made from."""

    user: str
    role: Role
    member: Member
    kind: str
    """Entity type of the thing, and its name."""
    name: str
    owner: str
    """Empty where nobody knows."""
    owner_role: Role | None
    owner_member: Member
    group: str
    """The group that owns the thing; empty where none does."""


def grapher(schema: cedarpy.Schema) -> Callable[[Parties], cedarpy.Entities]:
    """What makes the entities of a request under a schema; the last thousand are kept."""
    named = json.dumps([_entity("Role", name) for name in ROLES])
    roles = cedarpy.Entities.from_json_str(named, schema)

    @lru_cache(_CACHED)
    def graph(asked: Parties) -> cedarpy.Entities:
        delta = [_user(asked.user, asked.role, asked.member)]
        attributes: dict[str, Json] = {}
        if asked.owner:
            attributes["owner"] = {"__entity": {"type": "User", "id": asked.owner}}
            if asked.owner != asked.user:
                delta.append(_user(asked.owner, asked.owner_role, asked.owner_member))
        if asked.group:
            attributes["group"] = {"__entity": {"type": "Group", "id": asked.group}}
        teams = {asked.group, *asked.member.groups, *asked.owner_member.groups} - {""}
        own = {asked.member.custom, asked.owner_member.custom} - {""}
        delta += [_entity("Group", name) for name in sorted(teams)] + [_entity("Role", name) for name in sorted(own)]
        delta.append(_entity(asked.kind, asked.name, attributes))
        return roles.with_added_json_str(json.dumps(delta), schema)

    return graph


def _user(name: str, role: Role | None, member: Member) -> dict[str, Any]:
    parents = [("Role", one) for one in (role, member.custom) if one] + [("Group", one) for one in member.groups]
    return _entity("User", name, {"name": name, "service": member.service}, parents)


def _entity(
    kind: str, name: str, attributes: Mapping[str, Json] | None = None, parents: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    above = [{"type": type, "id": id} for type, id in parents]
    return {"uid": {"type": kind, "id": name}, "attrs": dict(attributes or {}), "parents": above}
