"""Codes of doors and of proofs are found, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
门禁密码[[PASSWORD:2580#]]
楼下大门输 [[PASSWORD:#1379#]] 就开
保险柜密码是 [[PASSWORD:35-17-42]]
the lockbox code is [[PASSWORD:4471]]
Alarm code: [[PASSWORD:9914]]
garage door code [[PASSWORD:0582*]]
Building entry code is [[PASSWORD:C2047#]]
Safe combination is [[PASSWORD:12-34-56]]
recovery code: [[PASSWORD:8f3k2-9dk3l]]
智能锁临时密码 [[PASSWORD:90217456]]，今晚 12 点失效
小区门禁输入[[PASSWORD:#8890]]再按开锁
2FA backup codes: [[PASSWORD:8842-1907]]
Recovery key: [[PASSWORD:ABCD12-EF34GH-56IJKL]]
保险箱密码 [[PASSWORD:3-28-17-9]]
小米门锁管理员密码是[[PASSWORD:202417]]
电子锁按[[PASSWORD:*5588#]]
备用钥匙盒密码[[PASSWORD:0713]]
SIM 卡 PUK [[PASSWORD:38271946]]
door code for the flat: [[PASSWORD:2486C]]
garage keypad is [[PASSWORD:7788*]]
lock box on the railing, code [[PASSWORD:0913]]
storage unit padlock combo [[PASSWORD:24-6-38]]
alarm panel: enter [[PASSWORD:4471#]] within 30s
bike lock combination: [[PASSWORD:7714]]
Bitlocker recovery key: [[PASSWORD:482913-104857-229310-662013-775512-090112-338471-220019]]
FileVault recovery key is [[PASSWORD:K3VT-R8WY-Q2NH-S5LD-XB9M-CP7F]]
""".strip("\n").split("\n")
NEAR = r"""
put the function back, see #13803
the alarm of issue #4417 was false
验证码错误，请重新获取
验证码 6 位，5分钟内有效
Press 1 for sales, 2 for support
dial *#06# to see the IMEI
拨 *100# 查话费
门牌号 1302，3 号门
电梯编号 3-2-0417
error code 40103, status code 404, area code 415
door 4417 is on the left
Gate 24, seat 17C
room 2024 is free
promo code SAVE2024
access code review is done
meeting code of conduct v2
backup codes are printed on paper
verification code was sent to you
exit code: 12345678
postal code 310012, zip code 94107
门禁卡补办 20 元，大门 22:00 关闭
大门口 3 号楼，单元门左侧第 2 个
请按 1 转人工，按 0 返回
验证码已发送至 138****6617
gate 4417 to Osaka, door 12
The lock screen code is in app2
Use code 200 for success
entry 2024 in the list
safe to use since 2019
alarm at 0730
access code paths: 1, 2 and 3
verification: passed
OTP is disabled
recovery time 3600
backup: 20241118
meeting id 482 917 306
meeting pass is free
conference call 2024
verification code expires in 300 seconds
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
