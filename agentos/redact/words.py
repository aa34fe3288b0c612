"""Words beside a value that tell what it is, in English and Chinese."""

from __future__ import annotations

from agentos.redact.patterns import Pattern, Text

_FILL = (
    r"(?:[\s:=#/\"'`(\[（“「>|*_→-]|\bno\.?|\bnr\b\.?|n[°º]|№|number|num\b|code|\bis\b|\bare\b|\bwas\b|\bat\b|\bon\b|"
    r"\bto\b|\bnow\b|\breads\b|号码|号|码|是|为|个|分别|就|现在|应该|改成|改为|换成|填|"
    r"[(（\[][^()（）\[\]\n]{1,30}[)）\]])"
)


_ENDS = b".;:'\"/|-+=_<>]}#&!?"
"""No word comes after these."""


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
        if not isinstance(data, Text):
            return self._near.within(data)
        known = data.seen.get((self, 0))
        if known is None:
            known = data.seen[self, 0] = [1] if self._near.within(data) else []
        return bool(known)

    def ends(self, data: bytes) -> list[int]:
        """Where those in there end; of two that overlap, one."""
        if not isinstance(data, Text):
            return self._near.ends(data)
        known = data.seen.get(self)
        if known is None:
            known = data.seen[self] = self._near.ends(data)
        return known

    def label(self, data: bytes, start: int, reach: int = 64) -> bool:
        """Whether one stands directly before: `tel: `, `卡号是`."""
        return self._label.within(data[max(0, start - reach) : start])

    def before(self, data: bytes, start: int, reach: int = 48) -> bool:
        """Whether one stands somewhere before it, in reach."""
        return self._near.within(data[max(0, start - reach) : start])

    def after(self, data: bytes, end: int, reach: int = 24) -> bool:
        """Whether one stands directly after."""
        first = data[end : end + 1]
        if not first or (first in _ENDS and end + 1 < len(data)):
            return False
        return self._after.within(data[end : end + reach])


NUMBERED = Words(
    "订单|訂單|设备|证书|单号|運單|运单|快递|编号|編號|序列|流水|工单|批次|发票|型号|产品|商品|时间戳|数量|金额|"
    "价格|合同|条码|学号|工号|群",
    "QQ",
    "任务|作业|进程|种子|步数|参数|版本|提交|样本",
    r"\b(?:\w+[_ ])?(?:order|serial|sku|ticket|job|task|run|pid|uid|id|request)\b",
    r"\b(?:\w+[_ ])?(?:trace|span|build|commit|version|batch)\b",
    r"\b(?:\w+[_ ])?(?:invoice|tracking|part|product|model|item|size|bytes|total|used|seed|epoch|step|timestamp|ts)\b",
    r"\b(?:\w+[_ ])?(?:offset|count|amount|price|tokens|param(?:eter)?s|rows?|isbn|ean|upc|barcode|case|port|inode)\b",
    r"\b(?:imei|meid|iccid|mac|serial no)\b",
    r"\b(?:\w+[_ ])?(?:hash|checksum|revision|rev|qty|index|key|asin|memory|mem|length|duration|balance|sum|value)\b",
    r"\b(?:awb|hawb|mawb|(?:air ?)?way ?bill|container|seal|booking|bill of lading|b/l|consignment|shipment|parcel)\b",
    r"\b(?:ndc|duns|d-u-n-s|ein|vat|gtin|mpn|p/n|s/n|hs|hts|cas|lot|po|ref|reference|dossier|docket|quantity|sort)\b",
    r"\b(?:meeting|webinar|conference|confirmation|conf|claim|policy|patent|voucher|coupon|catalog(?:ue)?|cat|abn|"
    r"oclc)\b",
    r"\b(?:kunden|bestell|auftrags|rechnungs?|artikel|vertrags|vorgangs|liefer|serien|mitglieds|steuer|akten)\w*|"
    r"\baz\b",
    r"\bcommande\b|\bfacture\b|\bpedido\b|\bfactura\b|\bordine\b|\bfattura\b|\bzoom\b|\bfile\b",
    r"\b(?:customer|client|member(?:ship)?|loyalty|reservation|student|employee|staff|license|licence) (?:no\b|"
    r"number|id\b|#)",
    "料号|货号|物料|库位|凭证|票号|期号|户号|表号|案号|备案|许可|批号|注册证|申报|报关|提单|箱号|封号|主单|分单|"
    "会议号|会议 ?ID|处方|病历|住院号",
    "位点|偏移|标准号|\\b(?:gb|iso|iec|din|astm|jis|hj|yd|qb|jb|db\\d\\d)(?:/[tz])?\\b|\\brma\\b|\\bgl\\b|门诊号|"
    "保单|报案|税号|信用代码|执业证|准考证|考号|电机|卷号|房号|专利|商标|招标|包裹|流水|受理",
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
    r"\b(?:phone|mobile|tel|contact)[_ ]?(?:no|num|number)|\bcall ?back\b|\bcaller(?: id)?\b|\bhmu\b",
    r"\b(?:call|text|ring|phone|dial|ping|message|reach|try) \w+ (?:on|at)\b",
    r"\b(?:left|leave|leaves|gave|gives|provided|swapped|exchanged|given) (?:a |the |his |her |their |your )?"
    r"(?:contact |callback )?(?:number|no\.|#)|\bnumber (?:left|given|on file)\b|留了?(?:个|的|一个)?号码?",
    r"\b(?:text|txt|reach|snap|ping|message|msg|hit|page|buzz|phone|dial|try) (?:me|us|him|her|them)\b|\blandline\b",
    r"\b(?:my|his|her|their|our|your|new|old) (?:(?:new|old|other|direct|desk|office|home|work|personal|private|uk|us|"
    r"local|main|temporary|emergency|current|german|french|chinese|indian|italian|spanish|japanese) )?"
    r"number(?:'s)?\b|\bvoicemail|\bwa\.me/|\bviber\b|\bhelp ?desk|\bnext of kin\b|\bswitchboard",
    r"\bt[eé]l[eé]phone|\bportable ?:|\btel[eé]fon\w*|\bhandy(?:-?nummer|nr)?\b ?\.?[:(]|\bmobil(?:e?nummer|funk)?\b",
    r"\bm[oó]vil\b|\bcelular|\bcellulare|\btelem[oó]vel|\bgsm\b|\brufnummer|\bdurchwahl|\bfon\b|\btfn\b|\bno\.? ?hp\b",
    "携帯|전화|휴대폰|연락처|тел\\.|телефон|моб\\.|固定电话|来电|回电|打我|呼我|加薇|加v|薇信|威信",
)
_CALL = (r"(?:\A|[.!?,;:\n\"'，。]|\b(?:please|to|or|can|and|you|just|then)) ?call\b", r"\bph\b|\btext\b|\bring\b")
PHONE = Words(*_PHONE)
CALL = Words(*_PHONE, *_CALL)
"""As `PHONE`, and words that must stand directly before a number to tell anything of it."""
IDENTITY = Words(
    "身[份分]证|身[份分]證|证件|身份号|居民证|公民身份|户口|实名",
    r"\bid[ _]?card|\bid[ _]?(?:no|num|number)\b|\bidentity|\bidentification|\b(?:national|resident|citizen) id",
    r"\bshenfenzheng|\bsfz|\bidcard",
    "老证|旧证|[一二]代证|证号|證號|身份号码|居住证|港澳居民|台湾居民|患者证|本人证",
)
SOCIAL = Words(
    "社会安全号|社安号|社会保障号|社保号|社会安全码",
    r"\bssn\b|\bsoc(?:ial|\.)?[ -]?sec(?:urity|\b)|\bss ?#|\bss (?:no|num)|\b(?:my|your|his|her|their) social\b|"
    r"\bsocial(?:'s| is|:| number)|\btax ?id\b|\bi?tin\b"
)
PASSPORT = Words(
    "护照|護照|通行证|通行證|台胞证|回乡证|旅行证", "passports?|travel doc(?:ument)?", r"\bpassport[_ ]?(?:no|number)",
    r"\bpasaporte|\breisepass(?:nummer|nr)?|\bpasseport|\bppt (?:no|#)|\bpassaporto|\bpaspoort|\bpassaporte|\bpassi?nr",
    r"\bpp ?(?:#|no\b)|\bpass no\b",
    "旅券|パスポート|여권|паспорт",
)
UNDATED = Words(r"\bexpir\w+|\bissued?\b|\bvalid\b|\bborn\b|\bdob\b", "有效期|签发|出生|到期")
PLATE = Words(
    "车牌|车号|牌照|牌号|车辆|車牌|号牌|港牌|港车|两地牌|[粤澳]港牌",
    r"\b(?:my|his|her|their|its|car's|the|rear|front) tags? (?:is|are|reads?)\b",
    r"\b(?:licen[cs]e|number|registration|car|vehicle|reg)[ _-]?plates?\b|\bplates?\b",
    r"\b(?:car|vehicle) reg(?:istration)?\b|\blicen[cs]e[_ ]?plate\w*|\b\w*kennzeichen|\bregistration (?:number|no|"
    r"mark)",
    r"\b(?:my|his|her|their|our|your|the|vehicle's|car's|veh\.?|van) reg(?:istration)?\b|\brego\b|\bvr[mn]\b|\btarga\b",
    r"\bplaca\b|\bplaque\b|\b(?:out-of-state|temp|dealer|texas|florida|california|ohio|georgia|nevada) tags?\b|"
    r"\bpatente\b|\bkenteken\b|\bimmatriculation\b|\bmatr[ií]cula\b|\bnopol\b|\breg\.? ?(?:no|num|mark|#|:)",
    r"\blicen[cs]e tag\b|\btag(?: no\.?| number| #)|\bregistered (?:as|number)|ナンバー|번호판|госномер",
)
CAR = Words("车|牌|停|驾|违章|限行", r"\bcar\b|\bvehicle|\bplate|\bpark|\bdriv|\bvan\b|\btruck|\btaxi|\btow")
CARD = Words(
    "卡号|銀行卡|银行卡|信用卡|储蓄卡|借记卡|贷记卡|工资卡|刷卡|收款账号|银行账[号户]|账户|帐号|账号|开户|户头|"
    "卡片|卡是",
    "的卡|卡 ?[:：]|这[个张]卡|[一那两]张卡|提现|还款|扣款|付款|银联|行卡|招行|工行|建行|农行|中行|交行|浦发|民生银行",
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

NUMBER = Words(r"\bnumbers?\b|\bdigits\b|\bcell\b", "号码|號碼|换号|新号|报一下|记一下|我的号|这个号")
"""What a number said digit by digit may follow."""
VEHICLE = Words(
    "车|車|牌|违停|驾驶|司机", r"\bcars?\b|\bvehicle|\bplates?\b|\bparked\b|\bparking\b|\bvans?\b",
    r"\btrucks?\b|\btaxis?\b|\btow(?:ed|ing)?\b|\bsedan\b|\bsuv\b|\blorry\b|\bpick-?up\b|\bmotor(?:bike|cycle|ist)?\b",
    r"\breg(?:istration)?\b|\bgarage\b|\bhatchback\b|\bsaloon\b|\bwagon\b|\bscooter\b|\bregistered (?:owner|keeper)\b",
    r"\b(?:toyota|honda|ford|bmw|audi|vw|volkswagen|tesla|nissan|mazda|subaru|renault|fiat|skoda|volvo|hyundai|kia|"
    r"corolla|camry|civic|accord|prius|jeep|subaru|lexus|mercedes|chevy|chevrolet|dodge|porsche|golf|passat|focus|"
    r"fiesta|polo|f-?150)\b",
)
"""What makes a plate of a token that has the shape of one."""
