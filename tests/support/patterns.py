"""All patterns of some entries at once; the store counts again those that a change concerns."""

from __future__ import annotations

from collections.abc import Iterable

from dm_memory.facts.patterns import Episode, PatternRow, Point, pattern_of, points_of

__all__ = ["find_patterns"]


def find_patterns(brand: str, episodes: Iterable[Episode]) -> list[PatternRow]:
    """Return the patterns of a brand, the most frequent first. The order of the entries does not count."""
    found: dict[str, list[Point]] = {}
    for episode in episodes:
        for point in points_of(brand, episode):
            found.setdefault(point.id, []).append(point)
    rows = [pattern_of(brand, points) for points in found.values()]
    return sorted(rows, key=lambda row: (-row.occurrence_count, row.text, row.id))
