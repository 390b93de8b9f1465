"""What a sync knows about a brand beside its items: profile, competitors, restrictions, operating procedures.

A profile is written by an assistant and edited by hand: any value may have the wrong type. What can be understood is
used, what can't is reported and left out; a sync never stops for its context.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields, replace

import orjson

from dm_memory.brand.files import BrandFileError, Limits, parse_json, read_brand_file, read_inside
from dm_memory.brand.guidelines import Restrictions, parse_restrictions
from dm_memory.brand.home import Home
from dm_memory.brand.profile import Profile
from dm_memory.brand.text import labels
from dm_memory.findings import Finding, Severity

__all__ = ["BrandContext", "load_context"]

_RESTRICTIONS = "guidelines/restrictions.md"


@dataclass(frozen=True, slots=True)
class BrandContext:
    """A brand as its own files describe it. Texts are as written there; a missing value is "" or ().

    Attributes:
        industry: The primary industry.
        competitors: Names, from the profile and from competitors.json.
        goals: One readable text per goal.
        avoid_words: What the brand's voice avoids; a matter of taste, unlike ``banned_words``.
        banned_words / restricted_claims: From guidelines/restrictions.md.
        sop_names: The agency's operating procedures.
        findings: What was wrong with the files this was read from.
        fingerprint: Hex digest of everything above but the findings: another value means tags or flags may differ.
    """

    slug: str
    name: str
    industry: str = ""
    industry_secondary: tuple[str, ...] = ()
    regulated: bool = False
    regulation_codes: tuple[str, ...] = ()
    compliance_notes: str = ""
    target_markets: tuple[str, ...] = ()
    channels_active: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    tone_keywords: tuple[str, ...] = ()
    avoid_words: tuple[str, ...] = ()
    prefer_words: tuple[str, ...] = ()
    banned_words: tuple[str, ...] = ()
    restricted_claims: tuple[str, ...] = ()
    sop_names: tuple[str, ...] = ()
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
    context = replace(
        _from_profile(slug, profile),
        competitors=tuple(dict.fromkeys((*profile.texts("competitors"), *reader.competitors()))),
        banned_words=restrictions.banned_words,
        restricted_claims=restrictions.restricted_claims,
        sop_names=reader.sop_names(),
    )
    context = replace(context, findings=(*reader.findings, *profile.findings))
    return replace(context, fingerprint=_fingerprint(context))


def _from_profile(slug: str, profile: Profile) -> BrandContext:
    industry = profile.group("industry", main="primary")
    voice = profile.group("brand_voice")
    return BrandContext(
        slug=slug,
        name=profile.text("brand_name") or slug,
        industry=industry.text("primary"),
        industry_secondary=industry.texts("secondary"),
        regulated=industry.flag("regulated"),
        regulation_codes=industry.texts("regulation_codes"),
        compliance_notes=industry.prose("compliance_notes"),
        target_markets=profile.texts("target_markets"),
        channels_active=profile.group("channels", main="active").texts("active"),
        goals=profile.statements("goals"),
        tone_keywords=voice.texts("tone_keywords"),
        avoid_words=voice.texts("avoid_words"),
        prefer_words=voice.texts("prefer_words"),
    )


def _fingerprint(context: BrandContext) -> str:
    left_out = {"findings", "fingerprint"}
    values = {field.name: getattr(context, field.name) for field in fields(context) if field.name not in left_out}
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _Reader:
    """Reads the files behind a context and keeps what was wrong with them."""

    def __init__(self, home: Home, slug: str, limits: Limits) -> None:
        self._home = home
        self._folder = home.brand_dir(slug)
        self._limits = limits
        self.findings: list[Finding] = []

    def profile(self) -> Profile:
        """Return the profile, empty where there is none to use."""
        remedy = "Complete the profile with the marketing plugin; until then industry and market tags are missing."
        if not os.path.lexists(self._folder / "profile.json"):
            self._defaults("The brand has no profile.json; defaults are used.", remedy)
            return Profile({}, "profile.json", [])
        try:
            data = read_brand_file(self._folder, "profile.json", self._limits)
            document = parse_json(data, "profile.json")
        except BrandFileError as error:
            self._defaults(f"{error.problem} Defaults are used.", error.remedy)
            document = {}
        if not isinstance(document, dict):
            self._defaults("profile.json holds no object; defaults are used.", remedy)
            document = {}
        return Profile(document, "profile.json", [])

    def competitors(self) -> tuple[str, ...]:
        """Return the names in competitors.json."""
        document = self._optional_json("competitors.json")
        return Profile({"competitors": document}, "competitors.json", self.findings).texts("competitors")

    def restrictions(self) -> Restrictions:
        """Return what guidelines/restrictions.md forbids."""
        if not os.path.lexists(self._folder / _RESTRICTIONS):
            return Restrictions()
        try:
            return parse_restrictions(read_brand_file(self._folder, _RESTRICTIONS, self._limits))
        except BrandFileError as error:
            self.findings.append(error.finding)
            return Restrictions()

    def sop_names(self) -> tuple[str, ...]:
        """Return the names of the operating procedures: those of the manifest, else of the files."""
        folder = self._home.root / "sops"
        try:
            document = parse_json(read_inside(self._home.root, folder, "_manifest.json", self._limits))
        except BrandFileError:
            document = None  # the files themselves are as good
        if isinstance(document, dict):
            document = next((value for value in document.values() if isinstance(value, list)), None)
        if isinstance(document, list) and (names := labels(document)):
            return tuple(names)
        try:
            found = sorted(path.stem for path in folder.iterdir() if path.suffix == ".md" and path.name[0] not in "._")
        except OSError:
            return ()
        return tuple(stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for stem in found)

    def _optional_json(self, relative: str) -> object:
        if not os.path.lexists(self._folder / relative):
            return None
        try:
            return parse_json(read_brand_file(self._folder, relative, self._limits), relative)
        except BrandFileError as error:
            self.findings.append(replace(error.finding, severity=Severity.WARNING))
            return None

    def _defaults(self, message: str, remedy: str) -> None:
        self.findings.append(Finding("profile-defaults", Severity.WARNING, message, remedy, path="profile.json"))
