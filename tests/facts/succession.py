"""The order of the facts of a slot in plain Python: what the store and the graph databases have to match."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from dm_memory.facts.model import BEGINNING, Fact


def succession(facts: Iterable[Fact]) -> list[Fact]:
    """Return the facts of one slot in the order in which they were valid, each ended when the next one begins.

    A pure function of the set: the order given does not count. Facts of one moment are ordered by id, and all but the
    last of them were valid for no time. A fact that ended before its successor begins keeps its own end; one that was
    taken back (it ends when it begins) ends no other.

    Args:
        facts: With ``invalid_at`` only if their entry ceased to state them.
    """
    ordered = sorted(facts, key=lambda fact: (fact.valid_at, fact.id))
    valid = [fact for fact in ordered if not fact.invalid_at or fact.valid_at < fact.invalid_at]
    ends = {
        fact.id: min(end for end in (fact.invalid_at, later.valid_at or BEGINNING) if end)
        for fact, later in pairwise(valid)
    }
    return [replace(fact, invalid_at=ends[fact.id]) if fact.id in ends else fact for fact in ordered]
