"""Rows for caches."""

from __future__ import annotations

from dm_memory.cache.records import Page, Record, Watermark
from dm_memory.services.turso.schema import Table

__all__ = ["embedding", "embeddings", "episode", "episodes", "page"]


def episode(number: int, text: str = "") -> Record:
    """Return an episode; higher numbers were recorded later, and come earlier in the order of keys."""
    return Record(f"episode-{9999 - number:04}", f"{text or 'text'} {number}".encode() * 40, number)


def episodes(*numbers: int) -> Page:
    """Return a page of episodes."""
    return Page({Table.EPISODES: [episode(number) for number in numbers]})


def embedding(number: int, chunk: int = 0) -> Record:
    """Return an embedding of the episode with that number."""
    return Record(f"vector-{number}-{chunk}", bytes(64), 0, episode(number).key)


def embeddings(*numbers: int) -> Page:
    """Return a page of embeddings, two for each episode."""
    return Page({Table.EMBEDDINGS: [embedding(number, chunk) for number in numbers for chunk in (0, 1)]})


def page(*numbers: int, stream: str = "episodes") -> Page:
    """Return a page of episodes that moves a watermark to the last."""
    records = [episode(number) for number in numbers]
    return Page({Table.EPISODES: records}, {}, {stream: Watermark(records[-1].recorded_at, records[-1].key)})
