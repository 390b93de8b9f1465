"""Personal data in texts: e-mail addresses, payment card numbers, phone numbers.

Marketing texts are full of numbers, so a number is masked only where its shape says what it is: an international
prefix, a national grouping that is used for nothing else, or a word like "tel" right before it.
"""

from __future__ import annotations

import re
from unicodedata import decimal

__all__ = ["mask_cards_and_phones", "mask_emails"]

# RFC 5321 limits; the lookbehind makes each run of characters a single starting point, which keeps the search linear.
_EMAIL = re.compile(r"(?<![\w.%+\-'])[\w.%+\-']{1,64}@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w@])")

_GAP = r"[ \t\u00a0\u202f\u2009().\-/\u2010-\u2013]"
_CARD = re.compile(
    r"(?<![\w.])(?:\d{13,19}|\d{4}(?:[ .\-\u00a0]\d{4}){3}(?:[ .\-\u00a0]?\d{1,3})?"
    r"|3\d{3}[ .\-\u00a0]\d{6}[ .\-\u00a0]\d{4,5})(?!\w)"
)
_FOUR_GROUPS = len("0000 0000 0000 0000")
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
    r"\(?0[1-9]\d{1,4}\)?[ /\-]{1,3}\d{5,8}(?:-\d{1,4})?"  # (030) 1234567, 0171/1234567, 07911 123456
    r"|0[1-9](?:[ .\-]\d{2}){4}"  # 06 12 34 56 78
    r"|\(?0[1-9]\d?\)?[ \-]\d{4}[ \-]\d{4}"  # 020 7946 0958, (02) 9876 5432
    r"|\(?0[1-9]\d{2,3}\)?[ \-]\d{3}[ \-]\d{3,4}"  # 0800 123 4567, 0412 345 678
    r"|0[1-9]\d[ \-]\d{3}[ \-]\d{3,4}"  # 090-123-4567, 060 123 456
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
_LONG_NUMBER = 11
_MIN_DIGITS, _MAX_DIGITS = 7, 15
"""ITU-T E.164 allows 15 digits; shorter than 7 is no subscriber number worth masking."""


def mask_emails(text: str) -> tuple[str, int]:
    """Return ``text`` with each e-mail address as ``[e-mail]``, and how many there were."""
    return _EMAIL.subn("[e-mail]", text)


def mask_cards_and_phones(text: str) -> tuple[str, int, int]:
    """Return ``text`` with ``[card]`` and ``[phone]`` for such numbers, and how many there were of each."""
    counts = {"[card]": 0, "[phone]": 0}

    def mask(match: re.Match[str], mark: str, length: int) -> str:
        counts[mark] += bool(length)
        return mark + match[0][length:] if length else match[0]

    text = _CARD.sub(lambda match: mask(match, "[card]", _card_length(match[0])), text)
    text = _NUMBER.sub(lambda match: mask(match, "[phone]", len(match[0]) * _is_phone(match)), text)
    return text, counts["[card]"], counts["[phone]"]


def _card_length(text: str) -> int:
    """Return how much of ``text`` is a card number: all, the four groups of four before a check value, or nothing."""
    lengths = (len(text), _FOUR_GROUPS) if len(text) > _FOUR_GROUPS and not text.isdecimal() else (len(text),)
    return next((length for length in lengths if _is_card(text[:length])), 0)


def _is_card(text: str) -> bool:
    digits = [int(char) for char in text if char.isdecimal()]
    plain = "".join(map(str, digits))
    return bool(_CARD_PREFIX.match(plain)) and len(set(plain)) > 1 and _passes_luhn(digits)


def _with_ascii_digits(number: str) -> str:
    if number.isascii():
        return number
    return "".join(str(decimal(char)) if char.isdecimal() else char for char in number)


def _is_amount(number: str, digits: int) -> bool:
    """Return True for digits in groups of three; with a plus sign up to a billion, beyond it is a country's prefix."""
    return (
        number[0] != "0"
        and _THOUSANDS.fullmatch(number) is not None
        and not (number[0] == "+" and digits >= _LONG_NUMBER)
    )


def _passes_luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004  # 5..9 doubled have two digits
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_phone(match: re.Match[str]) -> bool:
    number = _with_ascii_digits(match[0])
    count = sum(char.isdecimal() for char in number)
    if not _MIN_DIGITS <= count <= _MAX_DIGITS or _is_amount(number, count) or _YEARS.fullmatch(number):
        return False
    if _INTERNATIONAL.match(number):
        return True
    if _DATE.search(number):
        return False
    if _NORTH_AMERICAN.fullmatch(number) or _TRUNK_GROUPS.fullmatch(number):
        return True
    start = match.start()
    return bool(_CALL_WORD.search(match.string[max(0, start - _CONTEXT_CHARS) : start]))
