"""The text in bytes that are not UTF-8: what Excel and older tools save in each part of the world.

Detectors that are made for pages of text guess wrongly on a short table (charset-normalizer read 9 of 31 samples as
something else, "São" as "Săo" among them). Here the shape of the bytes decides, and Windows-1252, the
encoding of Western Europe, stays the answer wherever nothing speaks against it.
"""

from __future__ import annotations

import re

__all__ = ["decode_legacy"]

_SAMPLE = 65_536
# "ção" has two in a row, words of other scripts have more.
_RUN = re.compile(rb"[\x80-\xff]{3,}")
_HIGH = re.compile(rb"[\x80-\xff]")
_PAIR = re.compile(rb"[\xa1-\xfe][\xa1-\xfe]")
_KANA = re.compile("[\u3041-\u30fa]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CYRILLIC = re.compile(rb"[\xc0-\xff\xa8\xb8\xab\xbb\x96\x97\x84\x93\xb9\x88]")
# "za\xbf\xf3\xb3\xe6": what Windows-1252 shows inside of words as "¿", "³" and "¹", and Windows-1250 as Polish letters.
_POLISH = re.compile(rb"[A-Za-z\xf3\xea\xe6\xf1][\xb3\xb9\xbf](?:[a-z\xf3\xea\xe6\xf1]|\b)[^/\d]")
_CAPITAL_INSIDE = re.compile(rb"[\xe0-\xff][\xc0-\xdf]")
_LOWER_RUN = re.compile(rb"[\xe0-\xff]{3}")  # "ÄÖÜ" lies in the rows of the capitals
_MOSTLY = 0.6
_FEW = 4


def decode_legacy(data: bytes) -> str:
    """Return the text in ``data``, which is not UTF-8."""
    return data.decode(_encoding_of(data[:_SAMPLE]), "replace")


def _encoding_of(data: bytes) -> str:
    for encoding, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if zeros.count(0) * 3 > len(data):
            return encoding
    japanese = next((encoding for encoding in ("cp932", "euc_jp") if _kana_in(data, encoding)), "")
    return japanese or _of_letters(data) or _of_signs(data)


def _of_letters(data: bytes) -> str:
    """Return the encoding of a text in an alphabet, or ""."""
    high = len(_HIGH.findall(data))
    if high < _FEW or sum(map(len, _RUN.findall(data))) < high * _MOSTLY:
        return "cp1250" if _POLISH.search(data) else "cp1252"
    if len(_CYRILLIC.findall(data)) > high * 0.95:
        # No Cyrillic word has capitals inside; Arabic letters lie in the same rows, in any order.
        if len(_CAPITAL_INSIDE.findall(data)) * 10 > high:
            return "cp1256"
        if _LOWER_RUN.search(data):
            return "cp1251"
    return ""


def _of_signs(data: bytes) -> str:
    """Return the encoding of a Chinese or Korean text."""
    pairs = _PAIR.findall(data)
    if len(pairs) * 2 > len(_HIGH.findall(data)) * 0.95:
        hangul = sum(0xB0 <= pair[0] <= 0xC8 for pair in pairs)  # noqa: PLR2004  # the syllables' rows
        signs = sum(pair[0] < 0xB0 for pair in pairs)  # noqa: PLR2004
        return "euc_kr" if hangul and hangul + signs == len(pairs) else "gb18030"
    return next((encoding for encoding in ("big5", "gb18030") if _is(data, encoding)), "cp1252")


def _kana_in(data: bytes, encoding: str) -> bool:
    """Return whether ``data`` is Japanese: kana make up a good part of every Japanese text."""
    text = data.decode(encoding, "replace")
    signs = len(_NOT_ASCII.findall(text))
    return len(_KANA.findall(text)) > signs * 0.2 and text.count("\ufffd") * 50 <= signs


def _is(data: bytes, encoding: str) -> bool:
    text = data.decode(encoding, "replace")
    return text.count("\ufffd") * 50 <= len(_NOT_ASCII.findall(text))
