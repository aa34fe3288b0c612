"""Secrets that their place in a call gives away: `oss2.Auth(id, secret)`, `login(user, password)`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agentos.redact.entity import Hit, Kind
from agentos.redact.patterns import Pattern
from agentos.redact.values import dense, generic, kinds, telling

_FAR = 200
"""Bytes from a call's parenthesis within which its secrets stand: no more than a stream looks back."""
_ARGUMENT = re.compile(
    rb"\s*+(?:[A-Za-z_]\w*+\s*+=\s*+)?(?:(?:[rbuf@$L]|\[\]byte\(|new\s+\w+\(|aws\.String\(|String\()?"
    rb"(\"[^\"\n]*+\"|'[^'\n]*+'|`[^`\n]*+`)\)?|(?:[^\s,\"'`(){};]|\([^()\"'`\n]*+\)|[ \t])++)\s*+(,|\)|;|\|\||\Z)"
)
_PASSWORDS: Mapping[str, tuple[int, ...]] = {
    r"(?:login|Login|LOGIN|ftplogin|sign_?in|signIn)": (1,),
    r"(?:PlainCredentials|PasswordCredentials?|UsernamePasswordCredentials|PasswordAuthentication|"
    r"NetworkCredential(?:\]::new)?|PSCredential\]::new|WiFi\.begin|wlan\.connect|wifi\.connect|"
    r"HTTPBasicAuth|HTTPDigestAuth|HttpBasicAuth|BasicAuth|HttpNtlmAuth|SetBasicAuth|basicAuth|"
    r"username_pw_set|set_credentials|setCredentials|basic_auth|digest_auth|BasicAuthentication|auth\.basic|"
    r"UsernamePasswordAuthenticationToken|PSCredential|credentials\.Basic|NewBasicAuth|withCredentials|WithBasicAuth|"
    r"ClientCertificateCredential|UserPasswordCredential|simple_bind_s?|bind_s|NewCredentials)": (1,),
    r"(?:http_auth|basic_auth|auth|proxy_auth|httpAuth)\s*=\s*": (1,),
    r"(?:PlainAuth)": (2,),
    r"(?:mysqli_connect|mysqli|mysql_connect|MySQLdb\.connect|pymysql\.connect|PDO|getConnection|"
    r"connect_db|FTP|FTP_TLS|ftp_login|ssh2_auth_password|ImpalaConnection|Sequelize|Connection|oci_connect|imap_open|"
    r"create_client|InfluxDBClient|SMTP_SSL_LOGIN)": (2,),
    r"(?:set_?[pP]assword|pass_|setUserPassword|set_passphrase|add_password|SetPassword|"
    r"withPassword|WithPassword|password|PASSWORD|make_password|check_password|requirePass)": (0,),
    r"(?:auth|AUTH)": (-1,),
    r"(?:ssh\.connect|client\.connect|sshClient\.connect)": (3,),
}
_KEYS: Mapping[str, tuple[int, ...]] = {
    r"(?:Auth|AuthV2|AuthV4|ProviderAuth|StsAuth|Credential|Credentials|QiniuMacAuth|Mac|BasicAWSCredentials|"
    r"AwsBasicCredentials\.create|BasicSessionCredentials|AwsSessionCredentials\.create|NewStaticCredentials|"
    r"NewStaticCredentialsProvider|StaticCredentialsProvider|BasicCOSCredentials|BasicCredentials|GlobalCredentials|"
    r"BceCredentials|DefaultBceCredentials|DefaultCredentialProvider|NewCredential|NewCredentials|NewStaticV4|NewMac|"
    r"AcsClient|CosConfig|Client|Twilio|Minio|MinioClient|AccessKeyCredential|ClientSecretCredential|AzureKeyCredential|"
    r"SharedKeyCredential|NewSharedKeyCredential|StorageSharedKeyCredential|ApiKeyCredential|OpenAIClient|OpenAI|"
    r"Anthropic|NewClient|ServiceClient|TelegramBotApi|TeleBot|TelegramBot|Telegraf|Bot|Application|WebClient|WebhookClient|"
    r"Github|Gitlab|Octokit|NewTokenClient|SendGridAPIClient|setApiKey|set_api_key|ApiClient|api_key|InferenceClient|login|"
    r"HfApi|CloudFlare|Stripe|Ark|ZhipuAI|ZhipuAiClient|UpYun|UCloud|createClient|AipSpeech|AipOcr|AipNlp|AipFace|"
    r"OSSClient|OSSClientBuilder\(\)\.build|ObsClient|oss\.New|OSS\.Builder|withAccessKey|setAccessKeySecret|"
    r"setSecretKey|setAccessKey|"
    r"secret_key|"
    r"JWTAuth|WechatPay|WXPay|Alipay|AlipayClient|DefaultAlipayClient|WeChatClient|DingTalkClient|Weibo|Twitter|OAuthHandler|"
    r"set_access_token|OAuth1|OAuth1Session|OAuth2Session|URLSafeTimedSerializer|TimestampSigner|CookieSigner|"
    r"setToken|WithToken|StaticTokenSource|TokenAuthentication|token_auth|BearerTokenCredential|"
    r"DefaultProfile\.getProfile)": (),
    r"(?:jwt\.(?:encode|decode|sign|verify)|createHmac|createCipheriv)": (1,),
    r"(?:SecretKeySpec|Fernet|AESGCM|AES\.new|DES\.new|hmac\.new|Algorithm\.HMAC256|setSigningKey)": (0,),
}
"""Of keys, every argument that only a machine makes is one."""


class Calls:
    """Calls whose arguments are secrets, by their names."""

    def __init__(self, kind: Kind, names: Mapping[str, tuple[int, ...]]) -> None:
        """`names` are patterns, each with the places of its secrets; of no place, all that looks like one is."""
        self.kind = kind
        self._names = [(re.compile(rf"(?:{name})\s*\(?\Z".encode()), places) for name, places in names.items()]
        self._heads = Pattern(rf"(?:\A|[^\w.])(?:[\w$]*(?:\.|->|::)\s?)*(?:{'|'.join(names)})\s?\(")

    def suits(self, data: bytes) -> bool:
        """Whether there is a call with a string."""
        return b"(" in data and (b'"' in data or b"'" in data or b"`" in data)

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Each secret argument."""
        at = 0
        while (span := self._heads.next(data, at)) is not None:
            at = span[1]
            places = next((places for name, places in self._names if name.search(data, *span)), ())
            strings = list(_strings(data, at))
            wanted = {min(1, len(strings) - 1) if place < 0 else place for place in places}
            for place, (start, end) in enumerate(strings):
                value = data[start:end]
                if _password(value) if place in wanted else not wanted and dense(value, 14):
                    yield Hit(self.kind, start, end, 0.85)
                    at = end


def _password(value: bytes) -> bool:
    if generic(value) or not 4 <= len(value) <= 64 or b" " in value:
        return False
    return telling(value) or (kinds(value) == 1 and value.isalnum() and not value.isupper() and len(value) > 5)


def _strings(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Where the arguments' strings are; an empty span for one that is none."""
    last = at + _FAR
    while at < last and (match := _ARGUMENT.match(data, at, last + 512)) is not None:
        start, end = match.span(1)
        yield (start + 1, end - 1) if start >= 0 else (at, at)
        if match[2] != b",":
            return
        at = match.end()


RULES = (Calls("API_KEY", _KEYS), Calls("PASSWORD", _PASSWORDS))
