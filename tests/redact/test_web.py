"""Secrets in links, headers, cookies and dotfiles are found, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
db1.corp.io:5432:sales:report:[[PASSWORD:Heath_21b]]
//reg.corp.io/:_auth=[[API_KEY:Ym9iOlMzY3IzdC1wdw==]]
Cookie: sessionid=[[API_KEY:k2j9x8c7v6b5n4m3q1w2e3r4]]; theme=dark
Set-Cookie: PHPSESSID=[[API_KEY:9d8f7g6h5j4k3l2m1n0b]]; path=/; HttpOnly
Authorization: Token [[API_KEY:9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b]]
Authorization: [[API_KEY:d41e8ad1-8a1b-4c3b-9b0a-2f3c4d5e6f70]]
Authorization: SSWS [[API_KEY:00QCjAl4MlV-WPXM0ABCDEfghIJklmnopQRstuv12]]
Proxy-Authorization: Basic [[API_KEY:Ym9iOmh1bnRlcjI=]]
X-Api-Key: [[API_KEY:b7c9d2e4f6a80123]]
https://app.io/callback?code=[[API_KEY:4/0AX4XfWh3kPq9sLmZ7yTuVb2nRc8Yd]]&state=xyz
https://app.io/reset-password/[[API_KEY:Zk3vTzR8wYq2nHs5LdXb9mCp]]
otpauth://totp/Corp:bob?secret=[[API_KEY:JBSWY3DPEHPK3PXP]]&issuer=Corp
WIFI:T:WPA;S:Cafe;P:[[PASSWORD:latte art 22]];;
sqlplus scott/[[PASSWORD:T1ger#x]]@orcl
[[IP_ADDRESS:203.0.113.9]]:8000:[[URL_CREDENTIALS:user1:pw9x2k]]
postgres://[[URL_CREDENTIALS:app:p@ss/w0rd#1]]@db.corp.io/x
[[URL_CREDENTIALS:deploy:S3cr3t!x]]@git.corp.io
"auth": "[[API_KEY:Ym9iOlMzY3IzdC1wdw==]]"
X-Auth-Token: [[API_KEY:gAAAAABlk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ1w2E3r]]
curl -H 'PRIVATE-TOKEN: [[API_KEY:k3vTzR8wYq2nHs5LdXb9]]' https://git.x/api
curl -b "session=[[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7]]" https://x.io
headers = {"Authorization": "[[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7]]"}
requests.get(u, cookies={"sessionid": "[[API_KEY:k3vtzr8wyq2nhs5ldxb9mcp7fje4tuaq]]"})
set-cookie: XSRF-TOKEN=[[API_KEY:eyJpdiI6Im1RdzJFM3I0In0k3vTzR8wYq2nHs5]]; expires=x
cookie: JSESSIONID=[[API_KEY:A1B2C3D4E5F60718293A4B5C6D7E8F90]]
GET /api?access_token=[[API_KEY:k3vTzR8wYq2nHs5LdXb9]] HTTP/1.1
magic link https://app.io/auth/verify?token=[[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7]]
邀请链接 https://app.io/invite/[[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7]]
{"auths":{"r.io":{"auth":"[[API_KEY:Ym9iOlMzY3IzdC1wdw==]]"}}}
Authorization: Digest username="bob", realm="x", nonce="a1b2", response="[[API_KEY:6629fae49393a05397450978507c4ef1]]"
Authorization: Basic [[API_KEY:Ym9iOmh1bnRlcjI=]]
var apiKey = "[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f71]]";
Authorization: HMAC-SHA256 [[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7]]
Authorization: ApiKey [[API_KEY:VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==]]
"Authorization":"Basic [[API_KEY:YWRtaW46UmVlZCFCdW50aW5n]]"
""".strip("\n").split("\n")
NEAR = r"""
https://x.io/a?v=3f2a91bc&utm_campaign=20241118_382&id=882716253
https://x.io/docs/verify-installation-guide-for-linux
https://x.io/invite/how-to-invite-your-colleagues
ETag: "540df5ed21dd68b1bc5e"
Cookie: theme=dark; lang=zh-CN; _ga=GA1.2.1234567.1700000000
Set-Cookie: locale=en_US; Path=/
Authorization: Bearer $TOKEN
Authorization: Basic <base64>
use the Authorization header, e.g. Bearer YOUR_API_KEY
session_id column is a UUID
main.c:12:5: error: x undeclared
root:*:19000:0:99999:7:::
postgres:x:999:999::/var/lib/postgresql:/bin/sh
Client("https://api.corp.io/v1/users/list2")
login page 2 / step 3
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
x-request-id: 7c9f6b5d4x2k8p
auth: required, auth=none
"auth": "oauth2client"
etag=W/"3f8e1b9c7d2a4056"
https://cdn.io/app.3f8e1b9c7d2a.js?v=20241118
https://x.io/p?id=3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2
https://github.com/a/b/commit/3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a0
https://x.io/s/products-and-services-2024-edition
https://docs.x.io/auth/single-sign-on-with-saml-2-0
https://arxiv.org/abs/2411.08273?key=value
Signature: John Smith
signature=v4, sign=ascending
Cookie policy: we use session cookies for 30 days
Cookie: consent=true; screenResolution=1920x1080
auth=oauth2; Path=/
Authorization header is required for v2 endpoints
Authorization: <scheme> <credentials>
curl -o out1.zip https://x.io/a.zip
http://localhost:8080/a@b
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
