"""Figures in the texts of campaigns and snapshots, as ``brand/campaigns.py`` and ``brand/performance.py`` write them.

``Open rate: 51 percent`` on a line of its own; ``signups: 438, spend: 7,900 euros`` within one; and, nested one level,
``email (signups: 251), podcast (signups: 53)``. What does not read like that is left to the entry's own statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Figure", "figures_in", "groups_in", "lines_of", "measured", "metrics_named", "more_is_better", "quantity"]

_MAX_NAME = 60
_MAX_VALUE = 80

_MAX_MEASURE = 40
_DIGIT = re.compile(r"\d")

_NEXT_NAME = re.compile(r"[,;] (?=[^,;:()]{1,60}(?:: | \())")
"""A comma before another ``name: value``; commas inside a value (``7,900 euros``) have no name behind them."""

_BRACKETS = re.compile(r"[()]")
_GROUP = re.compile(r"(?:^|[,;] )([^,;:()]{1,60}) \(([^()]*)\)")
_NUMBER = re.compile(r"[^\w.,-]*(-?\d[\d,.]*)\s*(.*)", re.DOTALL)
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")


class Figure(NamedTuple):
    """A named value: ``("signups", "438")``."""

    name: str
    value: str


def lines_of(text: str) -> dict[str, str]:
    """Return the lines ``Name: value`` of a text by their names; of two with one name the first."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(": ")
        if colon and len(name) <= _MAX_NAME:
            found.setdefault(name, value.strip())
    return found


def figures_in(line: str) -> list[Figure]:
    """Return the figures of a line ``name: value, name: value``; what is nested or wordy is left out."""
    parts = (part.partition(": ") for part in _NEXT_NAME.split(line))
    return [Figure(name.strip(), value.strip()) for name, _, value in parts if _is_figure(name, value)]


def _is_figure(name: str, value: str) -> bool:
    return 0 < len(value) <= _MAX_VALUE and ": " not in value and not _BRACKETS.search(name + value)


def groups_in(line: str) -> Iterator[tuple[str, list[Figure]]]:
    """Yield (name, figures) of each group in a line ``name (name: value, ...), ...``."""
    for match in _GROUP.finditer(line):
        if figures := figures_in(match[2]):
            yield match[1].strip(), figures


def measured(text: str) -> list[Figure]:
    """Return the figures in lines of their own, names in lower case; prose that happens to hold a colon is none."""
    return [
        Figure(name.lower(), value)
        for name, value in lines_of(text).items()
        if len(value) <= _MAX_MEASURE and not _DIGIT.search(name) and quantity(value) is not None
    ]


def quantity(value: str) -> tuple[float, str] | None:
    """Return the number and the unit of ``7,900 euros`` or ``6.8 percent``; None where there is no plain number.

    A comma before exactly three digits separates thousands, any other one decimals.
    """
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    digits = _THOUSANDS.sub("", match[1].rstrip(".,")).replace(",", ".")
    try:
        return float(digits), match[2].strip()
    except ValueError:  # several points: a date, a version
        return None


_GROWING = frozenset(
    {
        *("signup", "signups", "conversion", "conversions", "revenue", "sales", "orders", "clicks", "ctr", "opens"),
        *("roas", "roi", "leads", "subscribers", "saves", "downloads", "installs", "registrations", "bookings"),
        *("views", "shares", "replies", "purchases", "visits", "trials", "demos", "followers", "engagement"),
    }
)
_RATES = frozenset({"open", "click", "conversion", "engagement", "reply", "retention", "through", "completion"})


def more_is_better(metric: str) -> bool:
    """Tell whether the larger figure is beyond doubt the better one: signups are, costs per signup are not."""
    words = metric.casefold().replace("-", " ").replace("_", " ").split()
    if not words or "per" in words:
        return False
    if words[-1] == "rate":
        return len(words) > 1 and words[-2] in _RATES
    return words[-1] in _GROWING and not words[0].startswith(("lost", "cost", "un"))


_METRICS: Sequence[str] = (
    *("open rate", "click rate", "click-through rate", "conversion rate", "bounce rate", "unsubscribe rate"),
    *("engagement rate", "retention rate", "churn", "cost per click", "cost per lead", "cost per acquisition"),
    *("cost per signup", "average order value", "lifetime value", "return on ad spend", "roas", "customer acquisition"),
)
_METRIC_PATTERNS = {name: re.compile(rf"(?<!\w){re.escape(name)}s?(?!\w)") for name in _METRICS}


def metrics_named(folded: str) -> list[str]:
    """Return the metrics a text names, in our order; ``folded`` is the text in lower case."""
    return [name for name in _METRICS if name in folded and _METRIC_PATTERNS[name].search(folded)]
