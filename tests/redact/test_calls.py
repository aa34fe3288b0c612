"""Secrets among the arguments of calls are found, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
oss2.Auth("[[API_KEY:LTAI5tKk2pQw9ZxYv3Rt7NmB]]", "[[API_KEY:aQ8wErTy2UiOp4AsDf6GhJk8LzXcVb]]")
s.login("[[EMAIL:bot@corp.cn]]", "[[PASSWORD:Zx9-smtp-pw]]")
pymysql.connect("[[IP_ADDRESS:10.0.0.3]]", "root", "[[PASSWORD:Lime_6stone]]", "shop")
new mysqli("localhost", "shop", "[[PASSWORD:Tin_7roof]]", "db")
DriverManager.getConnection(url, "scott", "[[PASSWORD:T1ger_lily]]");
requests.get(u, auth=("svc", "[[PASSWORD:Pine&cone3]]"))
pika.PlainCredentials('worker', '[[PASSWORD:B1rch-bark]]')
smtp.PlainAuth("", "[[EMAIL:a@b.io]]", "[[PASSWORD:Cl0ver-9]]", "smtp.b.io")
jwt.encode(payload, "[[API_KEY:my-hush-hush-9]]", algorithm="HS256")
client.username_pw_set("sensor", "[[PASSWORD:Moth_lamp5]]")
SET PASSWORD FOR 'bob'@'%' = PASSWORD('[[PASSWORD:Glen_tarn16]]');
Client("[[API_KEY:AC5944b91f198609339c1d018c3415e2e6]]", "[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]")
[Net.NetworkCredential]::new('bob','[[PASSWORD:Reed!nc44]]')
new NetworkCredential("bob", "[[PASSWORD:Reed!nc45]]")
WiFi.begin("Heron", "[[PASSWORD:reedbunting20]]");
""".strip("\n").split("\n")
NEAR = r"""
login("user", "password")
client.connect(host, port, user, password)
hashlib.sha256("abc").hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
ALTER TABLE users ADD COLUMN password VARCHAR(255) NOT NULL
password: z.string().min(8)
const password = generatePassword(16)
Auth(user, token)
login(username, password)
connect("localhost", 3306, timeout=30)
getConnection(DB_URL, USER, PASS)
createHmac('sha256', key)
Client("us-east-1", "2024-11-20")
Bot("assistant2")
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
