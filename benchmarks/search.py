"""Warm search beside FTS5's own BM25 with the same words and filter, in the same process and on the same memory.

Usage: uv run python benchmarks/search.py [--entries 10500 50000] [--folder FOLDER] [--rounds 1]

The texts are made up of words whose frequency falls with their rank, as in natural language. Every question is asked of
both, one after the other, so that a busy machine is busy for both; the figures are medians over all questions.
The control asks FTS5 for the 200 best rows by ``bm25``: once over a connection that stays open between questions (the
first ratio), once over one that is opened and closed for each, as search has to do it (the second ratio). The search is
the whole of ``Searcher.search``: opening the file, vectors, both scores, their sum, and the texts of ten hits.
``--rounds 2`` asks every question twice and counts the second time: a word of a text that was never compared before
costs its vector once. Behind each ratio stands the one of CPU time, which says more on a machine that others use as
well: search hands its work to a thread and waits to be woken, the control does not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import measure  # noqa: F401  # makes the tests importable

from dm_memory.embedding.models import make_embedder
from dm_memory.search.results import SearchRequest
from dm_memory.search.search import Searcher
from dm_memory.text.words import query_words
from tests.search.brands import BRAND, Text, store_texts

_WORDS_OF_TEXT = 25
_QUESTIONS = 40
_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu bra cle dri flo gru".split()  # noqa: SIM905  # read as a list
_CONTROL = "SELECT rowid, bm25(words) FROM words WHERE words MATCH ?{} ORDER BY rank LIMIT 200"
_TAGGED = " AND EXISTS (SELECT 1 FROM tags WHERE tag = ? AND seq = words.rowid AND removed = 0)"
_FILTERS = {"none": (), "1 %": ("one:hundredth",), "50 %": ("one:half",)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[10_500, 50_000])
    parser.add_argument("--folder", type=Path, default=None, help="where the memories are kept (default: temporary)")
    parser.add_argument("--embedder", default="wordllama")
    parser.add_argument("--rounds", type=int, default=1, help="times each question is asked; the last one counts")
    options = parser.parse_args()
    embedder = make_embedder(options.embedder)
    print("| entries | words | filter | search, ms | FTS5, open, ms | ratio (CPU) | FTS5, opened, ms | ratio (CPU) |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for entries in options.entries:
            memory_dir = (options.folder or Path(temporary)) / f"memory-{entries}"
            texts = _texts(entries)
            for start in range(0, 0 if memory_dir.exists() else entries, 5000):
                store_texts(memory_dir, texts[start : start + 5000], embedder)
            searcher = Searcher(embedder)
            for words in (3, 6, 10):
                for name, tags in _FILTERS.items():
                    asked = [question for _ in range(options.rounds) for question in _questions(texts, words)]
                    ours, *controls = _measured(searcher, memory_dir, asked, tags)
                    compared = "".join(f" {each.wall:.2f} | {ours.beside(each)} |" for each in controls)
                    print(f"| {entries:,} | {words} | {name} | {ours.wall:.2f} |{compared}", flush=True)


class _Milliseconds(NamedTuple):
    wall: float
    cpu: float

    def beside(self, control: _Milliseconds) -> str:
        return f"{self.wall / control.wall:.2f} ({self.cpu / control.cpu:.2f})"


def _texts(count: int) -> list[Text]:
    choose = random.Random(7)
    vocabulary = list(dict.fromkeys("".join(choose.choices(_SYLLABLES, k=choose.randint(2, 4))) for _ in range(30_000)))
    frequencies = [1 / (rank + 3) for rank in range(len(vocabulary))]
    words = choose.choices(vocabulary, frequencies, k=count * _WORDS_OF_TEXT)
    return [
        Text(
            f"session/{number}",
            " ".join(words[number * _WORDS_OF_TEXT : (number + 1) * _WORDS_OF_TEXT]),
            tags=("one:half",) * (number % 2) + ("one:hundredth",) * (number % 100 == 0),
            kind="session",
        )
        for number in range(count)
    ]


def _questions(texts: list[Text], words: int) -> list[str]:
    choose = random.Random(words)
    asked = (list(dict.fromkeys(choose.choice(texts).content.split())) for _ in range(_QUESTIONS))
    return [" ".join(choose.sample(each, min(words, len(each)))) for each in asked]


def _measured(searcher: Searcher, memory_dir: Path, questions: list[str], tags: tuple[str, ...]) -> list[_Milliseconds]:
    """Return the medians of a search, and of the control over an open and over an opened connection."""
    sql = _CONTROL.format(_TAGGED if tags else "")
    times: list[list[tuple[float, float]]] = [[], [], []]

    def mark() -> tuple[float, float]:
        return 1000 * time.perf_counter(), 1000 * time.process_time()

    def note(number: int, began: tuple[float, float]) -> None:
        wall, cpu = mark()
        times[number].append((wall - began[0], cpu - began[1]))

    async def ask() -> None:
        with closing(sqlite3.connect(memory_dir / "memory.db")) as connection:
            for asked in (questions[0], *questions):
                match = " OR ".join(f'"{word.forms[0]}"' for word in query_words(asked, ["en"]).words)
                began = mark()
                await searcher.search(memory_dir, BRAND, ["en"], SearchRequest(asked, tags=tags))
                note(0, began)
                began = mark()
                connection.execute(sql, (match, *tags)).fetchall()
                note(1, began)
                began = mark()
                with closing(sqlite3.connect(memory_dir / "memory.db")) as opened:
                    opened.execute(sql, (match, *tags)).fetchall()
                note(2, began)

    asyncio.run(ask())
    medians = [[statistics.median(side) for side in zip(*each[-_QUESTIONS:], strict=True)] for each in times]
    return [_Milliseconds(*each) for each in medians]


if __name__ == "__main__":
    main()
