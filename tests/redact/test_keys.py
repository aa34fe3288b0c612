"""Keys are found by their shapes, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
https://api.telegram.org/bot[[API_KEY:7120394851:AAHk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ]]/getMe
zhipu key [[API_KEY:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2.Kp3vTzR8wYq2nHs5]]
access_key_id: [[API_KEY:AKIAQ3EGX7RT5NZ2WLPA]]
aws_session_token = [[API_KEY:IQoJb3JpZ2luX2VjEHoaCXVzLWVhc3QtMSJHMEUCIQDx7abcDEF123]]
Sentry auth token: [[API_KEY:sntrys_eyJpYXQiOjE3MDAwMDAwMDB9_k3vTzR8wYq2nHs5LdXb9]]
notion: [[API_KEY:ntn_3487201938471kPq9sLmZ7yTuVb2nRc8YdHs5LdX]]
bot token [[API_KEY:xoxb-2345678901-2345678901234-AbCdEfGhIjKlMnOpQrStUvWx]]
discord: [[API_KEY:MTE4Mjc0NjE3MjgzOTQwMTIz.GabcdE.k3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ1w2E3r]]
vault: [[API_KEY:hvs.CAESIJk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ1w2E3r4]]
docker: [[API_KEY:dckr_pat_k3vTzR8wYq2nHs5LdXb9mCp7fJe]]
volc AK [[API_KEY:AKLTNmQxZjE4YzJhOWI0NGU3Zjg2ZDU]]
DashScope 的 key 是 [[API_KEY:sk-3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2]]
我的 key：[[API_KEY:sk-proj-k3vTzR8wYq2nHs5LdXb9mCp7]]
https://hooks.zapier.com/hooks/catch/[[API_KEY:1234567/b3k9x2q/]]
https://open.feishu.cn/open-apis/bot/v2/hook/[[API_KEY:3f8e1b9c-7d2a-4056-e8f1-c3b5d7a9e0f2]]
    tls.key: [[API_KEY:LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXc]]
钉钉加签 [[API_KEY:SECd41e8ad18a1b4c3b9b0a2f3c4d5e6f70d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]
STRIPE_WEBHOOK=[[API_KEY:whsec_k3vTzR8wYq2nHs5LdXb9mCp7]]
telebot.TeleBot("[[API_KEY:7120394851:AAHk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ]]")
OpenAI(api_key="[[API_KEY:sk-svcacct-k3vTzR8wYq2nHs5LdXb9]]", base_url=u)
genai.configure(api_key="[[API_KEY:AIzaSyD9tSrke72PouQMnMXa7eZSW0jkFMBWYx]]")
ZhipuAI(api_key="[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70.k3vTzR8wYq2nHs5L]]")
github3.login(token="[[API_KEY:ghp_16C7e42F292c6912E7710c838347Ae178B4a]]")
authorization=Bearer [[API_KEY:a3f8c9d0e1b2]]
x-amz-security-token: [[API_KEY:IQoJb3JpZ2luX2VjEJ3k3vTzR8wYq2nHs5LdXb9mCp7]]
Sec-WebSocket-Protocol: token, [[API_KEY:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N]]
ssh-rsa-cert no; age: [[API_KEY:AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ]]
""".strip("\n").split("\n")
NEAR = r"""
-----BEGIN RSA PRIVATE KEY----- is the header of such files
-----BEGIN CERTIFICATE-----¶MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ¶-----END CERTIFICATE-----
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH8sT2m1vKqfJY0wVZ7cNpLr4xQeGd3uXbA9oRkWtM5n k
app-frontend-deployment-7c9f6b5d4-x2k8p Running
secret-management-documentation-v2-final
pod/user-auth-service-6d8f7c9b5-q4z7m
sha256: 3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a03f8e1b9c7d2a4056e8f1c3b5
image: registry.io/team/app2@sha256:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a03f8e1b9c7d2a4056e8f1c3b5
MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ
AKIA is the prefix of access keys
Use `ghp_` tokens or `github_pat_` ones
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
