"""Words by which a text touches what regulates a brand: health, finance, children, alcohol, gambling, nature.

A reminder, not legal advice: a flagged text is stored as it is. What the profile's notes put in quotes is looked for as
well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["regulated_terms"]

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


def regulated_terms(codes: Iterable[str], notes: str) -> dict[str, str]:
    """Return the words to look for, each with the regulation (or the profile's notes) that it touches."""
    found: dict[str, str] = {}
    for code in codes:
        found[code] = code
        for pattern, words in _SUBJECTS:
            if re.search(pattern, code.casefold()):
                found.update({word: code for word in words if word not in found})
    found.update({phrase.strip(): "the brand's compliance notes" for phrase in _QUOTED.findall(notes)})
    return found
