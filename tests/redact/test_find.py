"""What is private is found, in both languages and in any dress; what only looks like it is left alone."""

from __future__ import annotations

import random

import pytest

from agentos.redact import KINDS, find
from tests.redact.marks import marked, told

HELD = r"""
Please email [[EMAIL:jane.doe+news@mail.example.co.uk]] before noon.
发到[[EMAIL:lihua_88@163.com]]就行
邮箱:[[EMAIL:zhou@qq.com]]，谢谢
<a href="mailto:[[EMAIL:k.li@corp.cn]]">
write to [[EMAIL:ann [at] corp [dot] org]] instead
我的电话是[[PHONE:138-0013-8000]]，随时打
手机[[PHONE:+86 139 1234 5678]]
拨打[[PHONE:010-62345678转8001]]
座机 [[PHONE:(0755) 8234 5678]]
客服热线[[PHONE:400-820-8820]]
客服电话[[PHONE:4006189090]]
联系人王五 [[PHONE:18612345678]]
tel:[[PHONE:13812345678]]/[[PHONE:13912345678]]
WhatsApp [[PHONE:+1 (415) 555-0132]]
phone: [[PHONE:4155550132]]
toll free [[PHONE:1-800-356-9377]]
You can reach me at [[PHONE:020 7946 0958]] after six.
Tokyo desk [[PHONE:03-3224-9999]]
Zentrale [[PHONE:+49 (0)30 1234567]]
身份证号[[ID_CARD:11010519491231002X]]
本人[[ID_CARD:320311197707070059]]申请退款
id card number is [[ID_CARD:320311197707070058]], a digit is wrong
老身份证 [[ID_CARD:130503670401001]]
香港身份證 [[ID_CARD:A123456(7)]]
SSN [[SSN:078-05-1120]]
my social security number is [[SSN:219 09 9999]]
社会安全号[[SSN:536904399]]
卡号[[BANK_CARD:6222021234567890123]]
card [[BANK_CARD:4111 1111 1111 1111]] exp 12/27
the card [[BANK_CARD:4012-8888-8888-1882]] has a wrong digit
amex [[BANK_CARD:3782 822463 10005]]
charged [[BANK_CARD:5555555555554444]] twice
IBAN [[IBAN:GB29 NWBK 6016 1331 9268 19]]
send it to [[IBAN:DE89370400440532013000]] please
iban: [[IBAN:fr1420041010050500013m02606]]
host [[IP_ADDRESS:192.168.31.77]] is down
登录[[IP_ADDRESS:10.23.4.5]]看看
Failed password for root from [[IP_ADDRESS:203.0.113.55]] port 22
[[IP_ADDRESS:2001:db8:85a3::8a2e:370:7334]] unreachable
passport no. [[PASSPORT:E12345678]]
护照号码：[[PASSPORT:G87654321]]
My passport is [[PASSPORT:533401376]].
车牌[[LICENSE_PLATE:沪A·88X99]]违停
[[LICENSE_PLATE:粤BD12345]]停在门口
[[LICENSE_PLATE:粤Z1234港]]过关了
license plate: [[LICENSE_PLATE:AB12 CDE]]
Kennzeichen [[LICENSE_PLATE:M-AB 1234]]
postgres://[[URL_CREDENTIALS:app:S3cr3t!]]@db:5432/x
redis://[[URL_CREDENTIALS::p4ss]]@cache:6379/0
连接串 [[URL_CREDENTIALS:root:s3cret]]@[[IP_ADDRESS:10.0.0.5]]:3306
curl -u [[URL_CREDENTIALS:admin:Pa55]] https://x
AWS_ACCESS_KEY_ID=[[API_KEY:AKIAIOSFODNN7EXAMPLE]]
aws_secret_access_key = [[API_KEY:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY]]
export OPENAI_API_KEY=[[API_KEY:sk-proj-AbCdEfGh1234567890abcdefGHIJ]]
令牌 [[API_KEY:ghp_16C7e42F292c6912E7710c838347Ae178B4a]] 已过期
slack [[API_KEY:xoxb-123456789012-abcdefGHIJKL]]
[[API_KEY:AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY]]
hf login --token [[API_KEY:hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345]]
[[API_KEY:sk_live_4eC39HqLyjWDarjtT1zdp7dc]]
Bearer [[API_KEY:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P]]
token是[[API_KEY:a1b2c3d4e5f6g7h8]]
?token=[[API_KEY:a1b2c3d4e5f6g7h8]]&page=2
mysql -h db -u root -p[[PASSWORD:Sup3rS3cret]] shop
PGPASSWORD=[[PASSWORD:hunter2]] psql -h db
tool --password [[PASSWORD:xyzzy]] --user bob
my password is [[PASSWORD:hunter2]].
The wifi password is "[[PASSWORD:correct horse]]".
密码是[[PASSWORD:Abc@12345]]，别告诉别人
口令 [[PASSWORD:Zx9!kk]] 有效
把密码改成[[PASSWORD:NewPass2024]]
  password: [[PASSWORD:hunter2]]
DB_PASS=[[PASSWORD:letmein]]
{"password": "[[PASSWORD:s3cr3t]]"}
Server=db;User Id=sa;Password=[[PASSWORD:Str0ng]];Database=x
手机号是[[PHONE:１３８０１２３４５６７]]，
发到[[EMAIL:ｔｏｍ＠example．com]]
卡号：[[BANK_CARD:６２２２０２１２３４５６７８９０１２８]]
[[LICENSE_PLATE:苏Ａ１２３４５]]
cell [[PHONE:1~3~8~1~2~3~4~5~6~7~8]] is mine
{"user": "[[EMAIL:bob\u0040corp.io]]"}
{\"password\": \"[[PASSWORD:s3cr3t]]\", \"a\": 1}
line\n[[PHONE:13812345678]]\nline
[[PHONE:138·1234·5678]]（工作）
张师傅 [[PHONE:138 - 1234 - 5678]]
手机号 [[PHONE:1 3 8 1 2 3 4 5 6 7 8]]
打我 [[PHONE:13812 345 678]]
打[[PHONE:幺三八零零一三八零零九]]找我
caller id [[PHONE:4155550132]]
redis-cli -h [[IP_ADDRESS:172.20.3.4]] info
身份证号：[[ID_CARD:11010519491231002]]，少打了一位
his social is [[SSN:2 1 9 - 0 9 - 9 9 9 9]]
护照 [[PASSPORT:E12345678]]，旧的 [[PASSPORT:G87654321]]
send it to [[IBAN:de89 3704 0044 0532 0130 00]] please
https://[[URL_CREDENTIALS:0123456789abcdef0123456789abcdef]]@o1.ingest.example.com/2
https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=[[API_KEY:01234567-89ab-4cde-8f01-23456789abcd]]
{"密码": "[[PASSWORD:s3cr3t]]"}
**Password**: `[[PASSWORD:s3cr3t]]`
root password 是 [[PASSWORD:S3cret!x]]
temporary password issued: [[PASSWORD:S3cret!x]]
changed the password from [[PASSWORD:hunter2]] to [[PASSWORD:hunter3]]
账号 admin / [[PASSWORD:hunter2]] 登录
echo "[[PASSWORD:hunter2]]" | sudo -S reboot
machine git.corp.io login kim password [[PASSWORD:hunter2]]
""".strip("\n").split("\n")

NEAR = r"""
version 1.2.3.4 released
pip install torch==2.5.1.0
driver 535.104.5.1
版本号：11.22.33.44
see section 10.1.2.3
listening on 127.0.0.1:8000 and 0.0.0.0
netmask 255.255.255.0
2024-05-06 12:34:56.789
at 1715000000 or 1715000000123
order 13812345678 shipped
订单号：202403151234567890
运单号：781234567890123
工单 13800138001
job 13912345678 failed
任务编号：13812345678
size 15032385536 bytes
15000000000 tokens
4096 8192 4096 2048
1 2 3 4 5 6 7 8 9 10 11 12 13 14
commit 1f0c9f2e7b3a4d5c6b7a8f9e0d1c2b3a4d5e6f70
550e8400-e29b-41d4-a716-446655440000
aa:bb:cc:dd:ee:ff at 12:34:56
std::vector<int> a; boost::asio::ip
3.1415926535 and 0.13812345678 and 180.79155222
seed=13800138000
/data/20240315/13812345678/x.bin
run-13812345678.log
icon@2x.png, lodash@4.17.21, user@localhost, @dataclass
git@github.com:org/repo.git
ssh root@gpu01.example.com
https://example.com:8080/@user/a:b
postgres://${USER}:${PASS}@db/app
postgres://user:password@host/app
Qwen2.5-72B-Instruct-GPTQ-Int4 on RTX4090 24GB
最新B20240版，新H100 80GB到货
car plate recognition dataset with 200000 images
护照有效期 20301231
passport office opened in 2019
身份证有效期 2010.01.01-2030.01.01
GPU card 0 has 85899345920 bytes
part number 415-555-2671, serial 123-45-6789
call stack depth 10000000
手机型号 Mate60，电话会议 15:00
max_tokens=512, tokens: 128000
pad_token: "<pad>"
token = tokenizer.eos_token
token is invalid
the token budget is 4096
api_key = os.getenv("OPENAI_API_KEY")
Authorization: Bearer <token>
bearer authentication is used
hf_hub_download and sk-learn-based-pipelines-are-great
password = os.environ["DB_PASSWORD"]
def login(user, password: str): pass
password: ${DB_PASSWORD}
"password": null
The password is required.
the password was stored securely
my password has expired
密码错误，密码不能为空，密码长度至少8位
password: !secret db_password
https://corp.io/releases/3.18.0.2/app.tar.gz
see docs.corp.io/userguide/page-2.html
https://corp.io/login/step2
https://0123456789abcdef0123456789abcdef.corp.io/x
mysql -u root -p shop
docker run -p 8080:80 nginx
mkdir -p /data/x && ssh -p 2222 host
password: <PASSWORD_1>, <EMAIL_1> and <PHONE_2>
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found_where_it_stands(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("text", NEAR)
def test_what_only_looks_private_is_left_alone(text: str) -> None:
    assert told(text, find(text)) == []


def test_every_kind_is_tried_in_this_file() -> None:
    assert {kind for line in HELD for kind, _ in marked(line)[1]} == set(KINDS)


def test_a_private_key_is_found_whole_and_where_it_was_cut_off() -> None:
    body = "\n".join(["MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnBygWyF0qJbGzYwK2n7Q1s"] * 4)
    pem = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\nq0==\n-----END RSA PRIVATE KEY-----"
    text = f"key:\n{pem}\nthat was it"
    assert told(text, find(text)) == [("API_KEY", pem)]
    escaped = f'{{"pem": "{pem}"}}'.replace("\n", "\\n")
    assert told(escaped, find(escaped)) == [("API_KEY", pem.replace("\n", "\\n"))]
    cut = f"{pem[:120]}"
    assert told(cut, find(cut)) == [("API_KEY", cut)]


def test_a_checksum_raises_the_confidence_and_does_not_decide() -> None:
    right, wrong = find("身份证 11010519491231002X")[0], find("身份证 110105194912310021")[0]
    assert right.confidence > wrong.confidence
    assert find("卡号 4111111111111111")[0].confidence > find("卡号 4111111111111112")[0].confidence


def test_the_more_specific_kind_wins_where_values_overlap() -> None:
    assert [entity.kind for entity in find("https://bob:secret9@mail.example.com/x")] == ["URL_CREDENTIALS"]
    assert [entity.kind for entity in find("13812345678@qq.com")] == ["EMAIL"]
    assert [entity.kind for entity in find("password: ghp_16C7e42F292c6912E7710c838347Ae178B4a")] == ["API_KEY"]


def test_values_of_one_kind_that_overlap_are_taken_out_whole() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
    body = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnBygWyF0qJbGzYwK2n7Q1s"
    key = f"-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----"
    assert told(f"a {token}{key} b", find(f"a {token}{key} b")) == [("API_KEY", token + key)]


def disguised(value: str, rng: random.Random) -> str:
    """The same value as people and programs write it: full width, invisible characters, JSON escapes."""
    made = []
    for char in value:
        way = rng.randrange(6)
        if way == 0 and "!" <= char <= "~":
            made.append(chr(ord(char) + 0xFEE0))
        elif way == 1:
            made.append(f"\\u{ord(char):04x}")
        else:
            made.append(char)
        made.append(rng.choice(["", "", "", "\u200b", "\u200d\ufeff"]) if char != value[-1] else "")
    return "".join(made).rstrip("\u200b\u200d\ufeff")


@pytest.mark.parametrize("seed", range(40))
def test_offsets_are_those_of_the_text_as_it_was_given(seed: int) -> None:
    rng = random.Random(seed)
    values = [
        ("EMAIL", "zhang.san@example.com"), ("PHONE", "13812345678"), ("ID_CARD", "11010519491231002X"),
        ("BANK_CARD", "6222021234567890128"), ("IP_ADDRESS", "10.23.45.67"), ("PHONE", "+86 139 1234 5678"),
    ]
    pieces, wanted = ["\u200b开头\\n"], []
    for kind, value in rng.sample(values, 4):
        written = disguised(value, rng)
        pieces += [rng.choice(["值 ", "，是", '\\"', "😀 "]), written, rng.choice(["，", " ok ", '\\" ', "。\u200b"])]
        wanted.append((kind, written))
    text = "".join(pieces)
    assert told(text, find(text)) == wanted


RUNS = [
    "1", "@", "\\", "\u200b", "a@", "1 ", "password=", "\ud800", "<EMAIL_1>", "+1-", "密码", "password,a\n",
    "a,password,", "|pwd|x\n|", "tel 1", "://a1",
]


@pytest.mark.parametrize("piece", RUNS)
def test_long_runs_of_anything_end_in_an_answer(piece: str) -> None:
    text = piece * 20_000
    for entity in find(text):
        assert 0 <= entity.start < entity.end <= len(text)
    tail = text + " mail bob@example.com"
    assert ("EMAIL", "bob@example.com") in told(tail, find(tail))
