"""Personal data in texts: e-mail addresses, payment cards, bank accounts.

Phone numbers are in ``phones``. The texts given here are folded: full-width and invisible characters are gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["UNSPACED", "Found", "ascii_digits", "find_cards", "find_emails", "find_ibans", "split_words"]


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of personal data in a text, and the mark that takes its place."""

    what: str
    mark: str
    start: int
    end: int


def split_words(text: str) -> tuple[str, ...]:
    """Return a table that is written as one string."""
    return tuple(text.split())


_EMAIL_SORT = "e-mail address"

# RFC 5321 limits; the lookbehind makes each run of characters a single starting point, which keeps the search linear.
_TLD = r"(?:xn--[a-z0-9\-]{2,59}|[^\W\d_]{2,24})(?![^\W_]|@)"
_LOCAL = r"(?<![\w.%+\-'@])[\w.%+\-']{1,64}"
_EMAIL = re.compile(rf"({_LOCAL}|(?<!\w)\"[^\"\s@]{{1,64}}\")@((?:[\w\-]{{1,63}}\.){{1,8}}){_TLD}", re.IGNORECASE)
_ASSETS = re.compile(
    r"\.(?:png|jpe?g|jpe|gif|webp|svgz?|avif|bmp|tiff?|hei[cf]|psd|eps|indd|ico|mp[34]|m4[av]|wav|webm|avi|pdf"
    r"|docx?|xlsx?"
    r"|pptx?|csv|tsv|html?|css|s[ac]ss|less|m?js|jsx|tsx?|json|ya?ml|toml|xml|ttf|otf|woff2?|fig|sketch|gz)$",
    re.IGNORECASE,
)
_SCALED = re.compile(r"@\d(?:\.\d+)?x(?:[.\-_][\w\-]+)*\.(?:mov|zip|ai)$", re.IGNORECASE)
_REPOSITORY = re.compile(r"(?:git|hg|svn|ssh|deploy|root|ubuntu|ec2-user)@", re.IGNORECASE)

_AT_WORDS = r"at|ät|ad|a|arroba|arobase?|chiocciola|snabel-?a|apenstaartje|małpa|zavináč|kukac|miukumauku|собака|et|@"
_AT = rf"\s{{0,3}}[\[({{<*]\s?(?:{_AT_WORDS})\s?[\])}}>*]\s{{0,3}}|\s{{1,3}}-\s?at\s?-\s{{1,3}}"
_DOT_WORDS = r"dot|punkt|punto|ponto|point|punt|piste|pont|kropka|tečka|nokta|точка|点|ドット"
_DOT = rf"\s{{0,3}}[\[({{<]\s?(?:{_DOT_WORDS}|\.)\s?[\])}}>]\s{{0,3}}|\s{{1,3}}-?(?:{_DOT_WORDS})-?\s{{1,3}}|\.|\s\.\s"
_BRACKETED = re.compile(rf"{_LOCAL}(?:{_AT})(?:[\w\-]{{1,63}}(?:{_DOT})){{1,5}}{_TLD}", re.IGNORECASE)
_DOTTED_NAME = rf"[\w+\-']{{1,40}}(?:(?:\s{{1,2}}(?:{_DOT_WORDS})\s{{1,2}}|\.)[\w+\-']{{1,40}}){{0,3}}"
_SPOKEN = re.compile(
    rf"(?<![\w.%+\-']){_DOTTED_NAME}\s{{1,3}}(?:{_AT_WORDS})\s{{1,3}}[\w\-]{{1,63}}"
    rf"(?:(?:\s{{1,3}}(?:{_DOT_WORDS})\s{{1,3}}|\.)[\w\-]{{1,63}}){{0,3}}\s{{1,3}}(?:{_DOT_WORDS})\s{{1,3}}{_TLD}",
    re.IGNORECASE,
)
_MAIL_TO = re.compile(
    rf"(?:e-?mail|mail|correo|courriel|reach|contact|write|schreib\w*|kontakt|escri\w+|écri\w+|scriv\w+)"
    rf"(?:\s(?:me|us|him|her|to|an|a|à|is|address|adresse))?\s?[:=]?\s{{1,2}}"
    rf"(?P<name>[\w.+\-']{{2,64}})\s{{1,2}}(?:at|@)\s{{1,2}}(?:[\w\-]{{1,63}}\.){{1,4}}{_TLD}",
    re.IGNORECASE,
)
_SPACED = re.compile(rf"{_LOCAL}(?:\s@\s?|@\s)((?:[\w\-]{{1,63}}\s?\.\s?){{1,4}}){_TLD}", re.IGNORECASE)
_NO_NAMES = split_words(
    "me us him her them you it out up in is now or and the a an live today tomorrow here new sale meet join visit"
    " find look see available orders order only also more launch back booth stand event"
)

UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Characters of scripts that put no space between a word and a number, for a class in a pattern."""

_CARD_GAP = r"[^\dA-Za-z\n\[\]]{1,3}"
_CARD = re.compile(
    rf"(?<![^\W{UNSPACED}])(?<![.\-#])(?:\d{{13,19}}|\d{{4}}({_CARD_GAP})\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{1,3}})?"
    rf"|\d{{4}}({_CARD_GAP})\d{{6}}\2\d{{4,6}}|(?:\d[ \-]){{12,18}}\d)(?![^\W_])"
)
_FOUR_GROUPS = 16
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}|(?:36|38|39|30[0-5]\d)\d{10,12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
    r"|(?:50[18-9]\d|5[6-8]\d\d|6304|67\d\d)\d{8,15}|220[0-4]\d{12}|(?:60|8[12])\d{14}|9792\d{12}"
)
_CARD_WORD = re.compile(
    r"(?<!\[)\b(?:cards?|visa|mastercard|amex|american express|maestro|credit|debit|pan|karte|kreditkarte"
    r"|kartennummer|carte"
    r"|tarjeta|cartão|carta|kort|kaart|kortti|karta|kart|карт\w*|カード|卡|카드|بطاقة|कार्ड|paid with|pay(?:ment)?)\b",
    re.IGNORECASE,
)
_ID_WORD = re.compile(
    r"(?<![^\W_])(?:ids?|pixel|campaign|kampagne|campagne|campaña|ad ?set|ads?|act|account|order|bestellung"
    r"|commande|pedido|invoice|sku|ean|gtin|isbn|upc|asin|article|artikel|video|post|page|tracking|ref|reference"
    r"|number|nr|no|audience|epoch|timestamp|catalog|feed|event|conversion|label|container|property|view|stream"
    r"|pub|npi|serial|impressions|opens|clicks"
    r"|weeks?|weekly|daily|sessions|scores?|kpis?|revenue|reach|订单|注文|주문|заказ)\b",
    re.IGNORECASE,
)
_CONTEXT_CHARS = 32
_EAN_DIGITS = 13

_IBAN = re.compile(
    r"(?<![^\W_])[A-Z]{2}[^\S\n]?\d{2}(?:(?:[^\S\n]{1,2}|[\-._/])?[A-Z0-9]){11,30}(?![^\W_])", re.IGNORECASE
)
_IBAN_LENGTHS = dict(
    pair.split(":")
    for pair in split_words(
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22"
        " DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28"
        " HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25"
        " MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29"
        " RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29"
        " VA:22 VG:24 XK:20 YE:30"
    )
)
"""ISO 13616: the registry's lengths by country."""
_MOD_97 = 97


def ascii_digits(text: str) -> str:
    """Return the digits of ``text``, of any script, as ASCII."""
    return "".join(str(int(char)) for char in text if char.isdecimal())


def find_emails(text: str) -> Iterator[Found]:
    """Yield the e-mail addresses of ``text``: as they are and in disguise. They may overlap."""
    for match in _EMAIL.finditer(text) if "@" in text else ():
        if not _is_file(match):
            yield Found(_EMAIL_SORT, "[e-mail]", match.start(), match.end())
    for pattern in (_BRACKETED, _SPOKEN):
        for match in pattern.finditer(text):
            if not _ASSETS.search(match[0]):
                yield Found(_EMAIL_SORT, "[e-mail]", match.start(), match.end())
    for match in _MAIL_TO.finditer(text):
        if match["name"].casefold() not in _NO_NAMES:
            yield Found(_EMAIL_SORT, "[e-mail]", match.start("name"), match.end())
    for match in _SPACED.finditer(text) if "@" in text else ():
        name = match[0].partition("@")[0].strip()
        marked = any(char in "._+0123456789" for char in name) or not match[0][len(name)].isspace()
        if marked and not name.isdecimal() and not _ASSETS.search(match[0]):
            yield Found(_EMAIL_SORT, "[e-mail]", match.start(), match.end())


def _is_file(match: re.Match[str]) -> bool:
    """Return whether an address is the name of a file (``hero@2x.png``) or of a repository (``git@host:path``)."""
    if _ASSETS.search(match[0]) or _SCALED.search(match[0]):
        return True
    rest = match.string[match.end() : match.end() + 2]
    return _REPOSITORY.match(match[0]) is not None and rest[:1] in (":", "/") and not rest[1:].isspace()


def find_cards(text: str) -> Iterator[Found]:
    """Yield the payment card numbers of ``text``: an issuer's prefix and length, and the check digit right."""
    for match in _CARD.finditer(text):
        if end := _card_end(match):
            yield Found("card number", "[card]", match.start(), end)


def _card_end(match: re.Match[str]) -> int:
    """Return where a card number ends: after all of it, or after four groups of four before a check value; or 0."""
    digits = ascii_digits(match[0])
    before = match.string[max(0, match.start() - _CONTEXT_CHARS) : match.start()]
    named = _CARD_WORD.search(before) is not None
    if not named and _ID_WORD.search(before):
        return 0
    if match[0].isdecimal() and len(digits) == _EAN_DIGITS and not named and _is_ean(digits):
        return 0
    if _is_card(digits):
        return match.end()
    if len(digits) > _FOUR_GROUPS and match[1] and _is_card(digits[:_FOUR_GROUPS]):
        return match.start() + _FOUR_GROUPS + 3 * len(match[1])
    return 0


def _is_card(digits: str) -> bool:
    return _ISSUERS.fullmatch(digits) is not None and len(set(digits)) > 1 and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in map(int, digits[-2::-2])]  # noqa: PLR2004  # 5..9 give two digits
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def _is_ean(digits: str) -> bool:
    """Return whether ``digits`` are an article's number (GS1 General Specifications, 7.9)."""
    return (sum(map(int, digits[0::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0


def find_ibans(text: str) -> Iterator[Found]:
    """Yield the international bank account numbers of ``text``: the country's length, and the check digits right."""
    for match in _IBAN.finditer(text):
        if end := _iban_end(match[0]):
            yield Found("bank account", "[IBAN]", match.start(), match.start() + end)


def _iban_end(text: str) -> int:
    """Return how much of ``text`` is an account's number: words may follow it."""
    length = int(_IBAN_LENGTHS.get(text[:2].upper(), 0))
    kept = [(char, place) for place, char in enumerate(text.upper()) if char.isalnum()][:length]
    if not length or len(kept) < length:
        return 0
    plain = "".join(char for char, _ in kept)
    if not plain.isascii():
        return 0
    end = kept[-1][1] + 1
    followed = end < len(text) and text[end].isalnum()
    number = int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4]))
    return end if number % _MOD_97 == 1 and not followed else 0
