"""What a new version of an entry changes in the facts that it states: a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dm_memory.facts.model import Fact, restarted

__all__ = ["Change", "Standing", "changes"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A stored fact of the entry.

    Attributes:
        fact: With ``invalid_at`` only where the entry ceased to state it.
        stated_at: Since when the entry said it holds; ``fact.valid_at`` is later where a change of the entry began it.
    """

    seq: int
    fact: Fact
    stated_at: str


@dataclass(frozen=True, slots=True)
class Change:
    """A fact as it is to be stored: in the place of row ``seq``, or as a new row where that is None."""

    seq: int | None
    fact: Fact
    stated_at: str


def changes(facts: Sequence[Fact], standing: Sequence[Standing], since: str, moment: str) -> list[Change]:
    """Return what to store so that an entry states ``facts`` from now on.

    What it still states keeps its validity; a date that was corrected is. What it no longer states ends at ``since``.
    What is new begins there, unless the entry gives it a date of its own, and never before what was stated in its slot
    has ended. What had ended and is stated again is taken up where it ended just then, else it is another fact.

    Args:
        facts: What the new version states.
        standing: What is stored of the entry, ended facts as well.
        since: When the change took effect.
        moment: The date of the new version.
    """
    known = {_statement(stood.fact): stood for stood in standing if not stood.fact.invalid_at}
    stated = {_statement(fact) for fact in facts}
    ending = [_ended(stood, since) for statement, stood in known.items() if statement not in stated]
    before = [stood for stood in standing if stood.fact.invalid_at] + ending
    made = [Change(stood.seq, stood.fact, stood.stated_at) for stood in ending]
    for fact in facts:
        stood = known.get(_statement(fact))
        if stood is None:
            made.append(_begun(fact, before, since if fact.valid_at == moment else fact.valid_at))
        else:
            made.append(_kept(fact, stood, before))
    return made


def _statement(fact: Fact) -> tuple[str, str]:
    return fact.slot, fact.text


def _ended(stood: Standing, since: str) -> Standing:
    return replace(stood, fact=replace(stood.fact, invalid_at=max(since, stood.fact.valid_at)))


def _kept(fact: Fact, stood: Standing, before: Iterable[Standing]) -> Change:
    start = stood.fact.valid_at
    if fact.valid_at != stood.stated_at and start == stood.stated_at:
        start = max(fact.valid_at, _last_end(fact, before))
    return Change(stood.seq, replace(fact, id=stood.fact.id, valid_at=start), fact.valid_at)


def _begun(fact: Fact, before: Sequence[Standing], since: str) -> Change:
    start = max(since, _last_end(fact, before))
    same = [stood for stood in before if _statement(stood.fact) == _statement(fact)]
    for stood in same:
        if start in {stood.fact.invalid_at, stood.fact.valid_at}:
            return Change(stood.seq, replace(fact, id=stood.fact.id, valid_at=stood.fact.valid_at), stood.stated_at)
    return Change(None, restarted(fact, start) if same else replace(fact, valid_at=start), fact.valid_at)


def _last_end(fact: Fact, before: Iterable[Standing]) -> str:
    """Return when the last fact that the entry stated in this slot ended; those that were taken back never held."""
    return max(
        (stood.fact.invalid_at for stood in before if stood.fact.slot == fact.slot and _has_held(stood.fact)),
        default="",
    )


def _has_held(fact: Fact) -> bool:
    return fact.valid_at < fact.invalid_at
