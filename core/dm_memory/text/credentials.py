"""Credentials in texts: keys and tokens by the shapes their issuers document, and values beside telling names.

Every pattern starts at a word's beginning and has bounded repeats, so that hostile text costs linear time.
"""

# ruff: noqa: RUF001  # the names of passwords and keys in some twenty languages
from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Secret", "find_secrets"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What looks like a credential: from its label, where it has one, to the end of its ``value``."""

    what: str
    start: int
    end: int
    value: str


_HEX, _TOK, _B62 = "[0-9a-f]", r"[A-Za-z0-9_\-]", "[A-Za-z0-9]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_END = r"(?![A-Za-z0-9])"

# A key of a vendor: by its prefix, or by a shape that nothing else has.
_SHAPES: tuple[tuple[str, str], ...] = (
    ("AWS access key", rf"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{{16}}{_END}|ABSK[A-Za-z0-9+/]{{60,400}}"),
    ("GitHub token", rf"gh[pousr]_{_B62}{{30,255}}|github_pat_[A-Za-z0-9_]{{30,255}}"),
    ("GitLab token", rf"gl(?:pat|dt|rt|ptt|soat|cbt|ft|imt|agent|oas|ffct)-{_TOK}{{20,255}}|GR1348941{_TOK}{{20}}"),
    ("Slack token", r"xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9\-]{10,255}|xapp-[0-9]-[A-Za-z0-9\-]{10,255}"),
    ("Stripe key", rf"(?:sk|rk|whsec)_(?:(?:live|test|prod)_)?{_B62}{{20,255}}"),
    ("Anthropic API key", rf"sk-ant-{_TOK}{{20,255}}"),
    ("OpenAI API key", rf"sk-(?:(?:proj|svcacct|admin|or-v1|lf|None)-{_TOK}{{20,255}}|{_B62}{{32,255}})"),
    ("Google API key", rf"AIza{_TOK}{{35}}|AQ\.Ab8{_TOK}{{30,100}}"),
    ("Google OAuth token", rf"ya29\.{_TOK}{{20,255}}|GOCSPX-{_TOK}{{20,255}}|1//0{_TOK}{{40,255}}"),
    ("SendGrid API key", rf"SG\.{_TOK}{{16,64}}\.{_TOK}{{16,64}}"),
    ("Mailchimp API key", rf"{_HEX}{{32}}-us[0-9]{{1,2}}{_END}"),
    ("Mandrill API key", rf"md-{_TOK}{{22}}{_END}"),
    ("Mailgun API key", rf"key-{_HEX}{{32}}{_END}|{_HEX}{{32}}-{_HEX}{{8}}-{_HEX}{{8}}{_END}"),
    ("Brevo API key", rf"x(?:keys|smtps)ib-{_HEX}{{40,64}}-{_B62}{{10,20}}"),
    ("Klaviyo API key", rf"pk_{_HEX}{{34}}{_END}|pk_{_B62}{{6,8}}_{_HEX}{{34}}{_END}"),
    ("ClickUp token", rf"pk_[0-9]{{5,10}}_[A-Z0-9]{{32}}{_END}"),
    ("HubSpot token", rf"pat-[a-z]{{2}}[0-9]-{_UUID}|CLP[a-z]{{0,4}}QQ{_TOK}{{60,400}}"),
    ("Shopify token", r"shp(?:at|ca|pa|ss|ua|rt|tka)_[0-9a-fA-F]{32}"),
    ("WooCommerce key", rf"c[ks]_{_HEX}{{40}}{_END}"),
    ("Meta access token", rf"EAA{_B62}{{40,400}}|IG(?:QV|AA){_TOK}{{60,400}}|[0-9]{{13,17}}\|{_TOK}{{27}}{_END}"),
    ("Square token", rf"sq0(?:atp|csp|idp)-{_TOK}{{22,43}}|EAAA{_TOK}{{60}}{_END}"),
    ("PayPal token", rf"access_token\$(?:production|sandbox)\$[0-9a-z]{{16}}\${_HEX}{{32}}"),
    ("Pinecone API key", rf"pcsk_{_B62}{{4,8}}_{_B62}{{30,80}}"),
    ("Qdrant API key", rf"{_UUID}\|{_TOK}{{30,120}}"),
    ("Turso token", rf"tso_{_TOK}{{20,200}}"),
    ("Supermemory API key", rf"sm_{_B62}{{12,40}}_{_TOK}{{20,200}}"),
    ("Groq API key", rf"gsk_{_B62}{{40,64}}"),
    ("Hugging Face token", rf"(?:hf|api_org)_{_B62}{{30,64}}"),
    ("Notion token", rf"ntn_[0-9]{{8,14}}{_B62}{{30,50}}|secret_{_B62}{{43}}{_END}"),
    ("Airtable token", rf"pat{_B62}{{14}}\.{_HEX}{{64}}"),
    ("Asana token", rf"[0-9]/[0-9]{{15,17}}(?:/[0-9]{{15,17}})?:{_HEX}{{32}}{_END}"),
    ("Linear token", rf"lin_(?:api|oauth|wh)_{_B62}{{32,64}}"),
    ("Databricks token", rf"dapi{_HEX}{{32}}(?:-[0-9])?{_END}"),
    ("DigitalOcean token", rf"do[opr]_v1_{_HEX}{{64}}"),
    ("Twilio API key", rf"SK{_HEX}{{32}}{_END}"),
    ("Telegram bot token", rf"[0-9]{{8,10}}:AA{_TOK}{{33}}{_END}"),
    ("Firebase key", rf"AAAA{_TOK}{{7}}:APA91b{_TOK}{{100,200}}"),
    ("Mapbox token", rf"[st]k\.eyJ{_TOK}{{20,400}}\.{_TOK}{{20,80}}"),
    ("Discord bot token", rf"[MNO]{_TOK}{{23,27}}\.{_TOK}{{6}}\.{_TOK}{{27,40}}"),
    ("Dropbox token", rf"sl\.(?:u\.)?{_TOK}{{60,400}}"),
    ("Salesforce token", r"00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{40,200}"),
    ("Zoho token", rf"1000\.{_HEX}{{32}}\.{_HEX}{{32}}"),
    ("LinkedIn token", rf"WPL_AP1\.{_TOK}{{10,40}}|AQ[EUVXW]{_TOK}{{80,500}}"),
    ("TikTok token", rf"act\.{_B62}{{40,100}}"),
    ("X token", rf"A{{15,24}}{_B62}{{0,20}}[%/=+][A-Za-z0-9%/=+]{{30,120}}|[0-9]{{15,20}}-{_B62}{{40}}{_END}"),
    ("Intercom token", r"dG9rO[A-Za-z0-9+/=]{30,120}"),
    ("Atlassian token", rf"AT(?:ATT3|CTT3|BB){_TOK}{{28,255}}"),
    ("Azure secret", rf"{_B62}{{3}}[0-9]Q~[A-Za-z0-9_~.\-]{{31,34}}"),
    ("Mollie API key", rf"(?:live|test)_{_B62}{{30,40}}{_END}"),
    ("PostHog key", rf"phx_{_B62}{{30,64}}"),
    ("Plaid token", rf"access-(?:production|sandbox|development)-{_UUID}"),
    ("Vault token", rf"hv[sbr]\.{_TOK}{{24,200}}"),
    ("Doppler token", rf"dp\.(?:pt|st|ct|sa|scim|audit)\.{_B62}{{30,60}}"),
    ("npm token", rf"npm_{_B62}{{36}}"),
    ("PyPI token", rf"pypi-AgE{_TOK}{{50,255}}"),
    ("age key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("JSON web token", r"eyJ[A-Za-z0-9_\-]{8,4000}\.eyJ[A-Za-z0-9_\-]{8,8000}(?:\.[A-Za-z0-9_\-]*)?"),
    # What the others have in common: short prefix, "-" or "_", and at least 20 characters that are no words.
    (
        "API key",
        (
            rf"(?:fc|re|r8|fw|m0|xai|nvapi|csk|pplx|tvly|lsv2|jina|sbp|sb_secret|napi|nfp|vcp|rnd|HRKU|pul|dbt[cu]"
            rf"|figd|figo|tfp|cfat|CFPAT|pina|rzp_live|rzp_test|FLWSECK|klarna_live_api|shippo_live|shippo_test|EZAK"
            rf"|NRAK|glc|glsa|sgp|sntry[su]|dckr_pat|AKCp|PMAK|sq[pu]|CCIPAT|p8e|kit|pscale_(?:tkn|pw|oauth)|rubygems"
            rf"|cio|ops|vk1\.a|y0|AQVN"
            rf"|bkua|tgp_v1|voyage|pa|ghs|ctx7sk|mlsn|sib|acf|mm|ml)[_\-]{_TOK}{{20,400}}"
        ),
    ),
    (
        "API key",
        rf"[A-Za-z0-9]{{2,14}}[_\-](?:sk|pat|api|secret|token|key|live|prod|tok|priv|admin)[_\-]{_TOK}{{20,255}}",
    ),
    ("API key", rf"[a-z][a-z0-9]{{1,9}}_{_B62}{{30,255}}"),
)
_TOKENS = re.compile("(?<![A-Za-z0-9_])(?:" + "|".join(f"({shape})" for _, shape in _SHAPES) + ")")
_RUN = re.compile(r"[A-Za-z0-9_\-.:/|+=~!$%?&@]{14,}")
"""Where a key can be: looking for all shapes in whole texts takes ten times as long."""
_PUBLIC = re.compile(
    r"(?:phc|pk_live|pk_test|pk_prod|cs_live|cs_test|g?clid|fbclid|utm)_|pk[_\-](?![0-9a-f]{34})", re.IGNORECASE
)
"""Keys and identifiers made to stand in web pages, and parameters of links."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?:(?!-----)[\s\S]){0,9000}-----END [A-Z0-9"
    r" ]{0,48}-----|(?:\s{1,4}[A-Za-z0-9+/=:,\- ]{1,200}(?=\n|\r|$)){0,200})"
    r"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-[0-9]:"
)
_PASSWORD_HASH = re.compile(
    r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}|\$(?:apr1|[156y]|argon2i?d?|scrypt|pbkdf2[a-z0-9\-]{0,12})\$[!-#%-~]{1,64}\$"
    r"(?:[!-#%-~]{1,64}\$){0,3}[./A-Za-z0-9+]{20,200}"
)
_WEBHOOK = re.compile(
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_]{20,255}"
    r"|discord(?:app)?\.com/api(?:/v[0-9]{1,2})?/webhooks/[0-9]{15,22}/[A-Za-z0-9_\-]{30,100}"
    r"|\.webhook\.office\.com/webhookb2/[A-Za-z0-9@\-]{20,200}/[A-Za-z0-9/\-]{20,200}"
    r"|hooks\.zapier\.com/hooks/(?:catch|standard)/[0-9]{3,12}/[A-Za-z0-9]{5,40}"
    r"|hook\.(?:[a-z]{2}[0-9]\.)?(?:make|integromat)\.(?:com|celonis\.com)/[a-z0-9]{20,64}"
    r"|maker\.ifttt\.com/(?:trigger|use)/[\w/\-]{0,80}[A-Za-z0-9_\-]{20,64}"
    r"|api\.telegram\.org/bot[0-9]{8,10}:[A-Za-z0-9_\-]{30,40}"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/[0-9a-f\-]{30,40}"
    r"|(?:oapi\.dingtalk\.com/robot/send|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send)\?[a-z_]{3,12}=[0-9a-f\-]{30,70}"
    r"|/hooks/[a-z0-9]{26}(?![\w\-])"
)
_LOGIN_URL = re.compile(r"://([^\s/:]{0,256}):([^\s/@]{1,256})@[^\s@]")
_KEY_URL = re.compile(r"://([A-Za-z0-9_\-]{16,256}):?@[^\s@]")
_SIGNED = re.compile(
    r"[?&;#](?:[a-z0-9_\-]{0,24}(?:sig|signature|token|auth|key|secret|password)|AccountKey|SharedAccessKey)"
    r"=([^\s&;#\"'<>]{12,600})",
    re.IGNORECASE,
)
_ACCOUNT_KEY = re.compile(r"(?:AccountKey|SharedAccessKey|SharedSecret)=([A-Za-z0-9+/]{30,120}={0,2})")
_SCHEME = re.compile(r"\b(bearer|basic|token|apikey)[ \t]{1,3}([A-Za-z0-9\-._~+/]{8,2048}={0,2})", re.IGNORECASE)
_BARE_HEADER = re.compile(r"\bauthorization[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?([^\s\"',;]{16,2048})", re.IGNORECASE)
_HEADER = re.compile(
    r"\b(?:authorization|cookie|x-[a-z\-]{0,24}(?:key|token|auth|secret))[\"']?\s{0,2}[:=]\s{0,2}", re.IGNORECASE
)
_CURL_LOGIN = re.compile(
    r"(?:\s-u|--user)[ =]{1,3}[\"']?([^\s\"':]{1,200}:[^\s\"']{0,200})|--password[ =]{1,3}[\"']?([^\s\"']{6,200})"
)
_NETRC = re.compile(r"\blogin[ \t]{1,3}\S{1,64}\s{1,3}password[ \t]{1,3}(\S{4,64})", re.IGNORECASE)

_BOUNDARY = r"(?:(?<![^\W_])|(?-i:(?<=[a-z])(?=[A-Z])))"
# A value is only looked at, not consumed: what stands behind "password:" may be the next name.
# Between a label and its value: quotes, "for the shop", and a sign or a word that says "is".
_BETWEEN = (
    r"[\"'*`_)\]\\]{0,4}(?:[ \t](?:for|of|on|to|für|von|zum|pour|de|para|per|di|do|voor|för|til|dla"
    r"|для)[ \t][^\n:=\"']{1,40}?)?[\"'*`_)\]]{0,3}(?:>(?=\S)|,[ \t]{0,2}(?=[\"'])|[ \t]{1,2}value[ \t]?="
    r"|\s{0,3}(?:[=-]>|→|[—–](?=[ \t])|={1,2}|:=?|-(?=[ \t]))\s{0,3}"
    r"|[ \t]{1,3}(?:is|are|was|ist|lautet|war|est|es|è|é|är|er|on|to|jest|je|este|adalah|là|это)(?:[ \t]now"
    r"|[ \t]jetzt|:)?[ \t]{1,3}|\s{0,2}(?:は|是|为|為|은|는)[\s:]{0,3})[\"'*`_(\\]{0,4}"
)
_LOGIN_NAMES = (
    r"passw(?:or[dt]|d)s?|passwörter|kennwort|pwd|pw|pass(?=[ ]?[:=])|passphrase|passcode|senha|contrase(?:ñ"
    r"|n\u0303)a|clave\ de\ (?:acceso|usuario|entrada)|wachtwoord|mot\ de\ passe|mdp|l(?:ö|o\u0308)senord"
    r"|adgangskode|kodeord|passord|salasana|has(?:ł|l)o|heslo|jelsz(?:ó|o\u0301)|parola|palavra-passe|(?:ş"
    r"|s\u0327)ifre|пароль|пароля|κωδικ(?:ό|ο\u0301)ς|密码|密碼|口令"
    r"|パスワード|비밀번호|암호|كلمة\ المرور|كلمة\ السر|पासवर्ड"
    r"|kata\ sandi|m(?:ậ|a\u0323\u0302)t\ kh(?:ẩ|a\u0302\u0309)u|รหัสผ่าน|סיסמ[הא]"
)
_PASSWORD = re.compile(rf"{_BOUNDARY}(?:{_LOGIN_NAMES}){_BETWEEN}(?=([^\s\"'`,;|]{{4,64}}))", re.IGNORECASE)
_CJK_PASSWORD = re.compile(
    r"(?:密码|密碼|口令|パスワード|비밀번호|암호|รหัสผ่าน)[^\S\n]{0,2}(?:は|是|为|為|:|=|은|는|คือ)\s{0,3}([!-~]{4,64})"
)
_APP_PASSWORD = re.compile(
    r"(?:app(?:lication)?[ \-]?password|app-passwort|mot de passe d.application)[^\n]{0,30}?[:=][ \t\"'`]{0,4}"
    r"((?:[A-Za-z0-9]{4}[ \-]){3,5}[A-Za-z0-9]{4})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_LOGIN_PAIR = re.compile(
    r"(?<![^\W_])(?:log-?in|user(?:[ _-]?name)?|credentials?|zugang(?:sdaten)?|anmeldung|benutzer|usuario"
    r"|identifiants?|acceso"
    r"|accès|логин)[ \t]{0,2}(?:[:=]|[=-]>|→)[ \t]{0,2}[\w.@+\-]{2,64}[ \t]{0,2}[/|,;:][ \t]{0,2}([^\s\"'`,;|]{6,64})",
    re.IGNORECASE,
)
_KEY_NAMES = (
    r"(?:api|access|secret|private|auth|client|app|account|signing|refresh|bearer|webhook|encryption|master|admin"
    r"|service|bot|session|deploy|shared|consumer|developer|license|licence|storage|security|oauth2?"
    r"|id)[ _\-]?(?:keys?|tokens?|secrets?|code(?=[ ]?=)|hash(?=[ ]?=))|secret|tokens?|jeton|api[ \-]?schlüssel"
    r"|zugriffs?(?:token|schlüssel)|zugangs(?:token|schlüssel)|geheimer schlüssel|cl(?:é"
    r"|e\u0301)s?(?: secrète)?(?: d.api| api| d.accès)|(?:clave|chave|chiave|llave)(?: de| di|)(?: api| acceso"
    r"| acesso| secreta| segreta)|api[ \-]?(?:sleutel|nyckel|nøgle"
    r"|nøkkel|avain|klíč|anahtarı|ключ|密钥|密鑰|金鑰|キー|키"
    r"|कुंजी)|klucz(?: do)? api|kunci api|khóa api|ключ api|токен|مفتاح api|api مفتاح|personal access token"
)
_NAMED_KEY = re.compile(
    rf"{_BOUNDARY}(?:{_KEY_NAMES})(?:[_\-][A-Za-z0-9_\-]{{0,20}})?(?:{_BETWEEN}"
    rf"|[\"'`*]{{0,3}}[ \t]{{1,3}}[\"'`*(]{{0,3}})"
    rf"(?=([^\s\"'`,;|)<&\\]{{8,256}}))",
    re.IGNORECASE,
)
_KEY_FIRST = re.compile(
    r"(?<![A-Za-z0-9_\-+/=.])([A-Za-z0-9_\-+/=.]{20,256})[\"'`*]{0,3}[ \t]{1,3}"
    r"(?:\(|(?:is|was|ist|war|est|es|è|é)[ \t])"
    rf"(?:(?:the|our|my|your|der|unser|mein|la|le|notre|el|nuestra|il|o)[ \t])?"
    rf"(?:[A-Za-z]{{2,20}}[ \t])?(?:{_KEY_NAMES})",
    re.IGNORECASE,
)
_PLAIN_KEY = re.compile(
    rf"(?<![^\W_])(?:key|schlüssel|clé|clave|chave|chiave"
    rf"|ключ){_BETWEEN}([A-Za-z0-9_\-+/=.]{{20,256}})",
    re.IGNORECASE,
)
_COLUMN = re.compile(
    rf"(?P<password>(?:[\w\-]{{1,20}}[ _\-])?(?:{_LOGIN_NAMES}))|(?P<key>(?:[\w\-]{{1,20}}[ _\-])?(?:{_KEY_NAMES}))",
    re.IGNORECASE,
)
_CJK_KEY = re.compile(
    r"(?:密钥|密鑰|金鑰|令牌|トークン|シークレット|キー|토큰|키)[^\S\n]{0,2}(?:は|是|为|為|:|="
    r"|은|는|을|를)?\s{0,3}([A-Za-z0-9_\-+/=.]{12,256})"
)

_PLACEHOLDER = re.compile(
    r"[<\[{$%(]|(?:your|the\b|my[_\-]|example|changeme|placeholder|insert|x{3}|\*{3}|\.{3}|…|•|todo|tbd|none\b"
    r"|null\b|n/a)",
    re.IGNORECASE,
)
_PATH = re.compile(r"/|https?:|www\.|[a-z0-9\-]{1,40}\.(?:com|org|net|io|de|html?|php)\b", re.IGNORECASE)
_CODE_WORDS = re.compile(
    r"discount|coupon|promo|voucher|redeem|redemption|gift|rabatt|gutschein|réduction|remise|descuento|cupón"
    r"|cupom|desconto"
    r"|sconto|korting|rabat|alennus|zniżk|indirim|скидк|промокод|割引"
    r"|クーポン|折扣|优惠|할인|쿠폰|campaign|utm|checkout code",
    re.IGNORECASE,
)
_PAIRS = frozenset(
    (
        b"th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri"
        b" ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut"
        b" ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi"
        b" ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo"
    ).split()
)
"""The commonest pairs of letters: three of four pairs in a word are among them, one of five in a random key."""
_COMMON_PAIR, _RARE_PAIR, _CHANGE, _CAPITAL, _DIGITS, _SEPARATOR = 1.4, -1.35, -0.7, -0.9, 0.8, 0.3
"""Log-odds of "written by a person" against "random" for two neighbouring characters: decision 0025."""
_HEX_VALUE = re.compile(rf"{_UUID}|[0-9a-f]{{16,}}|[0-9A-F]{{20,}}")
_MIN_KEY_CHARS, _MIN_BARE_CHARS, _CODE_CHARS = 12, 16, 20
_MIN_PASSWORD_CHARS, _MIN_CAPITALS = 6, 3
_CAPITALS = re.compile("[a-z][A-Z]")
_BASE64_UNIT = 4


def find_secrets(text: str, *, passwords: bool = True, keys: bool = True) -> Iterator[Secret]:
    """Yield what looks like a credential in ``text``, the surest sorts first; a later one may overlap an earlier one.

    Args:
        text: Folded.
        passwords: False if it contains no word by which passwords are known.
        keys: False if it contains no word by which keys are known.
    """
    for match in _PRIVATE_KEY.finditer(text) if "PRIVATE KEY" in text or "PuTTY" in text else ():
        yield Secret("private key", match.start(), match.end(), match[0])
    for run in _RUN.finditer(text):
        for match in _TOKENS.finditer(text, run.start(), run.end()):
            what = _SHAPES[(match.lastindex or 1) - 1][0]
            if _is_token(what, match[0]):
                yield Secret(what, match.start(), match.end(), match[0])
    yield from _beside(text, _LINKS if "/" in text else ())
    yield from _beside(text, _HASHES if "$" in text else ())
    yield from _beside(text, _ASSIGNED if "=" in text else ())
    if passwords or keys:
        yield from _in_columns(text)
    if passwords:
        yield from _beside(text, _PASSWORDS)
    if keys and any(len(word) >= _MIN_KEY_CHARS and _MAY_BE_KEY.search(word) for word in text.split()):
        yield from _beside(text, _KEYS)


def _beside(
    text: str, sorts: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...]
) -> Iterator[Secret]:
    for what, pattern, is_secret in sorts:
        for match in pattern.finditer(text):
            if is_secret(match):
                value = match.lastindex or 0
                yield Secret(what, match.start(), max(match.end(), match.end(value)), match[value])


def _in_columns(text: str) -> Iterator[Secret]:
    """Yield the passwords and keys of tables: below a column's name instead of beside it.

    A line without columns ends a table: what stands below it in another one is no password for that.
    """
    named: dict[tuple[str, int], str] = {}
    for line in re.finditer(r"[^\n]*\n?", text):
        separator = next((mark for mark in "|\t;," if mark in line[0]), "")
        if not separator:
            named.clear()
        place = line.start()
        for column, cell in enumerate(line[0].split(separator) if separator else ()):
            value = cell.strip(" \t\r\n\"'`*")
            if sort := _COLUMN.fullmatch(value):
                named[separator, column] = sort.lastgroup or ""
            elif what := named.get((separator, column)):
                is_secret = len(value) >= _MIN_PASSWORD_CHARS and " " not in value and _is_mixed(value)
                if is_secret and (what == "password" or _is_random(value)):
                    yield Secret("API key" if what == "key" else what, place, place + len(cell), value)
            place += len(cell) + 1


def _is_token(what: str, value: str) -> bool:
    """Return whether a value of a vendor's shape can be one: words in capitals can look like a key."""
    if what == "API key":
        return not _PUBLIC.match(value) and _is_random(re.split(r"[_\-]", value, maxsplit=1)[1])
    return what != "AWS access key" or "EXAMPLE" in value or _is_random(value[4:])


def _is_mixed(value: str) -> bool:
    """Return whether ``value`` has letters and digits: random values have both, words don't."""
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _is_random(value: str) -> bool:
    """Return whether ``value`` is long and mixed, and its letters follow each other as dice throw them."""
    bare = value.strip("=.!?)")
    if len(bare) < _MIN_KEY_CHARS or not (_is_mixed(bare) or len(_CAPITALS.findall(bare)) >= _MIN_CAPITALS):
        return False
    return any(map(_HEX_VALUE.fullmatch, re.split("[/|.:]", bare))) or sum(map(_odds, bare, bare[1:])) < 0


def _odds(one: str, two: str) -> float:
    if not one.isalnum() or not two.isalnum():
        return _SEPARATOR
    if one.isdigit() or two.isdigit():
        return _DIGITS if one.isdigit() and two.isdigit() else _CHANGE
    if one.islower() and two.isupper():
        return _CAPITAL
    return _COMMON_PAIR if (one + two).lower().encode() in _PAIRS else _RARE_PAIR


def _is_bearer(match: re.Match[str]) -> bool:
    scheme, value = match[1].lower(), match[2]
    if scheme == "basic":
        return _is_login(value)
    follows_header = _HEADER.search(match.string, max(0, match.start() - 40), match.start()) is not None
    if follows_header:
        return _is_mixed(value)
    return scheme == "bearer" and len(value) >= _MIN_BARE_CHARS and _is_mixed(value) and _is_random(value)


def _is_login(value: str) -> bool:
    """Return whether ``value`` is the Base64 of ``user:password`` (RFC 7617)."""
    try:
        plain = b64decode(value + "=" * (-len(value) % _BASE64_UNIT), validate=True).decode("utf-8")
    except (Base64Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()


def _is_password(match: re.Match[str]) -> bool:
    value = match[match.lastindex or 0]
    bare = value.rstrip(".!?)*_")
    if (
        len(bare) < _MIN_PASSWORD_CHARS
        or _PLACEHOLDER.match(value)
        or re.match(r"https?:|/|\d{1,3}[-+][^\W\d_]{3}", value)
    ):
        return False
    if bare.isdecimal():
        return not match.string[match.start() : match.start(match.lastindex or 0)].rstrip(" \t:=\"'*`").endswith("s")
    marked = any(char in "!@#$^&*+=~|" for char in bare) and any(char.isalpha() for char in bare)
    return _is_mixed(bare) or marked


def _is_key(match: re.Match[str]) -> bool:
    """Return whether the value beside a key's name is one; a discount code, a path and a placeholder are none."""
    value = match[1].rstrip(".!?*_")
    if len(value) < _MIN_KEY_CHARS or _PLACEHOLDER.match(value) or _PATH.match(value):
        return False
    start, end = max(0, match.start() - 60), match.end() + 60
    is_code = value.isupper() and len(value) < _CODE_CHARS and _CODE_WORDS.search(match.string, start, end)
    return not is_code and _is_random(value)


def _is_random_value(match: re.Match[str]) -> bool:
    return not _PLACEHOLDER.match(match[1]) and not _PATH.match(match[1]) and _is_random(match[1])


def _is_login_url(match: re.Match[str]) -> bool:
    return not _PLACEHOLDER.match(match[2])


def _always(match: re.Match[str]) -> bool:
    return bool(match[0])


_COOKIE = re.compile(r"(?:session|sid|sess|auth|jwt)(?:_?id|_?token|)=([^\s;\"']{16,512})", re.IGNORECASE)
_MAY_BE_KEY = re.compile("[0-9]|[a-z][A-Z]")
_LINKS = (
    ("webhook address", _WEBHOOK, _always),
    ("connection string with a password", _LOGIN_URL, _is_login_url),
    ("connection string with a key", _KEY_URL, _is_random_value),
)
_HASHES = (("password hash", _PASSWORD_HASH, _always),)
_ASSIGNED = (
    ("API key", _ACCOUNT_KEY, _always),
    ("signed link", _SIGNED, _is_random_value),
    ("session cookie", _COOKIE, _is_random_value),
)
_PASSWORDS = (
    ("password", _PASSWORD, _is_password),
    ("password", _CJK_PASSWORD, _is_password),
    ("authorization header", _SCHEME, _is_bearer),
    ("authorization header", _BARE_HEADER, _is_random_value),
    ("application password", _APP_PASSWORD, _always),
    ("password", _LOGIN_PAIR, _is_password),
    ("password", _CURL_LOGIN, _is_password),
    ("password", _NETRC, _is_password),
)
_KEYS = (
    ("API key", _NAMED_KEY, _is_key),
    ("API key", _KEY_FIRST, _is_random_value),
    ("API key", _PLAIN_KEY, _is_random_value),
    ("API key", _CJK_KEY, _is_key),
)
