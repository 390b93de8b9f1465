"""What a sync knows about a brand beside its items: profile, competitors, restrictions.

A profile is written by an assistant and edited by hand: any value may have the wrong type. What can be understood is
used, what can't is reported and left out; a sync never stops for its context.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath

import orjson

from dm_memory.brand.files import BrandFileError, Limits, decode_text, read_brand_file
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.pages import read_page
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    fields_of,
    inline,
    is_empty,
    label,
    label_of,
    labels,
)
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import SourceFile, SourceKind
from dm_memory.brand.restrictions import Restrictions, read_restrictions, restrictions_in_table, restrictions_in_value
from dm_memory.findings import Finding, Severity
from dm_memory.text.markets import is_month_first, language_codes, languages_of_markets

__all__ = ["BrandContext", "Profile", "load_context"]

_TRUE = frozenset({"true", "yes", "y", "1"})
_FALSE = frozenset({"false", "no", "n", "0"})
_MAX_PROSE = 2000
_MAX_TEXTS = 500


@dataclass(frozen=True, slots=True)
class Profile:
    """An object out of a profile; its groups share one list of findings."""

    values: dict[str, object]
    path: str
    findings: list[Finding]

    def group(self, name: str, main: str = "") -> Profile:
        """Return the object ``name``; a value in its place is understood as the group's ``main`` value."""
        value = self.values.get(name)
        if isinstance(value, dict):
            return Profile(fields_of(value), self.path, self.findings)
        if not is_empty(value) and not main:
            self._dropped(name, "an object")
        return Profile({main: value} if main else {}, self.path, self.findings)

    def text(self, name: str) -> str:
        """Return a short text."""
        value = self.values.get(name)
        found = labels(value) if isinstance(value, list | dict) else [label(value)]
        text = found[0] if found else ""
        if not is_empty(value) and not text:
            self._dropped(name, "a text")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of short texts; one text with commas is a list too, objects count by their names."""
        value = self.values.get(name)
        if is_empty(value):
            return ()
        found = labels(value, _MAX_TEXTS)
        entries = value if isinstance(value, list) else [value]
        lost = any(not label_of(entry) for entry in entries if not is_empty(entry) and not isinstance(value, dict))
        if lost or not found:
            self._dropped(name, "a list of texts", partly=bool(found))
        return tuple(found)

    def replacements(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return, for the words of a list that stand for another one, (that word in lower case, what to write).

        ``guests (not customers)``, ``guests instead of customers`` and ``{"use": "guests", "instead_of": "customers"}``
        are read.
        """
        value = self.values.get(name)
        entries = value if isinstance(value, list) else list(value.items()) if isinstance(value, dict) else []
        if not entries:
            self.texts(name)  # it reports a value of another type
        pairs = map(_replacement, entries)
        return tuple({word.casefold(): better for better, instead in pairs for word in instead if better}.items())

    def prose(self, name: str) -> str:
        """Return a text of any shape as one."""
        try:
            return inline(self.values.get(name))[:_MAX_PROSE]
        except NestedTooDeeplyError:
            self._dropped(name, "something less deeply nested")
            return ""

    def flag(self, name: str) -> bool:
        """Return a yes or no; a missing one is no."""
        value = self.values.get(name)
        word = label(value).lower()
        if word not in _TRUE | _FALSE and not is_empty(value):
            self._dropped(name, "true or false")
        return word in _TRUE

    def _dropped(self, name: str, expected: str, *, partly: bool = False) -> None:
        what = "partly ignored" if partly else "ignored"
        message = f"{self.path}: {name} should be {expected}; it is {what}."
        remedy = f"Correct {name} in {self.path}."
        self.findings.append(Finding("profile-value", Severity.WARNING, message, remedy, path=self.path))


_NOT = re.compile(
    r"\s*(?:\(\s*)?(?:,\s*)?(?:\bnot\b|\binstead of\b|\brather than\b|\bstatt\b|\bnicht\b|≠)\s*(.+?)\)?\s*$",
    re.IGNORECASE,
)


def _replacement(entry: object) -> tuple[str, list[str]]:
    """Return a word to prefer and the words it stands for."""
    if isinstance(entry, tuple):  # a member of {"customers": "guests"}
        return (label(entry[1]), [str(entry[0])]) if label(entry[1]) else (str(entry[0]), [])
    if isinstance(entry, dict):
        fields = fields_of(entry)
        better = next(
            (text for key in ("use", "prefer", "say", "word", "this", "better") if (text := label(fields.get(key)))), ""
        )
        keys = ("instead_of", "not", "avoid", "replaces", "over")
        return better or label_of(entry), [word for key in keys for word in labels(fields.get(key))]
    text = label(entry)
    match = _NOT.search(text)
    if match is None:
        return text, []
    return text[: match.start()].strip(" \"'“”"), [word.strip(" \"'“”") for word in re.split(r",|\bor\b", match[1])]


_PAGES = frozenset({".md", ".markdown", ".mdown", ".mdx", ".txt", ".html", ".htm"})
_VALUES = frozenset({".json", ".json5", ".jsonc", ".yaml", ".yml", ".toml"})
_TABLES = frozenset({".csv", ".tsv"})
_MAX_FOLDERS = 3
_ABOUT_RESTRICTIONS = (
    *(
        "restriction",
        "banned",
        "forbidden",
        "blacklist",
        "verbot",
        "interdi",
        "prohibid",
        "proibid",
        "vietat",
        "verboden",
    ),
    *("zakazan", "запрещ", "禁止", "禁用", "ngワード", "금지"),
)
_MAX_GUIDELINES = 200


@dataclass(frozen=True, slots=True)
class BrandContext:
    """A brand as its own files describe it. Texts are as written there; a missing value is "" or ().

    Attributes:
        industry: The primary industry.
        competitors: Names, from the profile and from competitors.json.
        avoid_words: What the brand's voice and guidelines avoid; a matter of taste, unlike ``banned_words``.
        banned_words / restricted_claims: From the guidelines.
        preferred: (word in lower case, what to write instead), if the brand says so.
        languages: ISO 639-1 codes, the primary first; if the profile names none, those of its markets.
        date_order: ``dmy`` or ``mdy`` if it is known how the brand writes "03/04/2026", else "".
        findings: What was wrong with the files this was read from.
        fingerprint: Hex digest of everything above but the findings: another value means tags or flags may differ.
    """

    slug: str
    name: str
    industry: str = ""
    regulated: bool = False
    regulation_codes: tuple[str, ...] = ()
    compliance_notes: str = ""
    target_markets: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()
    avoid_words: tuple[str, ...] = ()
    preferred: tuple[tuple[str, str], ...] = ()
    banned_words: tuple[str, ...] = ()
    restricted_claims: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    date_order: str = ""
    findings: tuple[Finding, ...] = ()
    fingerprint: str = ""


def load_context(home: Home, slug: str, limits: Limits) -> BrandContext:
    """Return the context of the brand ``slug``; files that are missing or broken leave their part at its defaults.

    Raises:
        BrandNotFoundError, HomeError: See ``Home.brand_dir``.
    """
    reader = _Reader(home, slug, limits)
    profile = reader.profile()
    restrictions = reader.restrictions()
    context = _from_profile(slug, profile)
    banned = {word.casefold() for word in restrictions.banned_words}
    avoided = dict.fromkeys((*context.avoid_words, *restrictions.avoid_words))
    context = replace(
        context,
        competitors=tuple(dict.fromkeys((*profile.texts("competitors"), *reader.competitors()))),
        avoid_words=tuple(word for word in avoided if word.casefold() not in banned),
        banned_words=restrictions.banned_words,
        restricted_claims=restrictions.restricted_claims,
        preferred=tuple(dict((*context.preferred, *restrictions.preferred)).items()),
    )
    # The findings are still at their default here: what was wrong with a file changes no item.
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    fingerprint = hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return replace(context, findings=(*reader.findings, *profile.findings), fingerprint=fingerprint)


def _from_profile(slug: str, profile: Profile) -> BrandContext:
    industry = profile.group("industry", main="primary")
    voice = profile.group("brand_voice")
    markets = profile.texts("target_markets")
    language = profile.group("language", main="primary_language")
    kinds = ("primary_language", "secondary_languages", "content_languages")
    names = [name for kind in kinds for name in language.texts(kind)]
    return BrandContext(
        slug=slug,
        name=profile.text("brand_name") or slug,
        industry=industry.text("primary"),
        regulated=industry.flag("regulated"),
        regulation_codes=industry.texts("regulation_codes"),
        compliance_notes=industry.prose("compliance_notes"),
        target_markets=markets,
        avoid_words=voice.texts("avoid_words"),
        preferred=voice.replacements("prefer_words"),
        languages=language_codes(names) or languages_of_markets(markets),
        date_order=_date_order(language, markets),
    )


def _date_order(language: Profile, markets: tuple[str, ...]) -> str:
    """Return how the brand writes days and months: as its profile says, else as its one market does."""
    written = language.group("locale_formatting", main="date_format").text("date_format").lower()
    day, month = written.find("d"), written.find("m")
    if day >= 0 and month >= 0:
        return "dmy" if day < month else "mdy"
    orders = {is_month_first(market) for market in markets}
    known = orders.pop() if len(orders) == 1 else None
    return "" if known is None else "mdy" if known else "dmy"


def _in_tables(text: str) -> Restrictions:
    from dm_memory.brand.formats.tables import read_tables  # noqa: PLC0415  # only for such a file

    found = Restrictions()
    for _before, header, rows in read_tables(text):
        found = found.joined(restrictions_in_table(header, rows))
    return found


class _Reader:
    """Reads the files behind a context and keeps what was wrong with them."""

    def __init__(self, home: Home, slug: str, limits: Limits) -> None:
        self._home = home
        self._folder = home.brand_dir(slug)
        self._limits = limits
        self.findings: list[Finding] = []

    def profile(self) -> Profile:
        """Return the profile, empty if there is none to use."""
        remedy = "Complete the profile with the marketing plugin; until then industry and market tags are missing."
        if not os.path.lexists(self._folder / "profile.json"):
            self._defaults("The brand has no profile.json; defaults are used.", remedy)
            return Profile({}, "profile.json", [])
        try:
            document = self._document("profile.json", SourceKind.PROFILE)
        except BrandFileError as error:
            self._defaults(f"{error.problem} Defaults are used.", error.remedy)
            return Profile({}, "profile.json", [])
        if not isinstance(document, dict):
            self._defaults("profile.json contains no object; defaults are used.", remedy)
            return Profile({}, "profile.json", [])
        return Profile(fields_of(document), "profile.json", [])

    def competitors(self) -> tuple[str, ...]:
        """Return the names in competitors.json."""
        document: object = None
        if os.path.lexists(self._folder / "competitors.json"):
            try:
                document = self._document("competitors.json", SourceKind.COMPETITORS)
            except BrandFileError as error:
                self.findings.append(replace(error.finding, severity=Severity.WARNING))
        if isinstance(document, dict):
            inner = next((value for value in document.values() if isinstance(value, list)), None)
            document = inner if inner is not None else list(document)
        return Profile({"competitors": document}, "competitors.json", self.findings).texts("competitors")

    def restrictions(self) -> Restrictions:
        """Return what the guidelines forbid: restrictions.md, and lists of words in the others."""
        found = Restrictions()
        for path in self._guidelines():
            name = PurePosixPath(path).stem.casefold()
            about = any(word in name for word in _ABOUT_RESTRICTIONS)
            try:
                own = self._restrictions_in(path, about=about)
            except BrandFileError as error:
                if about:
                    self.findings.append(error.finding)
                continue
            if about and own is not None and not own:
                message = f"{path} names no word or claim that could be understood; nothing is checked against it."
                headings = "“Banned words” or “Restricted claims”"
                remedy = f"List the words as bullets or in a table below a heading such as {headings}."
                self.findings.append(Finding("restrictions-not-understood", Severity.WARNING, message, remedy, path))
            found = found.joined(own or Restrictions())
        return found

    def _guidelines(self) -> list[str]:
        found: list[str] = []
        folders = ["guidelines"]
        for folder in folders:  # which grows
            try:
                with os.scandir(self._folder / folder) as listed:
                    entries = [entry for entry in listed if entry.name[0] not in "._~"]
            except OSError:
                continue
            found += [f"{folder}/{entry.name}" for entry in entries]
            deeper = folder.count("/") < _MAX_FOLDERS
            folders += [f"{folder}/{entry.name}" for entry in entries if deeper and entry.is_dir(follow_symlinks=False)]
        known = _PAGES | _VALUES | _TABLES
        readable = sorted(path for path in found if PurePosixPath(path).suffix.lower() in known and path.isprintable())
        return readable[:_MAX_GUIDELINES]

    def _restrictions_in(self, path: str, *, about: bool) -> Restrictions | None:
        """Return what one guideline forbids, or None for an empty one."""
        data = read_brand_file(self._folder, path, self._limits)
        file = SourceFile(path, SourceKind.GUIDELINE)
        default = "banned" if about else ""
        if file.suffix in _VALUES:
            return restrictions_in_value(read_document(file, data).value, default) if about else None
        if file.suffix in _TABLES:
            return _in_tables(decode_text(data)) if about else None
        page = read_page(file, data)
        said = restrictions_in_value(page.front) if page.front else Restrictions()
        if not page.text.strip():
            return said or None
        return read_restrictions(page.sections(), whole_file=about, default=default).joined(said)

    def _document(self, relative: str, kind: SourceKind) -> object:
        """Return a file's value; what was repaired in it is reported by its own reading as a source."""
        return read_document(SourceFile(relative, kind), read_brand_file(self._folder, relative, self._limits)).value

    def _defaults(self, message: str, remedy: str) -> None:
        self.findings.append(Finding("profile-defaults", Severity.WARNING, message, remedy, path="profile.json"))
