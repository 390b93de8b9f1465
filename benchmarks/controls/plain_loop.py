"""The control of a first sync: a loop that parses, hashes and embeds a brand's texts and writes one SQLite transaction.

The transaction has what search needs, full text and vectors, and is on the disk when it is over; there is no guard, no
tag, no fact, no journal and nothing to compare with. The first line of its figures leaves out what loading the model
takes.

Usage: plain_loop.py HOME FILE
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import wordllama

from tests.support.brands import brand_texts

_SCHEMA = """
CREATE TABLE entries (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, content TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE vectors (seq INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(text);
"""


def store(brand: Path, file: Path, model: Any) -> int:  # noqa: ANN401  # wordllama ships no types
    """Store everything; return how many texts that were."""
    texts = list(brand_texts(brand, orjson.loads))
    hashes = [hashlib.sha256(text.encode()).hexdigest() for _, text in texts]
    vectors = model.embed([text for _, text in texts])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        with connection:
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                [
                    (seq, key, text, digest)
                    for seq, ((key, text), digest) in enumerate(zip(texts, hashes, strict=True), 1)
                ],
            )
            connection.executemany(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", [(seq, text) for seq, (_, text) in enumerate(texts, 1)]
            )
            connection.executemany(
                "INSERT INTO vectors VALUES (?, ?)", [(seq, row.tobytes()) for seq, row in enumerate(vectors, 1)]
            )
    return len(texts)


def main() -> None:
    """Store a brand and print the seconds, with and without loading the model."""
    brand, file = Path(sys.argv[1]) / "brands" / "acme", Path(sys.argv[2])
    begun = time.perf_counter()
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    loaded = time.perf_counter(), time.process_time()
    stored = store(brand, file, model)
    ended = time.perf_counter(), time.process_time()
    figures = {
        "seconds": ended[0] - loaded[0],
        "cpu": ended[1] - loaded[1],
        "with_model": ended[0] - begun,
        "stored": stored,
    }
    sys.stdout.buffer.write(orjson.dumps(figures))


main()
