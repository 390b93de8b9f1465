"""The privacy guard: personal data is masked, lines with credentials are left out, before anything is stored.

Texts are first screened by a few byte operations (about two microseconds for 200 characters); only what could contain
something is folded (``folding``) and looked at with the patterns of ``credentials``, ``personal`` and ``phones``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from dm_memory.items import Value
from dm_memory.text.folding import Folded, fold, is_folded, readings
from dm_memory.text.terms import Words, words_of

if TYPE_CHECKING:
    from dm_memory.text.personal import Found

__all__ = ["GUARD_VERSION", "MARKS", "Guard", "GuardHit", "GuardResult", "Hits", "Policy", "ValueResult", "merge_hits"]

GUARD_VERSION = 3
"""Changes when the guard would decide otherwise about the same text."""

MARKS = re.compile(r"\[(?:e-mail|phone|card|IBAN)\]")
"""What takes the place of personal data."""

Policy = Literal["mask", "keep"]
Hits = tuple[tuple[str, int], ...]
"""What was found, in a report's words, and how often."""


@dataclass(frozen=True, slots=True)
class GuardHit:
    """What of one sort was found, and where.

    Attributes:
        what: The sort, in a report's words.
        count: How often.
        lines: The lines of the original text, from 1, one a find, in order.
        digests: One a find: what ``Guard`` takes as ``allowed``. Digits can be guessed from a digest, so only that of a
            find that the user allows may be written anywhere.
        removed: Whether the lines were left out (credentials) or the finds masked.
    """

    what: str
    count: int
    lines: tuple[int, ...]
    digests: tuple[str, ...] = field(repr=False)
    removed: bool = False


@dataclass(frozen=True, slots=True)
class GuardResult:
    """What may be stored of a text.

    Attributes:
        text: With personal data masked and without the lines that have credentials; "" if it is refused.
        hits: What was found, with counts.
        refused: Why nothing of the text may be stored, or "".
        removed_lines: How many lines were left out.
        places: What was found, with lines.
    """

    text: str
    hits: Hits = ()
    refused: str = ""
    removed_lines: int = 0
    places: tuple[GuardHit, ...] = ()


@dataclass(frozen=True, slots=True)
class ValueResult:
    """What may be stored of a metadata value; the attributes are those of ``GuardResult``."""

    value: Value
    hits: Hits = ()
    refused: str = ""
    removed_lines: int = 0
    places: tuple[GuardHit, ...] = ()


@dataclass(frozen=True, slots=True)
class _Find:
    """A find and its lines in the original text; its positions are those of the text at hand."""

    what: str
    start: int
    end: int
    lines: tuple[int, ...]
    digest: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class _Screened:
    """What a text may contain: any secret, one beside the name of a password or a key, an address, a number."""

    secret: bool
    passwords: bool
    keys: bool
    email: bool
    digits: bool


_DIGIT_RUN = b"0" * 7
_TOKEN_RUN = b"x" * 20
_SPACE = ord(" ")
_ASCII_END = 128
_DIGITS_TABLE = bytes(ord("0") if chr(code) in "0123456789" else ord("x") for code in range(256))
_BETWEEN_DIGITS = b" \t().,-/_|*" + bytes(range(_ASCII_END, 256))
"""What may stand between the digits of a number; UTF-8's bytes above ASCII are the special spaces and dashes."""
_TOKEN_TABLE = bytes(
    ord("x") if code < _ASCII_END and (chr(code).isalnum() or chr(code) in "_-") else _SPACE for code in range(256)
)


def _words(text: str) -> frozenset[bytes]:
    """Return words as ``words_of`` gives them."""
    return frozenset(word.encode() for word in text.split())


_PASSWORD_WORDS = _words(
    "password passwords passwd passwort passwörter kennwort pwd pw pass passphrase passcode senha contraseña"
    " clave passe mdp wachtwoord lösenord adgangskode kodeord passord salasana hasło haslo heslo jelszó parola"
    " şifre пароль пароля κωδικόσ المرور السر पासवर्ड sandi khẩu סיסמה סיסמא dbpassword userpassword login curl"
    " credential credentials username user benutzer zugang zugangsdaten anmeldung usuario identifiant"
    " identifiants acceso accès логин authorization bearer basic token apikey"
)
_KEY_WORDS = _words(
    "secret secrets token tokens key keys apikey apitoken authtoken accesstoken accesskey clientsecret secretkey"
    " privatekey refreshtoken jeton schlüssel apischlüssel zugriffstoken zugriffsschlüssel zugangstoken"
    " zugangsschlüssel clé clés clave chave chiave llave sleutel nyckel nøgle nøkkel avain klíč anahtarı klucz"  # noqa: RUF001  # Turkish
    " kunci khóa ключ токен مفتاح कुंजी apinyckel appsecret apisecret signingkey hooks webhooks sig"
)
"""A text without any of these words or stems, an @ or a long run of token characters has nothing to look for."""
_SECRET_STEMS = tuple(sorted(_words("密 口令 令牌 金鑰 パスワ キー トークン シークレット 비밀 암호 토큰 키 รหัส")))
"""The same for scripts that put no space between words."""
_AT_NAMES = frozenset(
    (
        "dot punkt punto ponto point punt kropka tečka nokta точка собака małpa ät arroba arobase arobas chiocciola"
        " apenstaartje zavináč kukac miukumauku"
    )
    .encode()
    .split()
)
_NAMES = _PASSWORD_WORDS | _KEY_WORDS | _AT_NAMES
_AT = re.compile(rb"[\[({<*-] ?at ?[\])}>*-]| at [a-z0-9\-]{1,63}\.[a-z]", re.IGNORECASE)
_HASH = re.compile(rb"\$[a-z0-9\-]{1,20}\$")
_FOREIGN_DIGITS = (b"\xd9", b"\xdb", b"\xe0\xa5", b"\xe0\xa7", b"\xe0\xb9")
_DIGEST_DIGITS = 16
_CACHED_VALUES = 8192
_CACHED_CHARS = 120
_LONG_TYPE = "performance_discovery"
"""An insight type of the plugin's, in every brand: the one that is as long as a token."""
_MAX_TURNS = 8
_WORD = re.compile(r"[^\W_]")


def _screen(data: bytes, words: Words, at_sign: bool, token_run: bool, digits: bool) -> _Screened:
    stem = not data.isascii() and any(stem in data for stem in _SECRET_STEMS)
    passwords = stem or not _PASSWORD_WORDS.isdisjoint(words)
    keys = stem or not _KEY_WORDS.isdisjoint(words)
    email = at_sign or not _AT_NAMES.isdisjoint(words)
    return _Screened(at_sign or token_run or passwords or keys, passwords, keys, email, digits)


class Guard:
    """Decides what of a text may be stored.

    Args:
        policy: ``mask`` replaces e-mail addresses, phone numbers, payment card numbers and bank accounts; ``keep``
            leaves them. Credentials are left out under both.
        regions: The countries of the brand's target markets (ISO 3166-1), whose phone numbers are known without a
            prefix; numbers of others are found by their usual forms.
        allowed: Digests of finds that the user allowed (``GuardHit.digests``): they stay.
    """

    def __init__(self, policy: Policy, regions: Iterable[str] = (), allowed: frozenset[str] = frozenset()) -> None:
        self.policy = policy
        self.allowed = allowed
        self.regions = tuple(sorted({region.upper() for region in regions}))
        self._clean_values = {_LONG_TYPE}

    def apply(self, text: str, words: Words | None = None) -> GuardResult:
        """Return what may be stored of ``text``.

        Args:
            text: As its source states it.
            words: ``words_of(text)``, if the caller has them.
        """
        data = text.encode("utf-8", "surrogatepass")
        if words is None:
            words = words_of(text)
        is_plain = True
        escaped = b"&" in data or b"%" in data or b"\\" in data
        if (escaped or len(data) != len(text)) and not is_folded(text, data):
            is_plain = False
            seen = fold(text).text
            data = seen.encode("utf-8", "surrogatepass")
            words = words_of(seen) | words_of(fold(text, " ").text)
        at_sign = b"@" in data
        token_run = _TOKEN_RUN in data.translate(_TOKEN_TABLE) or (b"$" in data and _HASH.search(data) is not None)
        digits = self.policy == "mask" and (
            _DIGIT_RUN in data.translate(_DIGITS_TABLE, _BETWEEN_DIGITS) or _has_foreign_digits(text, data)
        )
        named = not _NAMES.isdisjoint(words) or (len(data) != len(text) and any(stem in data for stem in _SECRET_STEMS))
        spoken = b"at" in words and _AT.search(data) is not None
        if not (at_sign or token_run or digits or named or spoken):
            return GuardResult(text)
        screened = _screen(data, words, at_sign or spoken, token_run, digits)
        return self._cleaned(text, (Folded(text, text),) if is_plain else readings(text), screened)

    def is_clean(self, value: Value) -> bool:
        """Return whether a metadata value can be stored as it is. Short values are remembered: they repeat."""
        if not isinstance(value, str):
            return not isinstance(value, list) or all(self.is_clean(part) for part in value)
        if value in self._clean_values:
            return True
        if self.apply(value).hits:
            return False
        if len(value) <= _CACHED_CHARS:
            if len(self._clean_values) >= _CACHED_VALUES:
                self._clean_values.clear()
            self._clean_values.add(value)
        return True

    def apply_value(self, value: Value) -> ValueResult:
        """Return what may be stored of a metadata value; numbers and truth values are never touched.

        A part of a list that must not be stored is left out; the list is refused if no part is left.
        """
        if isinstance(value, str):
            result = self.apply(value)
            return ValueResult(result.text, result.hits, result.refused, result.removed_lines, result.places)
        if not isinstance(value, list):
            return ValueResult(value)
        results = [self.apply(part) for part in value]
        kept: list[str] = [result.text for result in results if not result.refused]
        return ValueResult(
            kept,
            merge_hits(*(result.hits for result in results)),
            "" if kept else next((result.refused for result in results), ""),
            sum(result.removed_lines for result in results),
            tuple(place for result in results for place in result.places),
        )

    def _cleaned(self, text: str, seen: tuple[Folded, ...], screened: _Screened) -> GuardResult:
        """Leave out the lines with credentials, then mask what the rest contains."""
        lines = list(enumerate(text.splitlines(keepends=True), 1))
        secrets: list[_Find] = []
        # Lines that come together may be read together: "password:" over what stood two lines below it.
        for turn in range(_MAX_TURNS + 1):
            found = _secrets(seen, lines, screened, self.allowed) if screened.secret else []
            if not found:
                break
            secrets += found
            gone = {number for find in found for number in find.lines}
            lines = [line for line in lines if line[0] not in gone]
            rest = any(_WORD.search(line) and not line.lstrip().startswith("#") for _, line in lines)
            if not rest or turn == _MAX_TURNS:
                return _refusal(secrets)
            text = "".join(line for _, line in lines).rstrip("\r\n")
            seen = readings(text)
        finds: list[_Find] = []
        # A mark parts what an invisible character joined: what is stored must have nothing more to mask.
        for _ in range(_MAX_TURNS if self.policy == "mask" else 0):
            personal = _personal(seen, lines, screened, self.regions)
            more = [find for find in personal if find.digest not in self.allowed]
            if not more:
                break
            finds += more
            text = _replaced(text, sorted((find.start, find.end, find.mark) for find in more))
            numbers = [number for number, _ in lines]
            lines = list(zip(numbers, text.splitlines(keepends=True), strict=False))
            seen = readings(text)
        places = _places([*secrets, *finds])
        removed = len({number for find in secrets for number in find.lines})
        return GuardResult(text, tuple((place.what, place.count) for place in places), "", removed, places)


class _Placer:
    """Turns positions in a folded text into finds in the original, and passes over what overlaps an earlier find."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self._numbers = [number for number, _ in lines]
        self._starts = [0, *accumulate(len(line) for _, line in lines[:-1])]
        self._claimed: list[tuple[int, int]] = []

    def find(self, folded: Folded, what: str, start: int, end: int, mark: str = "") -> _Find | None:
        """Return the find at ``start`` of ``folded``, or None if it overlaps an earlier one."""
        first, last = folded.position(start), folded.position(end)
        slot = bisect_right(self._claimed, (first, last))
        neighbours = self._claimed[max(0, slot - 1) : slot + 1]
        if any(first < other_end and other_start < last for other_start, other_end in neighbours):
            return None
        self._claimed.insert(slot, (first, last))
        top, bottom = (bisect_right(self._starts, place) for place in (first, max(first, last - 1)))
        return _Find(what, first, last, tuple(self._numbers[top - 1 : bottom]), "", mark)


def _secrets(
    seen: tuple[Folded, ...], lines: list[tuple[int, str]], screened: _Screened, allowed: frozenset[str]
) -> list[_Find]:
    from dm_memory.text.credentials import find_secrets  # noqa: PLC0415  # dozens of patterns, and few texts need them

    placer, finds = _Placer(lines), []
    for folded in seen:
        for secret in find_secrets(folded.text, passwords=screened.passwords, keys=screened.keys):
            digest = _digest(secret.value)
            find = placer.find(folded, secret.what, secret.start, secret.end)
            if find and digest not in allowed:
                finds.append(replace(find, digest=digest))
    return finds


def _personal(
    seen: tuple[Folded, ...], lines: list[tuple[int, str]], screened: _Screened, regions: tuple[str, ...]
) -> Iterator[_Find]:
    """Yield personal data; what is found is cut out of the text that the next sort is looked for in."""
    if not (screened.email or screened.digits):
        return
    from dm_memory.text.personal import find_cards, find_emails, find_ibans  # noqa: PLC0415  # as above
    from dm_memory.text.phones import find_phones  # noqa: PLC0415  # as above

    looks: tuple[Callable[[str], Iterator[Found]], ...] = (
        *((find_emails,) if screened.email else ()),
        *((find_ibans, find_cards, partial(find_phones, regions=regions)) if screened.digits else ()),
    )
    placer = _Placer(lines)
    for folded in seen:
        text = folded.text
        for look in looks:
            cut: list[tuple[int, int, str]] = []
            for found in sorted(look(text), key=lambda found: (found.start, -found.end)):
                if find := placer.find(folded, found.what, found.start, found.end, found.mark):
                    cut.append((found.start, found.end, "[" * (found.end - found.start)))
                    yield replace(find, digest=_digest(text[found.start : found.end]))
            text = _replaced(text, cut)


def _replaced(text: str, changes: Iterable[tuple[int, int, str]]) -> str:
    """Return ``text`` with each (start, end) replaced; they are in order and do not overlap."""
    parts, done = [], 0
    for start, end, new in changes:
        parts += [text[done:start], new]
        done = end
    return "".join((*parts, text[done:])) if done else text


def _places(finds: Iterable[_Find]) -> tuple[GuardHit, ...]:
    """Gather finds by sort, in the order in which the sorts first appear."""
    by_sort: dict[str, list[_Find]] = {}
    for find in finds:
        by_sort.setdefault(find.what, []).append(find)
    return tuple(
        GuardHit(
            what,
            len(same),
            tuple(find.lines[0] for find in same),
            tuple(find.digest for find in same),
            removed=not same[0].mark,
        )
        for what, same in by_sort.items()
    )


def _refusal(secrets: list[_Find]) -> GuardResult:
    places = _places(secrets)
    what = places[0].what
    reason = f"The text is nothing but what looks like {'an' if what[0] in 'AaOo' else 'a'} {what}."
    removed = len({number for find in secrets for number in find.lines})
    return GuardResult("", tuple((place.what, place.count) for place in places), reason, removed, places)


def _digest(value: str) -> str:
    """Return by what a find is allowed: the same however it is spaced or capitalised."""
    plain = "".join(char for char in value.casefold() if char.isalnum() or char in "@+")
    return sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]


def _has_foreign_digits(text: str, data: bytes) -> bool:
    """Return whether digits other than ASCII's may stand in ``text``: Arabic, Persian, Indian, Thai."""
    return len(data) != len(text) and any(lead in data for lead in _FOREIGN_DIGITS)


def merge_hits(*groups: Hits) -> Hits:
    """Add up hits of the same sort; the order is that of their first appearance."""
    present = [group for group in groups if group]
    if len(present) <= 1:
        return present[0] if present else ()
    totals: dict[str, int] = {}
    for group in present:
        for what, count in group:
            totals[what] = totals.get(what, 0) + count
    return tuple(totals.items())
