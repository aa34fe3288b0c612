"""Values that only their names give away are found, and what only looks like them is left alone."""

from __future__ import annotations

import pytest

from tests.redact.marks import alone, as_marked

HELD = r"""
BAIDU_MAP_AK=[[API_KEY:Gk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUa]]
TENCENT_SECRET_KEY: [[API_KEY:k9PzQ4mXw7TbV2nRc8YdLs3HfGj6Ua1E]]
QWEATHER_KEY=[[API_KEY:4f1a9c03b7de4e21a86c55f0d9b7c312]]
amapKey: '[[API_KEY:8c1f27d0b3a94e6f9d1e0c5a7b2f4e68]]',
ARK_API_KEY=[[API_KEY:2f9d1c3a-7b4e-4c8a-9f0d-1e6b3a5c7d92]]
spring.datasource.password=[[PASSWORD:heron-lake-mist]]
  - MYSQL_ROOT_PASSWORD=[[PASSWORD:quiet_otter]]
  redis_pass: [[PASSWORD:Mink-44]]
    - name: DB_PASSWORD¶      value: "[[PASSWORD:tr0ut-Lake]]"
{"name":"SMTP_PASSWORD","value":"[[PASSWORD:Kite!rook9]]"}
<property name="password" value="[[PASSWORD:Gh0st#Pine]]"/>
<password>[[PASSWORD:s3cretRook]]</password>
<property name="hibernate.connection.password">[[PASSWORD:W0lf-den]]</property>
variable "db_password" {¶  type    = string¶  default = "[[PASSWORD:Fjord_88x]]"¶}
$Password = "[[PASSWORD:Br0nze-Oak]]"
Server=db1;Uid=app;Pwd=[[PASSWORD:four red barns 9]];Encrypt=yes
the pass is [[PASSWORD:fiddle42]] ok?
wifi: CasaNova / pass: [[PASSWORD:gatto2022]]
WiFi密码（全小写）：[[PASSWORD:huanying888]]
Wi-Fi 密码 → [[PASSWORD:Tea_house7]]
密码我改成了[[PASSWORD:Hui!6612]]
密码已经重置，新的是 [[PASSWORD:Zq7pLm2x]]
root密码统一改成 [[PASSWORD:Abc#7788]] 了
提取码: [[PASSWORD:k8dp]]
链接：https://pan.baidu.com/s/1aBcDeFgHiJkLm 提取码：[[PASSWORD:x7q2]]
邮箱授权码 [[PASSWORD:hqpwzkxjcbvtrmns]]
root on the db box is "[[PASSWORD:Gravel&Moss1]]"
login admin / [[PASSWORD:Peb8le_Bay]]
账密 admin / [[PASSWORD:Ning_2031x]]
creds: svc_bi:[[PASSWORD:Tarn.4410]]
username: kim, password: [[PASSWORD:Osier-22b]]
user `deploy` password `[[PASSWORD:Tansy%5x]]`
r = redis.Redis(host="[[IP_ADDRESS:10.0.0.3]]", port=6379, password="[[PASSWORD:m0ssy-Rock]]")
psycopg2.connect("dbname=x user=y password=[[PASSWORD:Fern_leaf2]] host=db")
ssh.connect("[[IP_ADDRESS:10.2.3.4]]", username="ops", password="[[PASSWORD:Quartz!81]]")
$mail->Password = '[[PASSWORD:Olive_Br4nch]]';
kubectl create secret generic db --from-literal=password=[[PASSWORD:Silt_9mud]] --from-literal=user=a
//reg.corp.io/:_password=[[PASSWORD:UzNjcjN0LXB3]]
network={¶ ssid="Attic"¶ psk="[[PASSWORD:owl box 77]]"¶}
Set-Cookie: connect.sid=[[API_KEY:s%3AkJh8GfD5sA.q2W3e4R5t6Y7u8I9o0P]]; Path=/
Jenkins token: [[API_KEY:11f4c9be7720d3a5e1b86f40c2d97a3e51]]
WANDB_API_KEY=[[API_KEY:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a0]]
HEROKU_API_KEY=[[API_KEY:a3c1f9d2-7b4e-4c8a-9f0d-1e6b3a5c7d92]]
| 密码 | [[PASSWORD:Xinhe#202]] |
| API Key | [[API_KEY:b7c9d2e4f6a8012345aa]] |
<td>Password</td><td>[[PASSWORD:Juniper!7]]</td>
passphrase: [[PASSWORD:correct horse battery staple]]
备用码是[[PASSWORD:482913]]
Database password for prod is [[PASSWORD:Reed_Marsh6]], rotate it
The API key for staging is [[API_KEY:q8w7e6r5t4y3u2i1o0pa]]
access token (read-only): [[API_KEY:a8s7d6f5g4h3j2k1l0zx]]
AK: [[API_KEY:Zk3vTzR8wYq2nHs5LdXb]] SK: [[API_KEY:9mCp7fJe4tUaQ1w2E3r4T5y6U7i8O9p0]]
签名密钥：[[API_KEY:Kp3vTzR8wYq2nHs5]]
SECRET_KEY = '[[API_KEY:django-insecure-3vtzr8wyq2nhs5ldxb9mcp7fje4tua]]'
NEXTAUTH_SECRET="[[API_KEY:Zk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUa=]]"
JWT_SECRET=[[API_KEY:heron-lake-morning-mist]]
"Password": "[[PASSWORD:alpine-ibex]]"
Password: [[PASSWORD:Swordfish]]
password is [[PASSWORD:bluebird]].
wifi名 HuaweiHome，密码 [[PASSWORD:hw88990011]]，5G 的也一样
会议密码：[[PASSWORD:482913]]
入住密码[[PASSWORD:7733#]]，按完等绿灯
快递柜我设了密码[[PASSWORD:4412]]
你先用这个账号登：test_zj，密码[[PASSWORD:test@2031]]
数据库账号 readonly_bi，口令 [[PASSWORD:Bi#2031ro]]
MySQL root 的密码是「[[PASSWORD:Shan!Hai9]]」
密码（区分大小写）：[[PASSWORD:LanTing_88]]
服务器密码写在这了 → [[PASSWORD:Gz-Node#07]]
他把密码设成了[[PASSWORD:wangwei1990]]
SSID: Studio42 / Key: [[PASSWORD:paint-brush-7]]
ssid "Loft" psk "[[PASSWORD:brick&beam9]]"
The admin console login is [[EMAIL:ops@corp.io]] / [[PASSWORD:Ledger-Finch-3]]
Try logging in with user guest and password [[PASSWORD:Guest_2031x]]
Pwd: [[PASSWORD:Ash_4grove]]
pw = [[PASSWORD:Moss#12]]
Your temporary password is: [[PASSWORD:Xk29-plQ7]]
New password: [[PASSWORD:Pebble!Creek]]
Old password was [[PASSWORD:Pebble_Brook1]].
The passphrase for the key is "[[PASSWORD:seven grey herons]]"
the shared passcode's [[PASSWORD:Orchid-19]]
Username: jdoe¶Password: [[PASSWORD:Cedar&Moss4]]
password:¶  [[PASSWORD:Cedar&Moss4]]
spring.mail.password: [[PASSWORD:qhzkxwpvtrmsnbjd]]
jdbc.password=[[PASSWORD:Root@2031]]
<add key="DbPassword" value="[[PASSWORD:Elm!bark6]]" />
<Password><Value>[[PASSWORD:Elm!bark7]]</Value></Password>
env:¶  REDIS_PASSWORD: [[PASSWORD:Tarn_water3]]
DATABASE_PASSWORD="[[PASSWORD:Tarn&water4]]"
export SMTP_PASS='[[PASSWORD:Kelp"9"bed]]'
$env:VAULT_PASSWORD = "[[PASSWORD:Loch_67n]]"
admin_password = "[[PASSWORD:Loch!68n]]"
ansible_ssh_pass=[[PASSWORD:Iron_hill4]]
ansible_become_password: [[PASSWORD:Iron!hill5]]
DB_PWD: ${DB_PWD:[[PASSWORD:-fallback_9x]]}
"connectionString": "Server=[[IP_ADDRESS:10.0.0.4]];User Id=app;Password=[[PASSWORD:Mire,fen8]];"
"ConnectionStrings": {"Main": "Host=pg;Username=x;Password=[[PASSWORD:Dale-foot2]]"}
AccountKey=[[API_KEY:a0FVlFhFM4w8S1qGUqAti33kH5cQW0Nwk2j3pYy3fiUwUoVZr9MPXGCrrDmNeWxvUa3auOBoFX8DZFussKK4qZ==]]
"private_key_password": "[[PASSWORD:Gale_wind8]]"
CLOUDFLARE_API_TOKEN=[[API_KEY:v7Qz9fK2mX4vB8nR1tY6wJ3zQ5pD9sF0gH2aE4u]]
DD_API_KEY: [[API_KEY:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2]]
datadog app key [[API_KEY:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2c4b6d8a0]]
SLACK_SIGNING_SECRET=[[API_KEY:8f742231b10e8888abcd99yyyzzz85a5]]
azure client secret: [[API_KEY:Xk38Q~aB9cD2eF4gH6iJ8kL0mN1oP3qR5sT7uVwX]]
百度 AK：[[API_KEY:Gk3vTzR8wYq2nHs5LdXb9mCp7fJe4tUa]]
高德 key：[[API_KEY:8c1f27d0b3a94e6f9d1e0c5a7b2f4e68]]
高德key [[API_KEY:8c1f27d0b3a94e6f9d1e0c5a7b2f4e69]]
企业微信 corpsecret=[[API_KEY:kPq9sLmZ7yTuVb2nRc8YdHs5LdXb9mCp7fJe4tUaQ1w]]
appsecret: [[API_KEY:3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2]]
微信支付 APIv3密钥 [[API_KEY:Kp3vTzR8wYq2nHs5LdXb9mCp7fJe4tUa]]
https://x.zoom.us/j/84012345678?pwd=[[PASSWORD:k3vTzR8wYq2nHs5LdXb9mCp7.1]]
mount -t cifs //nas/x /mnt -o username=bob,password=[[PASSWORD:Glen_tarn6]],vers=3.0
docker run -e POSTGRES_PASSWORD=[[PASSWORD:Glen_tarn8]] -d postgres
helm install x --set auth.password=[[PASSWORD:Glen_tarn9]]
psql "postgresql://u@h/db?password=[[PASSWORD:Glen_tarn10]]"
ALTER USER bob WITH PASSWORD '[[PASSWORD:Glen_tarn13]]';
INSERT INTO users (name, password) VALUES ('bob', '[[PASSWORD:Glen_tarn15]]');
[client]¶user=root¶password=[[PASSWORD:Glen_tarn18]]
[ftp]¶type = ftp¶user = bob¶pass = [[PASSWORD:k3vTzR8wYq2nHs5LdXb9mCp7fJe4]]
user = "bob:[[PASSWORD:Glen_tarn19]]"
cmdkey /add:nas /user:bob /[[PASSWORD:pass:Glen_tarn21]]
vault kv put secret/db password=[[PASSWORD:Glen_tarn26]]
PrivateKey = [[API_KEY:yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=]]
PresharedKey = [[API_KEY:FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=]]
secret: [[API_KEY:JBSWY3DPEHPK3PXP]]
生产库账号 order_rw 密码 [[PASSWORD:Ord#2291rw]]，别在群里发
初始口令：[[PASSWORD:Init@0417]]（首次登录须修改）
把wifi密码发我 -> [[PASSWORD:cafe8899]]
后台登录 用户名：ops01 密码：[[PASSWORD:Ops01!kk]]
VPN 账号：liwei，密码：[[PASSWORD:Lw_vpn77]]，动态口令见手机
服务器root密码[[PASSWORD:Rt!2031zz]]，端口2222
堡垒机密码暂时是 [[PASSWORD:Blj#6601]]
对方给的临时密码为“[[PASSWORD:Ls_7788x]]”
小程序 AppSecret：[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]
阿里云 AccessKey ID: [[API_KEY:LTAI5tKk2pQw9ZxYv3Rt7NmB]]¶AccessKey Secret: [[API_KEY:aQ8wErTy2UiOp4AsDf6GhJk8LzXcVb]]
七牛 AK=[[API_KEY:x1Yz8KdPq0oLmNbVcXzAsDfGhJkQwErTyUiOpLk2]]
七牛 SK=[[API_KEY:Mm2Nn4Bb6Vv8Cc0Xx1Zz3Ll5Kk7Jj9Hh2Gg4Ff6a]]
const token = '[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]'; // 测试
wx.config appid=wx1a2b3c4d5e6f7a8b secret=[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]
企业邮箱客户端专用密码：[[PASSWORD:aB3dE6gH9kLmN2pQ]]
百度网盘链接 https://pan.baidu.com/s/1kjXyZ?pwd=[[PASSWORD:ab12]]
夸克网盘提取码 [[PASSWORD:Qk7z]]
会议号 482-917-306 密码 [[PASSWORD:0417]]
快递柜开柜密码[[PASSWORD:60231]]
U盘加密口令 [[PASSWORD:Usb&2031]]
Wi-Fi: Heron_5G, pw: [[PASSWORD:n3st-egg]]
Wifi network "Heron", password "[[PASSWORD:n3st-egg!]]"
the guest wifi password is [[PASSWORD:summer2031]]
Please log in as kstone with [[PASSWORD:Harrow&Vale9]]
My login is kstone and my password is [[PASSWORD:Harrow&Vale9]]
creds for staging – qa_user / [[PASSWORD:Harrow.Vale-9]]
The sa password on SQL01 is [[PASSWORD:Harrow9Vale]]
I set the root password to [[PASSWORD:N1ghtjar]] last night
default creds admin:[[PASSWORD:Swift!Finch3]]
encryption passphrase is [[PASSWORD:tin-roof-rust-77]]
password hint no, password [[PASSWORD:Kestrel#9]]
pwd [[PASSWORD:Kestrel#9x]]
sudo pw: [[PASSWORD:kestrel9]]
App password (Gmail): [[PASSWORD:abcd efgh ijkl mnop]]
gmail app password [[PASSWORD:qwlkzmxncbvpoiuy]]
iCloud app-specific password: [[PASSWORD:xkcd-plqz-mwrt-bnvh]]
export AWS_SECRET_ACCESS_KEY=[[API_KEY:dT9/kw2PzqX4+mN7bV1cR8sYhL5jG3fKaE6uWoQi]]
aws_secret_access_key=[[API_KEY:dT9/kw2PzqX4+mN7bV1cR8sYhL5jG3fKaE6uWoQj]]
secretAccessKey: "[[API_KEY:dT9/kw2PzqX4+mN7bV1cR8sYhL5jG3fKaE6uWoQk]]"
TWILIO_AUTH_TOKEN: [[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70]]
openai.api_key = "[[API_KEY:k3vTzR8wYq2nHs5LdXb9mCp7fJe4tUaQ]]"
imaps://[[URL_CREDENTIALS:a%40b.io:Reed*Bunting]]@mail.b.io
ssh root@[[IP_ADDRESS:10.0.0.9]] # pw [[PASSWORD:Reed_Bunting7]]
heroku config:set SECRET_KEY_BASE=[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c4d5e6f70d41e8ad18a1b4c3b]]
fly secrets set DB_PASS=[[PASSWORD:Reed_Bunting5]]
helm upgrade x --set-string postgres.password='[[PASSWORD:Reed_Bunting6]]'
ansible all -e "ansible_become_pass=[[PASSWORD:Reed_Bunting66]]"
Connect-VIServer vc -User bob -Password '[[PASSWORD:Reed!vc55]]'
<Setting Name="ApiKey" Value="[[API_KEY:d41e8ad18a1b4c3b9b0a2f3c]]"/>
<secret>[[API_KEY:k3vTzR8wYq2nHs5L]]</secret>
<entry key="db.password">[[PASSWORD:Reed#xml6]]</entry>
db.password = [[PASSWORD:Reed#prop7]]
"db": {"user": "app", "pass": "[[PASSWORD:Reed#js9]]"}
{ user: 'app', password: '[[PASSWORD:Reed#js10]]' }
'PASSWORD': '[[PASSWORD:Reed#dj11]]',
define('DB_PASSWORD', '[[PASSWORD:Reed#wp12]]');
putenv("DB_PASS=[[PASSWORD:Reed#php13]]");
$config['db_pass'] = '[[PASSWORD:Reed#ci14]]';
config.password = "[[PASSWORD:Reed#rb15]]"
os.environ["DB_PASSWORD"] = "[[PASSWORD:Reed#py16]]"
String password = "[[PASSWORD:Reed#java17]]";
private static final String SECRET = "[[API_KEY:k3vTzR8wYq2nHs5LdX]]";
#define WIFI_PASS "[[PASSWORD:reed bunting 18]]"
const char* password = "[[PASSWORD:reedbunting19]]";
https://[[URL_CREDENTIALS:bob:gho_abcDEF1234567890abcDEF1234567890abcd]]@github.com
ftp://[[URL_CREDENTIALS:files:Chalk,hill5]]@ftp.corp.io
pip install --extra-index-url https://[[URL_CREDENTIALS:ci:Reed!Bunting4]]@pypi.corp.io/simple pkg
HTTPS_PROXY=http://[[URL_CREDENTIALS:kim:Reed%21Bunting]]@[[IP_ADDRESS:10.0.0.9]]:3128
mongodb://[[URL_CREDENTIALS:u1:Reed-Bunting]]@a:27017,b:27017/x
sftp://[[URL_CREDENTIALS:drop:Reed,Bunting]]@files.corp.io/in
""".strip("\n").split("\n")
NEAR = r"""
token = get_access_token(credentials=api_key, litellm_params=litellm_params)
"ChangeToken": "abcd12f2-46da-4fdb-b8d5-fbd4c466928f"
apt	openssl	3.0.15-1¶apt	passwd	1:4.13+dfsg1¶apt	python3.11	3.11.2-6¶apt	x11-common	1:7.7+23
we read the username/password from $HOME/.pypirc, which
cache_key=3f8e1b9c7d2a4056e8f1c3b5d7a9e0f2
"s3_object_key": "a3c1f9d2-7b4e-4c8a-9f0d-1e6b3a5c7d92"
idempotency-key: a3c1f9d2-7b4e-4c8a-9f0d-1e6b3a5c7d92
GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568
password_min_length: 12
password_hash: $2b$12$KIXQ1Z3v5o7pQ9rS1tUvWe
pass: 1024 fail: 12
test pass rate 0.982, pass 1820 fail 3
boarding pass is on mobile
password: ********
password: your_password_here
DB_PASSWORD=changeme_please
密码强度：至少8位，包含AES256加密
密码采用SHA256存储
密码长度 12 位
密码学课程 CS255 开课
密码错误3次锁定
token 用量 128000，token 预算 4096
api_key=os.environ["KEY"], secret=settings.SECRET_KEY
public_key: "MCowBQYDK2VwAyEA7x1J9Kc3bTq8vN2mPzLrYwXsEuHd5gFa0oIiU4tRkS0="
"primaryKey": "a3c1f9d2-7b4e-4c8a-9f0d-1e6b3a5c7d92"
"translationKey": "checkout.payment.title2.label4"
token_type: bearer, expires_in: 3600
password manager 1Password7 is used
password reset v2.3.1 shipped
The secret ingredient is cinnamon2
the key to success is hard work
user guide / chapter12
admin/index2.html
root/app2/main.py
login: see wiki/page2
key=uploads/2024/11/report-final2.pdf
SELECT password FROM users WHERE id = 12
{"password": {"type": "string", "minLength": 8}}
<input type="password" name="password" placeholder="Enter password">
<label for="password">Password</label>
password: string; token?: string
private String password;
| Field | Type |¶| password | varchar2 |
| token | string | required |
model: pass@1024 0.62
commit key 3f8e1b9 and tree
sig: 8 bytes, sign=1
version=1.2.3&hash=3f8e1b9c7d2a
密码由管理员统一分发，请勿外传
忘记密码请点击“找回密码”
密码见 1Password，key 见 KMS
密码同邮箱，token 找小李要
初始密码为身份证后六位
密码规则：大写字母+小写字母+数字
Password must contain at least 8 characters
Password is case sensitive.
password field is required, token is expired
Passwords are hashed with bcrypt (cost 12)
Your password was changed on 2024-11-02
Enter your password again
The password length is 12-64
password policy: min_length=12
The access token expires in 3600 seconds
refresh token rotation is enabled
API key is missing
API keys start with sk_live_ and are 32 chars
secret scanning found 3 alerts
Secret name: db-credentials-v2
secretName: tls-wildcard-2024
secretKeyRef:¶  name: db-secret¶  key: password
name: DB_PASSWORD¶  valueFrom:¶    secretKeyRef:
key: value
"key": "user_profile_2024"
sort key = created_at, primary key = id
monkey=banana2, turkey: 12 kg
keyboard: Logitech K380
hotkey: Ctrl+Shift+F12
keystore.path=/etc/ssl/app2024.jks
private_key_path: /home/bob/.ssh/id_ed25519
ssl_key = server2.key
token_count=128000 total_tokens: 32768
max_tokens: 4096, eos_token: </s>, pad_token=<|endoftext|>
next_page_token: CAUQAA12345678
request_id: 7d2a4056e8f1c3b5d7a9
bearer of bad news since 2020
Login: 12 failed attempts
user: bob / role: admin2
credentials: see vault path secret/data/app2
admin / operator / viewer roles
root / home / var directories
root filesystem is "ext4-v2"
admin panel is "beta2"
login via SSO, account: 1234567890
pass 12345 rows to the function
pass data1 to f
passing grade1
2024-11-20 INFO token refresh ok user=bob id=7d2a4056
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_private_is_found(line: str) -> None:
    as_marked(line)


@pytest.mark.parametrize("line", NEAR)
def test_what_only_looks_private_is_left_alone(line: str) -> None:
    alone(line)
