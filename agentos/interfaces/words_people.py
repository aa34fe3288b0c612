"""What is said of users, groups, roles and quotas; English and Chinese."""

from __future__ import annotations

PEOPLE: dict[str, tuple[str, str]] = {
    "no_groups": ("there are no groups", "没有用户组"),
    "group_made": (
        "{0} is a group now; `agentos groups add {0} USER`",
        "已建立用户组 {0}；`agentos groups add {0} USER`",
    ),
    "group_gone": (
        "{0} is no group any more; what it owned is its makers' alone",
        "已删除用户组 {0}；其资源仍归各自的创建者",
    ),
    "group_add": ("{1} is in {0}", "{1} 已加入 {0}"),
    "group_remove": ("{1} is no longer in {0}", "{1} 已离开 {0}"),
    "group_give": ("{0} owns the {1} {2} beside its maker", "{0} 与创建者共同拥有 {1} {2}"),
    "group_take": ("{0} no longer owns the {1} {2}", "{0} 不再拥有 {1} {2}"),
    "user_made": ("{0} is a user now, as {1}", "已建立用户 {0}，角色 {1}"),
    "service_made": (
        "{0} is a service account now, as {1}; `agentos keys create --user {0}`",
        "已建立服务账号 {0}，角色 {1}；`agentos keys create --user {0}`",
    ),
    "role_made": ("{0} is a role now; its rules are in {1}", "已建立角色 {0}；规则在 {1}"),
    "role_gone": ("{0} is no role any more", "已删除角色 {0}"),
    "role_from": ("{0}: {1}, with the differences in {2}", "{0}：在 {1} 的基础上，差异见 {2}"),
    "no_quotas": ("no quota is set", "没有设置配额"),
    "quota_set": ("{0} may use {1} {2}", "{0} 的 {1} 配额为 {2}"),
    "quota_gone": ("{1} of {0} is no longer limited", "{0} 的 {1} 不再受限"),
    "expired_calls": ("Nobody answered these in time; they were not run:", "以下调用逾期无人答复，没有执行："),
}
