"""Passwords with spaces, commas or Chinese in them, on screens, and said in passing."""

from __future__ import annotations

import re

import pytest

from agentos.redact import find

VALUES = r"""
ansible_become_password=[[PASSWORD:left,right&Up7]]
Network   Office-4F\nPassword   [[PASSWORD:grey-heron-lamp-71]]\nRouter   on
zip passphrase is [[PASSWORD:apricot 9 Kettle]] (with spaces).
Samba 的 pw 是 [[PASSWORD:机房2023@118]] (Chinese characters)
口令：[[PASSWORD:海阔天空2024]]
ssh passphrase "[[PASSWORD:my cat has 9 lives]]"
密码由 [[PASSWORD:abc12345]] 改为 [[PASSWORD:xyz67890]]
Password reset to "[[PASSWORD:Kilo-Delta-44]]"
I set it to [[PASSWORD:Plum!Orchard9]], tell her to change it
the old password ([[PASSWORD:Tulip99x]]) no longer works
use [[PASSWORD:Blue42Moon!]] to log in
密 码：[[PASSWORD:Abc12345]]
WiFi: TP-LINK_3F / [[PASSWORD:12345abcde]]
recovery codes: [[PASSWORD:8f3k-29dm]], [[PASSWORD:7dk2-99sl]]
备用验证码：[[PASSWORD:k8d2-77qa]] [[PASSWORD:m3x9-10pp]]
TOTP seed [[API_KEY:KBSWY3DPEHPK3PXQ]]
谷歌验证器密钥 [[API_KEY:KBSW Y3DP EHPK 3PXQ]]
define('SYNC_PASS', '[[PASSWORD:Fl0wer$$pot]]');
{"to":"x","key":"[[API_KEY:7e4f3a39-c411-4953-b70e-5be855a6dfce]]"}
"""
NONE = r"""
password: ask Tom
Password   Required\nUser   text
passphrase "must not be empty"
密码：请联系管理员2楼
密码由系统自动生成后发送
use Python3 to build
set it to default
password policy is 12 characters
backup codes are kept elsewhere
"""
LINES = [line.replace(r"\n", "\n") for line in VALUES.strip().split("\n")]


@pytest.mark.parametrize("marked", LINES)
def test_a_password_that_is_no_plain_word_is_found(marked: str) -> None:
    text = re.sub(r"\[\[\w+:(.*?)\]\]", r"\1", marked)
    wanted = re.findall(r"\[\[(\w+):(.*?)\]\]", marked)
    assert [(each.kind, text[each.start : each.end]) for each in find(text)] == wanted


@pytest.mark.parametrize("text", [line.replace(r"\n", "\n") for line in NONE.strip().split("\n")])
def test_what_only_speaks_of_one_is_none(text: str) -> None:
    assert find(text) == []
