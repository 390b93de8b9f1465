"""Personal data in texts: e-mail addresses, payment card numbers, phone numbers.

Marketing texts are full of numbers, so a number is masked only where its shape says what it is: an international
prefix, a national grouping that is used for nothing else, or a word like "tel" right before it.
"""

from __future__ import annotations

import re

__all__ = ["mask_cards_and_phones", "mask_emails"]

# RFC 5321 limits; the lookbehind makes each run of characters a single starting point, which keeps the search linear.
_EMAIL = re.compile(r"(?<![\w.%+\-'])[\w.%+\-']{1,64}@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w@])")

_GAP = r"[ \t\u00a0\u202f\u2009().\-/\u2010-\u2013]"
_CARD = re.compile(
    r"(?<![\w.])(?:\d{13,19}|\d{4}(?:[ .\-\u00a0]\d{4}){3}(?:[ .\-\u00a0]?\d{1,3})?"
    r"|3\d{3}[ .\-\u00a0]\d{6}[ .\-\u00a0]\d{4,5})(?!\w)"
)
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|35|3[068]|6011|6[245]")

_NUMBER = re.compile(rf"(?<![\w+.,:=#$€£¥&?%])(?<![\w]-)\+?\(?\d(?:{_GAP}{{0,3}}\d){{6,30}}(?![\d%])(?!,\d)")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[./\-](?:0?[1-9]|1[0-2])(?!\d)|\d{1,2}[./\-]\d{1,2}[./\-](?:19|20)?\d\d(?!\d)"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d))"
)
_THOUSANDS = re.compile(r"\+?\d{1,3}(?:[ .\u00a0\u202f\u2009]\d{3})+")
_YEARS = re.compile(r"(?:(?:19|20)\d\d\D{1,3})+(?:19|20)?\d\d")
_NORTH_AMERICAN = re.compile(r"(?:1[ .\-])?(?:\([2-9]\d\d\)[ .\-]?|[2-9]\d\d([.\-]))\d{3}[ .\-\u2010-\u2013]\d{4}")
_INTERNATIONAL = re.compile(r"\+ ?\(?[1-9]|00 ?[1-9]")
_TRUNK_GROUPS = re.compile(
    r"\(?0[1-9]\d{1,3}\)?[ /\-]{1,3}\d{5,8}(?:-\d{1,4})?"  # (030) 1234567, 0171/1234567, 07911 123456
    r"|0[1-9](?:[ .\-]\d{2}){4}"  # 06 12 34 56 78
    r"|\(?0[1-9]\d?\)?[ \-]\d{4}[ \-]\d{4}"  # 020 7946 0958, (02) 9876 5432
    r"|\(?0[1-9]\d{2,3}\)?[ \-]\d{3}[ \-]\d{3,4}"  # 0800 123 4567, 0412 345 678
    r"|0[1-9]\d[ \-]\d{3}[ \-]\d{4}"  # 090-123-4567
    r"|0[1-9]0[ \-]\d{4}[ \-]\d{4}"  # 090-1234-5678
)
_CALL_WORD = re.compile(
    r"\b(?:tel|telefon(?:nummer)?|telephone|téléphone|tél|telefono|teléfono|telefone|phone"
    r"|mobile|mobil(?:nummer)?|móvil|handy"
    r"|cell|fax|whatsapp|hotline|rufnummer|numéro|call|dial|ring|text|sms|ph|mob)\b\.?"
    r"(?:[ ]?(?:me|us|him|her|them|at|on|now|is|no|nr|number|nummer|unter)\b\.?){0,3}[\s:#=()\-]{0,4}$",
    re.IGNORECASE,
)
_CONTEXT_CHARS = 40
_MIN_DIGITS, _MAX_DIGITS = 7, 15
"""ITU-T E.164 allows 15 digits; shorter than 7 is no subscriber number worth masking."""


def mask_emails(text: str) -> tuple[str, int]:
    """Return ``text`` with each e-mail address as ``[e-mail]``, and how many there were."""
    return _EMAIL.subn("[e-mail]", text)


def mask_cards_and_phones(text: str) -> tuple[str, int, int]:
    """Return ``text`` with ``[card]`` and ``[phone]`` for such numbers, and how many there were of each."""
    counts = {"[card]": 0, "[phone]": 0}

    def mask(match: re.Match[str], mark: str, hit: bool) -> str:
        counts[mark] += hit
        return mark if hit else match[0]

    text = _CARD.sub(lambda match: mask(match, "[card]", _is_card(match[0])), text)
    text = _NUMBER.sub(lambda match: mask(match, "[phone]", _is_phone(match)), text)
    return text, counts["[card]"], counts["[phone]"]


def _is_card(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    plain = "".join(map(str, digits))
    return bool(_CARD_PREFIX.match(plain)) and len(set(plain)) > 1 and _passes_luhn(digits)


def _passes_luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004  # 5..9 doubled have two digits
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_phone(match: re.Match[str]) -> bool:
    number = match[0]
    count = sum(char.isdigit() for char in number)
    if not _MIN_DIGITS <= count <= _MAX_DIGITS or _THOUSANDS.fullmatch(number) or _YEARS.fullmatch(number):
        return False
    if _INTERNATIONAL.match(number):
        return True
    if _DATE.search(number):
        return False
    if _NORTH_AMERICAN.fullmatch(number) or _TRUNK_GROUPS.fullmatch(number):
        return True
    start = match.start()
    return bool(_CALL_WORD.search(match.string[max(0, start - _CONTEXT_CHARS) : start]))
