"""Phone numbers in texts.

Marketing texts are full of numbers, so a number is masked only if something says what it is: an international prefix
with a country's number behind it, a national grouping that is used for nothing else, the plan of a country, or a word
like "tel" right before it. Numbering plans are those of ``phonenumbers``, imported when the first candidate needs
them (50 ms).
"""

# ruff: noqa: RUF001  # words of calling and counting in some twenty languages
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from dm_memory.text.personal import UNSPACED, Found, ascii_digits, split_words

__all__ = ["find_phones"]

_Regions = tuple[str, ...]
"""Countries by ISO 3166-1 code."""

_COMMON_REGIONS: _Regions = split_words(
    "US GB DE FR ES IT NL SE CH BR AT BE DK NO FI PL PT IE CZ GR HU RO BG HR SI SK EE LV LT LU CY IS RS UA RU TR"
    " IL AE SA EG MA NG KE ZA IN PK ID MY SG TH VN PH JP KR CN HK TW AU NZ MX AR CL CO PE"
)
_GAP = r"[ \t\u00a0\u202f\u2009().\-/\u2010-\u2015]"
_NUMBER = re.compile(
    rf"(?<![^\W{UNSPACED}])(?<![+.,#$€£¥₹&?%])(?:(?<!=)|(?=\+))(?<![\w]-)(?<!\d:)\+?\(?\d(?:{_GAP}{{0,3}}\d){{6,30}}(?![\d%])(?!,\d)"
)
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[./\-](?:0?[1-9]|1[0-2])(?!\d)|(?<!\d[./\-])\d{1,2}[./\-]\d{1,2}[./\-](?:19"
    r"|20)?\d\d(?![./\-]?\d)|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d))"
)
_THOUSANDS = re.compile(r"\+?\d{1,3}(?:[ .\u00a0\u202f\u2009]\d{3})+")
_YEARS = re.compile(r"(?:\d{1,3}\D{1,3})?(?:(?:19|20)\d\d\D{1,3})+(?:19|20)?\d\d")
_NORTH_AMERICAN = re.compile(r"(?:1[ .\-])?(?:\([2-9]\d\d\)[ .\-]?|[2-9]\d\d([.\-]))\d{3}[ .\-\u2010-\u2013]\d{4}")
_DASHED = re.compile(r"\d{3}-\d{3}-\d{4}")
"""A US number, and the customer id of an account at Google Ads."""
_INTERNATIONAL = re.compile(r"\+ ?\(?[1-9]|00 ?[1-9]")
_TRUNK_GROUPS = re.compile(
    r"\(?0[1-9]\d{1,4}\)?[ /\-]{1,3}\d{5,8}(?:-\d{1,4})?"  # (030) 1234567, 0171/1234567, 07911 123456
    r"|0[1-9](?:[ .\-]\d{2}){4}"  # 06 12 34 56 78
    r"|\(?0[1-9]\d?\)?[ \-]\d{4}[ \-]\d{4}"  # 020 7946 0958, (02) 9876 5432
    r"|\(?0[1-9]\d{2,3}\)?[ \-]\d{3}[ \-]\d{3,4}"  # 0800 123 4567, 0412 345 678
    r"|0[1-9]\d[ \-]\d{3}[ \-]\d{3,4}"  # 090-123-4567, 060 123 456
    r"|0[1-9]0[ \-]\d{4}[ \-]\d{4}"  # 090-1234-5678
    r"|8[ \-]?\(?[3-9]\d\d\)?[ \-]\d{3}[ \-]\d\d[ \-]\d\d"  # 8 (916) 123-45-67
    r"|1[3-9]\d-\d{4}-\d{4}|\(?[1-9]\d\)? 9\d{4}-\d{4}"  # 138-0013-8000, 11 98765-4321
)
_FOLLOWERS = (
    r"(?:[ ]?(?:me|us|him|her|them|sie|ihn|mir|dich|at|on|now|is|no|nr|number|nummer|numbers?|unter|auf|an|al"
    r"|au|le|il|el|la|op|på|til|med|sur|ao|no|pod"
    r"|номер\w*|по|uns|mich|nous|moi|n[°º]|line|support|today|heute|direct|central)\b\.?){0,4}"
)
_CALL_WORD = re.compile(
    r"(?:(?<![^\W_])(?:(?P<sure>tel|telefon(?:nummer|szám|numarası|o|e)?|telephone|téléphone|tél|teléfono"
    r"|telefoon(?:nummer)?|phones?|puhelin(?:numero)?|tlf|telepon|fax|hotline|rufnummer|durchwahl|handynummer"
    r"|mobil(?:nummer|e number)|sđt|điện thoại|ph|тел|телефон|τηλ|τηλέφωνο|טלפון|هاتف|جوال|फ़ोन|फोन|मोबाइल"
    r"|cell ?phone|phone number|numéro)|mobile|mobil|móvil|cellulare|celular|cell|handy|gsm|whatsapp|viber"
    r"|call(?:ed|ing)?|dial|ring|text(?:ed)?|sms|mob|appel\w*|ll[aá]m\w*|lig(?:ue|ar)|chiam\w*|bel(?:len|t)?"
    r"|anruf\w*|ruf\w*|zadzwoń\w*|dzwoń|volejte|zavolej\w*|soita|ring\w*|ara(?:yın)?|позвони\w*|звони\w*|hubungi"
    r"|gọi|कॉल|اتصل)\b|(?P<cjk>電話(?:番号)?|电话|手机号?|手機|携帯|전화(?:번호)?|휴대폰|연락처|โทรศัพท์|โทร|เบอร์))"
    rf"\.?{_FOLLOWERS}[\s:#=()\-は：番]{{0,4}}$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"[ \u00a0\u202f]?(?:[^\W\d_]{1,14}[ \u00a0]){0,2}?(?:clicks?|klicks?|impress\w*|sessions?|sitzungen|visits?"
    r"|visit\w*|besuch\w*|views?|aufrufe|vues|vistas|visuali[sz]+a\w*|users?|nutzer\w*|usuari\w*|utilis\w*|utenti"
    r"|gebruikers|subscri\w*|abonn\w*|suscri\w*|assin\w*|followers?|fans|seguid\w*|messages?|nachrichten|mensajes"
    r"|mensagens|messaggi|sent|delivered|opens?|opened|öffnungen|leads?|customers?|kund\w*|clients?|clientes"
    r"|clienti|klant\w*|orders?|bestellung\w*|pedidos|commandes|ordini|sales|verkäufe|ventes|conver\w*|installs?"
    r"|downloads?|reach\w*|reichweite|people|persons?|personen|menschen|contacts?|kontakte|rows?|records?|emails?"
    r"|e-mails|mails?|units?|pieces|stück|pcs|times|mal|veces|fois|volte|keer|points?|punkte|pageviews?|streams?"
    r"|plays?|likes?|shares?|comments?|members?|mitglieder|signups?|sign-ups|registr\w*|tickets?|calls|anrufe"
    r"|appels|llamadas|texts|searches|suchen|seconds?|minutes?|hours?|ms|kunder|klik\w*|vis(?:ning|ninger"
    r"|ningar)\w*|kliknię\w*|wyświetl\w*|клик\w*|показ\w*|просмотр\w*|сообщен\w*|gösterim|tıklama|kullanıcı"
    r"|tayangan|pengguna|回|件|人|次|クリック|ユーザー|点击|展示|명|건|회|usd|eur|gbp|chf|euros?|dollars?|mio\b|million"
    r"|tsd|lakh|crore|k\b|m\b|€|\$|£|%)",
    re.IGNORECASE,
)
_FIGURES = re.compile(
    r"(?<![^\W_])(?:scores?|kpis?|values?|werte|figures?|weekly|daily|monthly|rates?|ratings?|opens|clicks"
    r"|results?|ranks?|positions?|points?|notes?|punkte|percentiles?|numbers were|series|sequence|counts?|sizes?"
    r"|weeks?|semaines?|wochen|hours|stunden|heures|days|tage|jours|budget|revenue|spend|impressions|reach"
    r"|sessions|baseline|target of|goal|sku|ean|upc|orders?|bestel\w*|commandes?|pedidos?|ordin[ei]|zamówieni\w*"
    r"|заказ\w*|sipariş|tickets?|case|tracking|articles?|artikel|items?|codes?"
    r"|version|build|batch|lot|ref|invoice|rechnung\w*|facture|id|ids|coordinates?|ip)\b[^\n]{0,12}$",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"(?:(?<![^\W_])(?:customer|client|account|konto|kunden?\w*|compte|cuenta|conta|conto|klant\w*|kund|cid|mcc"
    r"|ids?|ads|adwords|manager|campaign|pixel|order|invoice|ticket|case|ref|sku|property|advertiser|billing"
    r"|merchant|идентификатор|аккаунт)|顧客|账户|帳戶|アカウント|계정"
    r"|고객)(?:[ \-]?(?:ids?|nos?|nr|nummer|numbers?|num|#"
    r"|account|номер))?\b[\s:#=.()\[\]"
    r"|*`\"'-]{0,8}$",
    re.IGNORECASE,
)
_AD_ACCOUNT = re.compile(
    r"google[ -]?ads|ads? (?:account|customer)|customer ids?|adwords|\bmcc\b|\bcids?\b|ads-konto", re.IGNORECASE
)
_CALL_NEAR = re.compile(
    r"(?<![^\W_\[])(?:phone|tel|call|mobile|fax|hotline|whatsapp|ring|dial"
    r"|cell)\b",
    re.IGNORECASE,
)
_LIST_GAP = re.compile(
    r"\s{0,2}(?:[,;&/|]|and|or|und|oder|et|y|e|en|og|och)?\s{0,2}(?:\([^()]{1,30}\))?[,;]?\s{0,2}(?:and|und|et"
    r"|y)?\s{0,2}"
)
_DEVICE = re.compile(
    r"[^\n]{0,30}?\b(?:desktop|tablet|web|e-?mail|ctr|tv|push"
    r"|store)\b[^\n\d]{0,12}\d",
    re.IGNORECASE,
)
_LINKED = re.compile(
    r"(?:wa\.me/|(?<![^\W_])(?:phone|tel|mobile|whatsapp)=)(?:%2B"
    r"|\+)?(\d{7,15})(?!\d)",
    re.IGNORECASE,
)
_CONTEXT_CHARS, _WIDE_CONTEXT = 48, 200
_BARE_DIGITS, _LONG_NUMBER, _FRENCH_GROUPS, _SURE_GROUPS = 9, 11, 5, 3
_MIN_DIGITS, _MAX_DIGITS = 7, 15
"""ITU-T E.164 allows 15 digits; shorter than 7 is no subscriber number worth masking."""


def find_phones(text: str, regions: _Regions = ()) -> Iterator[Found]:
    """Yield the phone numbers of ``text``; in ``regions`` the plans of those countries say more than elsewhere."""
    for match in _LINKED.finditer(text) if "=" in text or "wa.me" in text else ():
        yield Found("phone number", "[phone]", match.start(1), match.end())
    account_end = -1
    for match in _NUMBER.finditer(text):
        if _DASHED.fullmatch(match[0]) and _is_account(match, account_end):
            account_end = match.end()
        elif _is_phone(match, regions):
            yield Found("phone number", "[phone]", match.start(), match.end())


def _is_account(match: re.Match[str], account_end: int) -> bool:
    """Return whether a dashed number is an account's: its name stands before it, or it follows one in a list."""
    text, start = match.string, match.start()
    if account_end >= 0 and _LIST_GAP.fullmatch(text, account_end, start):
        return True
    before = text[max(0, start - _WIDE_CONTEXT) : start]
    if _ACCOUNT.search(before[-_CONTEXT_CHARS:]):
        return True
    named = max((found.end() for found in _AD_ACCOUNT.finditer(before)), default=-1)
    return named > max((found.end() for found in _CALL_NEAR.finditer(before)), default=-1)


@dataclass(frozen=True, slots=True)
class _Number:
    """A candidate as it is written, with ASCII digits."""

    text: str
    digits: str

    @property
    def bare(self) -> bool:
        """Whether nothing separates the digits."""
        return self.text.lstrip("+").isdecimal()

    @property
    def groups(self) -> tuple[str, ...]:
        """The digits as they are grouped."""
        return tuple(re.findall(r"\d+", self.text))

    @property
    def is_amount(self) -> bool:
        """Whether digits stand in groups of three; with a plus sign up to a billion: beyond, it is a prefix."""
        return (
            self.text[0] != "0"
            and _THOUSANDS.fullmatch(self.text) is not None
            and not (self.text[0] == "+" and len(self.digits) >= _LONG_NUMBER)
        )


def _is_phone(match: re.Match[str], regions: _Regions) -> bool:
    written = match[0] if match[0].isascii() else "".join(ascii_digits(char) or char for char in match[0])
    number = _Number(written, ascii_digits(written))
    if not _MIN_DIGITS <= len(number.digits) <= _MAX_DIGITS or _YEARS.fullmatch(written):
        return False
    before = match.string[max(0, match.start() - _CONTEXT_CHARS) : match.start()]
    called = _CALL_WORD.search(before)
    if _is_count(number, match, called):
        return False
    if _INTERNATIONAL.match(written):
        return _is_international(number)
    if _DATE.search(written):
        return False
    if called:
        return _is_called(number, match, called, regions)
    return not _is_figures(number, before) and _is_national(number, regions)


def _is_count(number: _Number, match: re.Match[str], called: re.Match[str] | None) -> bool:
    """Return whether a number is how many there are of what follows it, or an amount."""
    amount = number.is_amount
    if (amount or (number.bare and number.digits[0] != "0")) and _COUNTED.match(match.string, match.end()):
        return True
    return amount and (not called or number.digits.endswith("00"))


def _is_figures(number: _Number, before: str) -> bool:
    """Return whether numbers stand in a row: scores, hours, decimals, article numbers."""
    groups = number.groups
    if number.text.startswith("0.") or _FIGURES.search(before):
        return True
    if {len(group) for group in groups} == {2} and len(set(re.findall(r"\D+", number.text))) > 1:
        return True
    steps = {int(two) - int(one) for one, two in pairwise(groups)}
    return len(groups) >= _FRENCH_GROUPS and len(steps) == 1


def _is_international(number: _Number) -> bool:
    """Return whether a country's number of the right length follows; an unbroken one must be in that country's plan."""
    plus = number.text[0] == "+"
    shape = _plan("+" + (number.digits if plus else number.digits[2:]), "")
    if number.bare and (not plus or number.digits.endswith("0000")):
        return shape == "valid"
    return shape in ("valid", "possible")


def _is_called(number: _Number, match: re.Match[str], called: re.Match[str], regions: _Regions) -> bool:
    """Return whether a number behind a word like "tel" is one: behind "mobile" or "text" counts stand as well."""
    if called["sure"] or called["cjk"] or number.text[0] in "0(":
        return True
    if _DEVICE.match(match.string, match.end()) or (number.bare and number.digits.endswith("000")):
        return False
    if not number.bare:
        return True
    if len(number.digits) < _BARE_DIGITS:
        return _valid_somewhere(number.digits, regions, "mobile")
    return _valid_somewhere(number.digits, regions + _COMMON_REGIONS)


def _is_national(number: _Number, regions: _Regions) -> bool:
    written, digits, groups = number.text, number.digits, number.groups
    if _NORTH_AMERICAN.fullmatch(written) or _TRUNK_GROUPS.fullmatch(written):
        return True
    if number.bare:
        return digits[0] == "0" and len(digits) > _BARE_DIGITS and _valid_somewhere(digits, regions, "mobile")
    if written[0] in "0(":
        return _written_somewhere(digits, groups, _COMMON_REGIONS) or _valid_somewhere(digits, regions)
    return len(groups) >= _SURE_GROUPS and _written_somewhere(digits, groups, regions)


def _valid_somewhere(digits: str, regions: _Regions, sort: Literal["", "mobile"] = "") -> bool:
    return any(_plan(digits, region) in (("mobile",) if sort else ("mobile", "valid")) for region in regions)


def _written_somewhere(digits: str, groups: tuple[str, ...], regions: _Regions) -> bool:
    """Return whether ``digits`` are a number of one of ``regions``, and grouped as there."""
    return any(
        _plan(digits, region) in ("valid", "mobile") and _grouping(digits, region) == groups for region in regions
    )


@lru_cache(maxsize=4096)
def _plan(number: str, region: str) -> Literal["", "possible", "valid", "mobile"]:
    """Return what a numbering plan says: that of ``region``, or of the country whose prefix ``number`` has."""
    from phonenumbers import phonenumberutil as plans  # noqa: PLC0415  # 50 ms, and most runs never need it

    try:
        parsed = plans.parse(number, region or None)
    except plans.NumberParseException:
        return ""
    kind = plans.number_type(parsed)
    if region and kind in (plans.PhoneNumberType.MOBILE, plans.PhoneNumberType.FIXED_LINE_OR_MOBILE):
        return "mobile"
    if kind != plans.PhoneNumberType.UNKNOWN:
        return "valid"
    return "possible" if plans.is_possible_number_with_reason(parsed) == plans.ValidationResult.IS_POSSIBLE else ""


@lru_cache(maxsize=4096)
def _grouping(digits: str, region: str) -> tuple[str, ...]:
    """Return the groups of digits in which ``region`` writes a number."""
    from phonenumbers import phonenumberutil as plans  # noqa: PLC0415  # as above

    written = plans.format_number(plans.parse(digits, region), plans.PhoneNumberFormat.NATIONAL)
    return tuple(re.findall(r"\d+", written))
