"""What a person should know before using a text: banned words, restricted claims, markets with privacy laws."""

from __future__ import annotations

from dataclasses import dataclass

from dm_memory.findings import Finding, Severity
from dm_memory.text.markets import laws_of
from dm_memory.text.tags import TaggingContext
from dm_memory.text.terms import Term, TermIndex, Words

__all__ = ["FLAGS_VERSION", "Flag", "Flags", "compliance_note"]

FLAGS_VERSION = 1

_WHAT = {
    "banned-word": ("the banned word", "Leave the word out when you reuse this text; it was stored as it is."),
    "restricted-claim": ("the restricted claim", "Have the claim approved before you reuse this text; it was stored."),
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One banned word or restricted claim found in a text.

    Attributes:
        code: ``banned-word`` or ``restricted-claim``.
        word: As the brand's guidelines write it.
    """

    code: str
    word: str

    @property
    def label(self) -> str:
        """How the flag stands in an item's facts."""
        return f"{self.code}:{self.word}"


class Flags:
    """Finds a brand's banned words and restricted claims, as whole words, in any case."""

    def __init__(self, context: TaggingContext) -> None:
        flags = [Flag("banned-word", word) for word in context.banned_words]
        flags += [Flag("restricted-claim", claim) for claim in context.restricted_claims]
        self._flags = {flag.label: flag for flag in flags}
        self._index = TermIndex(Term(flag.word, flag.label) for flag in flags)

    def find(self, text: str, words: Words) -> tuple[Flag, ...]:
        """Return what ``text`` holds, in a stable order; ``words`` are ``words_of(text)``."""
        found = self._index.find(text, words)
        return tuple(self._flags[label] for label in sorted(found)) if found else ()

    @staticmethod
    def findings(flags: tuple[Flag, ...], key: str) -> tuple[Finding, ...]:
        """Return one warning for each flag, for the item ``key``."""
        return tuple(_finding(flag, key) for flag in flags)


def _finding(flag: Flag, key: str) -> Finding:
    what, remedy = _WHAT[flag.code]
    message = f'The text contains {what} "{flag.word}".'
    return Finding(flag.code, Severity.WARNING, message, remedy, key=key)


def compliance_note(context: TaggingContext) -> str:
    """Return one sentence that names the privacy laws of the brand's target markets, or "" where none is known."""
    named: dict[str, list[str]] = {}
    for market in context.target_markets:
        for law in laws_of(market):
            named.setdefault(law, []).append(market)
    if not named:
        return ""
    laws = "; ".join(f"{law} ({', '.join(dict.fromkeys(markets))})" for law, markets in named.items())
    return f"Privacy laws apply in this brand's target markets: {laws}; keep personal data out of what is remembered."
