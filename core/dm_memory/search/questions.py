"""Questions that find an entry: made of its own words, asked, and kept only if it is among the first five answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dm_memory.search.results import SearchRequest
from dm_memory.store.candidates import seqs_of, texts
from dm_memory.store.database import read_store
from dm_memory.text.guard import MARKS
from dm_memory.text.words import language_of, query_words

if TYPE_CHECKING:
    from dm_memory.search.search import Searcher

__all__ = ["questions_for"]

_WANTED = 3
_AMONG_FIRST = 5
_SECONDS = 1.0
"""A question that is not asked by then is not asked at all."""

_READ_CHARS = 2000
_SHORTEST_WORD = 3
_PHRASE_CHARS = 40
_UNSPACED = frozenset({"ja", "zh", "ko", "th"})
_PHRASE_ENDS = re.compile(r"[\s.,;:!?\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]+")


async def questions_for(
    searcher: Searcher, memory_dir: Path, brand: str, languages: Sequence[str], key: str, said: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return up to three questions that find the entry with a key.

    Args:
        searcher: The one that people's questions are answered by.
        memory_dir: The brand's folder ``memory/``.
        brand: Its slug.
        languages: The brand's, the primary one first.
        key: Of an entry that is no duplicate.
        said: Words of the text that it was classified and tagged by.

    Raises:
        StoreError: The memory can't be read.
    """
    until = time.monotonic() + _SECONDS
    found: list[str] = []
    content = await asyncio.to_thread(_content, memory_dir, brand, key)
    for question in _candidates(content, said, tuple(languages) or ("en",)):
        if len(found) == _WANTED or time.monotonic() > until:
            break
        request = SearchRequest(question, limit=_AMONG_FIRST, include_retired=False)
        answer = await searcher.search(memory_dir, brand, languages, request)
        if any(hit.key == key for hit in answer.hits[:_AMONG_FIRST]):
            found.append(question)
    return tuple(found)


def _content(memory_dir: Path, brand: str, key: str) -> str:
    with read_store(memory_dir, brand) as store:
        seq = seqs_of(store.connection, keys=[key]).get(key) if store else None
        return texts(store.connection, [seq])[seq].content if store and seq is not None else ""


def _candidates(content: str, said: Sequence[str], languages: Sequence[str]) -> Iterator[str]:
    text = MARKS.sub(" ", content)[:_READ_CHARS]
    language = language_of(text, languages)
    if language in _UNSPACED:
        phrases = sorted(filter(None, dict.fromkeys(_PHRASE_ENDS.split(text))), key=lambda each: -len(each))
        yield from (phrase[:_PHRASE_CHARS] for phrase in phrases[:_WANTED])
        return
    words = [
        word.text
        for word in query_words(text, languages).words
        if len(word.text) >= _SHORTEST_WORD and not word.text.isdigit()
    ]
    telling = sorted(sorted(words, key=lambda word: -len(word))[:4], key=words.index)
    others = [word for word in telling if not any(word in each.casefold() for each in said)]
    choices = (words[:4], telling, [*said[:2], *others[:2]], words[-4:])
    for chosen in dict.fromkeys(tuple(dict.fromkeys(choice)) for choice in choices if choice):
        yield _asked(chosen) if language == "en" else " ".join(chosen)


def _asked(words: Sequence[str]) -> str:
    *head, last = words
    return f"What do we know about {', '.join(head)} and {last}?" if head else f"What do we know about {last}?"
