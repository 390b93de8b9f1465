"""What a person should know before using a text: words not to use, claims, regulation, markets with privacy laws.

A reminder, not legal advice: a flagged text is stored as it is. What a profile's compliance notes put in quotes is
looked for like the words that touch what regulates the brand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dm_memory.findings import Finding, Severity
from dm_memory.text.markets import laws_of
from dm_memory.text.tags import TaggingContext
from dm_memory.text.terms import Term, TermIndex, Words

__all__ = ["FLAGS_VERSION", "Flag", "Flags", "compliance_note"]

_HEALTH = (
    *(
        "cure",
        "cures",
        "heals",
        "clinically proven",
        "medically proven",
        "prevents disease",
        "treats",
        "detox",
        "detoxifies",
    ),
    *(
        "boosts immunity",
        "boosts your immune system",
        "weight loss",
        "burns fat",
        "no side effects",
        "risk-free treatment",
    ),
    *("heilt", "klinisch getestet", "klinisch bewiesen", "stärkt das immunsystem", "guérit", "cliniquement prouvé"),
    *("clínicamente probado", "clinicamente testato", "geneest", "klinisch bewezen"),
)
_FINANCE = (
    *("guaranteed return", "guaranteed returns", "risk-free", "no risk", "guaranteed profit", "double your money"),
    *("get rich", "can't lose", "secure investment", "guaranteed approval", "garantierte rendite", "ohne risiko"),
    *("rendement garanti", "sans risque", "rentabilidad garantizada", "sin riesgo", "rendimento garantito"),
)
_CHILDREN = ("children under 13", "kids under 13", "ask your parents", "minors", "minderjährige")
_ALCOHOL = ("drink more", "get drunk", "hangover-free", "healthy drinking", "drinking responsibly")
_GAMBLING = ("sure win", "guaranteed win", "easy money", "risk-free bet", "free bet")
_GREEN = (
    *(
        "carbon neutral",
        "climate neutral",
        "climate positive",
        "net zero",
        "100% sustainable",
        "eco-friendly",
        "green product",
    ),
    *("klimaneutral", "co2-neutral", "umweltfreundlich", "neutre en carbone", "neutro en carbono", "klimaatneutraal"),
)
_PATIENTS = ("patient record", "patient records", "patient data", "medical record", "diagnosis of", "patient story")

_SUBJECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"fda|ftc|efsa|ema|hwg|mhra|lmiv|1924|health|dietary|dshea|lfgb|ansm|aemps|swissmedic|tga|medic|pharma|heilmittel",
        _HEALTH,
    ),
    (
        r"finra|\bsec\b|fca|mifid|bafin|esma|finma|amf|consob|cnmv|cfpb|tila|udaap|reg ?[zbe]\b|financ|asic|sfdr",
        _FINANCE,
    ),
    (r"coppa|child|kids|minor|jugend", _CHILDREN),
    (r"alcohol|ttb|alkohol|portman|liquor|wine|beer", _ALCOHOL),
    (r"gambl|ukgc|mga|glücksspiel|betting|wett", _GAMBLING),
    (r"green|environment|uwg|eco|sustainab|csrd|umwelt|empco", _GREEN),
    (r"hipaa|patient|phi\b", _PATIENTS),
)
_QUOTED = re.compile(r"[\"\u201c\u201e\u00ab]([^\"\u201c\u201d\u201e\u00ab\u00bb]{3,60})[\"\u201d\u201c\u00bb]")


def _regulated_terms(codes: Iterable[str], notes: str) -> dict[str, str]:
    """Return the words to look for, each with the regulation (or the profile's notes) that it touches."""
    found: dict[str, str] = {}
    for code in codes:
        found[code] = code
        for pattern, words in _SUBJECTS:
            if re.search(pattern, code.casefold()):
                found.update({word: code for word in words if word not in found})
    found.update({phrase.strip(): "the brand's compliance notes" for phrase in _QUOTED.findall(notes)})
    return found


FLAGS_VERSION = 2

_WHAT = {
    "banned-word": ("the banned word", "Leave the word out when you reuse this text; it was stored as it is."),
    "restricted-claim": ("the restricted claim", "Have the claim approved before you reuse this text; it was stored."),
    "avoided-word": ("the word to avoid", "Choose another word when you reuse this text; it was stored as it is."),
    "regulated": ("the regulated term", "Have it checked before you reuse this text; it was stored as it is."),
}
_MAX_NOTES = 300


@dataclass(frozen=True, slots=True)
class Flag:
    """One word or claim found in a text that a person should look at.

    Attributes:
        code: ``banned-word``, ``restricted-claim``, ``avoided-word`` or ``regulated``.
        word: As the brand's guidelines or profile write it.
        better: What to write instead, if the brand says so.
        rule: The regulation that is touched.
    """

    code: str
    word: str
    better: str = ""
    rule: str = ""

    @property
    def label(self) -> str:
        """How the flag stands in an item's facts."""
        return f"{self.code}:{self.word}"


class Flags:
    """Finds what a brand bans, restricts or avoids, and what its regulation is about: whole words, in any case."""

    def __init__(self, context: TaggingContext) -> None:
        better = dict(context.preferred)
        taken: set[str] = set()
        flags: list[Flag] = []
        avoided = (*context.avoid_words, *better)
        for code, words in (
            ("banned-word", context.banned_words),
            ("restricted-claim", context.restricted_claims),
            ("avoided-word", avoided),
        ):
            flags += [
                Flag(code, word, better.get(word.casefold(), "")) for word in words if word.casefold() not in taken
            ]
            taken |= {word.casefold() for word in words}
        if context.regulated or context.regulation_codes:
            terms = _regulated_terms(context.regulation_codes, context.compliance_notes)
            flags += [
                Flag("regulated", word, rule=rule) for word, rule in terms.items() if word.casefold() not in taken
            ]
        self._flags = {flag.label: flag for flag in flags}
        self._index = TermIndex(Term(flag.word, flag.label, exact_case=_is_code(flag)) for flag in flags)

    def find(self, text: str, words: Words) -> tuple[Flag, ...]:
        """Return the flags of ``text``, in a stable order; ``words`` are ``words_of(text)``."""
        found = self._index.find(text, words)
        return tuple(self._flags[label] for label in sorted(found)) if found else ()

    @staticmethod
    def findings(flags: tuple[Flag, ...], key: str) -> tuple[Finding, ...]:
        """Return one warning for each flag, for the item ``key``."""
        return tuple(_finding(flag, key) for flag in flags)


def _is_code(flag: Flag) -> bool:
    """Return whether a regulation is named by capitals that in lower case are a word: SEC, EMA."""
    return flag.code == "regulated" and flag.word.isascii() and flag.word.isupper()


def _finding(flag: Flag, key: str) -> Finding:
    what, remedy = _WHAT[flag.code]
    if flag.better:
        remedy = f'Write "{flag.better}" instead when you reuse this text; it was stored as it is.'
    rule = f" ({flag.rule})" if flag.rule and flag.rule != flag.word else ""
    message = f'The text contains {what} "{flag.word}"{rule}.'
    return Finding(flag.code, Severity.WARNING, message, remedy, key=key)


def compliance_note(context: TaggingContext) -> str:
    """Return what applies to the brand: its regulation, and the privacy laws of its target markets; "" for nothing."""
    named: dict[str, list[str]] = {}
    for market in context.target_markets:
        for law in laws_of(market):
            named.setdefault(law, []).append(market)
    parts = []
    if named:
        laws = "; ".join(f"{law} ({', '.join(dict.fromkeys(markets))})" for law, markets in named.items())
        parts.append(
            f"Privacy laws apply in this brand's target markets: {laws}; keep personal data out of what is remembered."
        )
    if context.regulation_codes:
        parts.append(f"The brand is regulated: {', '.join(context.regulation_codes)}.")
    elif context.regulated:
        parts.append("The brand is regulated.")
    if notes := " ".join(context.compliance_notes.split()):
        notes = notes if len(notes) <= _MAX_NOTES else f"{notes[:_MAX_NOTES].rsplit(' ', 1)[0]} …"
        parts.append(f"Compliance notes: {notes}{'' if notes.endswith(('.', '…')) else '.'}")
    return " ".join(parts)
