"""Words beside a value that tell what it is, in English and Chinese."""

from __future__ import annotations

from agentos.redact.patterns import Pattern

_FILL = (
    r"(?:[\s:=#/\"'`(\[（“「>-]|\bno\.?|number|num\b|code|\bis\b|\bare\b|\bwas\b|\bat\b|\bon\b|"
    r"\bto\b|号码|号|码|是|为|个|分别|就)"
)


class Words:
    """Alternatives of a pattern; case does not matter."""

    def __init__(self, *words: str, fill: int = 6) -> None:
        """`fill` is how many colons, brackets, `is`, `号码` may stand between a label and its value."""
        either = "|".join(words)
        self._near = Pattern(f"(?i)(?:{either})")
        self._label = Pattern(rf"(?i)(?:{either}){_FILL}{{0,{fill}}}\z")
        self._after = Pattern(rf"(?i)\A[\s)）,，(（]{{0,3}}(?:{either})")

    def anywhere(self, data: bytes) -> bool:
        """Whether one stands in there."""
        return self._near.within(data)

    def ends(self, data: bytes) -> list[int]:
        """Where those in there end; of two that overlap, one."""
        return self._near.ends(data)

    def label(self, data: bytes, start: int, reach: int = 48) -> bool:
        """Whether one stands directly before: `tel: `, `卡号是`."""
        return self._label.within(data[max(0, start - reach) : start])

    def before(self, data: bytes, start: int, reach: int = 48) -> bool:
        """Whether one stands somewhere before it, in reach."""
        return self._near.within(data[max(0, start - reach) : start])

    def after(self, data: bytes, end: int, reach: int = 24) -> bool:
        """Whether one stands directly after."""
        return self._after.within(data[end : end + reach])


NUMBERED = Words(
    "订单|訂單|设备|证书|单号|運單|运单|快递|编号|編號|序列|流水|工单|批次|发票|型号|产品|商品|时间戳|数量|金额|价格|合同|条码|学号|工号|群",
    "QQ",
    "任务|作业|进程|种子|步数|参数|版本|提交|样本",
    r"\b(?:\w+[_ ])?(?:order|serial|sku|ticket|job|task|run|pid|uid|id|request)\b",
    r"\b(?:\w+[_ ])?(?:trace|span|build|commit|version|batch)\b",
    r"\b(?:\w+[_ ])?(?:invoice|tracking|part|product|model|item|size|bytes|total|used|seed|epoch|step|timestamp|ts)\b",
    r"\b(?:\w+[_ ])?(?:offset|count|amount|price|tokens|param(?:eter)?s|rows?|isbn|ean|upc|barcode|case|port|inode)\b",
    r"\b(?:imei|meid|iccid|mac|serial no)\b",
    r"\b(?:\w+[_ ])?(?:hash|checksum|revision|rev|qty|index|key|asin|memory|mem|length|duration|balance|sum|value)\b",
)
"""What numbers things rather than people."""
COUNTED = Words(
    r"bytes?\b|tokens?\b|params?\b|parameters?\b|rows?\b|records?\b|[kmgt]i?b\b|[mnu]?s\b|seconds?\b|steps?\b|flops?\b",
    r"samples?\b|usd\b|dollars?\b|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b",
    "元|人民币|美元|字节|个|条|行|次|秒|毫秒|步|人|万|亿|件|张|吨|米|克|位",
)
"""What a number before it counts."""
_PHONE = (
    "电话|手机|座机|固话|传真|热线|联系方式|联系人|联系|致电|拨打|打给|来电|电联|短信|联络|微信|拨|手機|電話",
    r"\b(?:tele|cell ?|mobile ?|work ?|home ?)?phones?\b|\btel\b|\btelephone",
    r"\bcell\b|\bmobile\b|\bmob\b|\bfax\b|\bdial\b",
    r"\bcall(?:s|ed|ing)? (?:me|us|him|her|them|back|the|our|my|at|on)\b|\bring (?:me|us|him|her|them)\b|\bhotline",
    r"\bwhats ?app|\bsms\b|\b(?:text|reach)(?:ed)? (?:me|us|him|her|them)\b|\bmsisdn|\bcontact(?: number| no)?\b",
    r"\b(?:phone|mobile|tel|contact)[_ ]?(?:no|num|number)|\bcall ?back\b|\bcaller(?: id)?\b",
)
_CALL = (r"(?:\A|[.!?,;:\n\"'，。]|\b(?:please|to|or|can|and|you|just|then)) ?call\b", r"\bph\b|\btext\b|\bring\b")
PHONE = Words(*_PHONE)
CALL = Words(*_PHONE, *_CALL)
"""As `PHONE`, and words that must stand directly before a number to tell anything of it."""
IDENTITY = Words(
    "身份证|身份證|证件|身份号|居民证|公民身份|户口|实名",
    r"\bid[ _]?card|\bid[ _]?(?:no|num|number)\b|\bidentity|\bidentification|\b(?:national|resident|citizen) id",
    r"\bshenfenzheng|\bsfz|\bidcard",
)
SOCIAL = Words(
    "社会安全号|社安号|社会保障号|社保号|社会安全码",
    r"\bssn\b|\bsocial[ -]?security|\b(?:my|your|his|her|their) social\b|\btax ?id\b|\bi?tin\b"
)
PASSPORT = Words(
    "护照|護照|通行证|通行證", "passports?|travel document", r"\bpassport[_ ]?(?:no|number)",
    r"\bpasaporte|\breisepass|\bpasseport|\bppt no",
)
UNDATED = Words(r"\bexpir\w+|\bissued?\b|\bvalid\b|\bborn\b|\bdob\b", "有效期|签发|出生|到期")
PLATE = Words(
    "车牌|车号|牌照|牌号|车辆", r"\b(?:licen[cs]e|number|registration|car|vehicle|reg)[ _-]?plates?\b|\bplates?\b",
    r"\b(?:car|vehicle) reg(?:istration)?\b|\blicen[cs]e[_ ]?plate\w*|\bkennzeichen|\bregistration (?:number|no|mark)",
)
CAR = Words("车|牌|停|驾|违章|限行", r"\bcar\b|\bvehicle|\bplate|\bpark|\bdriv|\bvan\b|\btruck|\btaxi|\btow")
CARD = Words(
    "卡号|銀行卡|银行卡|信用卡|储蓄卡|借记卡|贷记卡|工资卡|刷卡|收款账号|银行账[号户]|账户|帐号|账号|开户|户头|卡片|卡是",
    "的卡|提现|还款|扣款|付款|银联|行卡|招行|工行|建行|农行|中行|交行|浦发|民生银行",
    r"\b(?:credit|debit|bank|payment|visa|mastercard|amex|american express|discover|jcb|unionpay)\b(?: card)?",
    r"\bdiners\b|\bmaestro\b",
    r"\bcards?\b|\bcard[_ ]?(?:no|num|number)\b|\bcc[_ ]?(?:no|num|number)?\b|\bpan\b|\bacct\b|\bbank[_ ]account",
)
ACCOUNT = Words(
    "国际银行|银行账|账[号户]|汇款|转账",
    r"\biban\b|\baccount\b|\bkonto\w*|\bsepa\b|\btransfer|\bwire\b|\bpay\b|\brefund"
)
REMOTE = Words(r"\bssh\b|\bscp\b|\bsftp\b|\brsync\b|\bssh-copy-id\b", fill=2)
VERSION = Words(
    r"\bversions?\b|\bver\b|\bv|\breleased?\b|\bbuild\b|\bfirmware\b|\bdriver\b|\bsection\b|\bchapter\b|§|\bclause\b",
    r"\bpatch\b|\bupgraded?\b|\bdowngraded?\b|\boid\b|\bcuda\b|\bcudnn\b|\bnccl\b|\btag\b|[=~<>!]=",
    "版本号?|固件|驱动|升级到?|升到|发布|更新到|章节?|第|条款",
)
VERSIONS = Words(
    r"\bversions?\b|\bchangelog\b|\bupgrad\w+|\bfirmware\b|\brelease notes\b|\bsections?\b|\bchapters?\b",
    "版本|升级|固件"
)
ADDRESS = Words(
    r"\bips?\b|\bipv[46]\b|\bip[_ ]?addr|\baddress|\bhosts?\b|\bservers?\b|\bping\b|\bssh\b|\bgateway|\bdns\b",
    r"\blisten|\bsubnet|\bconnect|\bnodes?\b|\bpeer\b|\bclient|\bremote",
    r"\bport\b|://|@|\bresolver?\b|\binet6?\b|\bAAAA\b|\s-h\b",
    "地址|服务器|主机|网关|节点|登录|登陆|连接|访问|内网|公网|机器",
)
SOURCE = Words(r"\bfrom\b|\bby\b|\bto\b", "来自|到|从|在")
"""What an address may follow, and a version too."""
