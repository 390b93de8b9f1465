"""A brand's memory made directly: texts, with vectors and words, as a sync stores them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dm_memory.embedding.batch import embedded
from dm_memory.embedding.protocol import Embedder
from dm_memory.items import storage_id
from dm_memory.store.database import open_store
from dm_memory.store.entries import EntryRow, Tag, insert_entries, put_tags, replace_entries
from dm_memory.store.indexes import Embedded, put_vectors, put_words, refresh_words, remove_words
from dm_memory.text.hashing import content_hash
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import analyse, language_of

BRAND = "ember-and-oak"


@dataclass(frozen=True, slots=True)
class Text:
    """An entry to store; ``key`` decides whether it is a new one."""

    key: str
    content: str
    recorded_at: str = "2026-08-01"
    kind: str = "insight"
    content_type: str = "campaign-learning"
    tags: tuple[str, ...] = ()
    priority: str = "normal"
    expires_at: str = ""
    state: str = "current"
    retired_at: str = ""


def store_texts(
    memory_dir: Path, texts: Sequence[Text], embedder: Embedder | None, languages: Sequence[str] = ("en",)
) -> dict[str, int]:
    """Store texts in one transaction; return their rows by key."""
    with closing(open_store(memory_dir, BRAND)) as store:
        known = dict(store.rows("SELECT key, seq FROM entries"))
        first = store.value("SELECT coalesce(max(seq), 0) + 1 FROM entries")
        seqs = known | {text.key: first + number for number, text in enumerate(t for t in texts if t.key not in known)}
        vectors = embedded(embedder, [text.content for text in texts]) if embedder else []
        model = embedder.spec.tag if embedder else ""
        with store.transaction() as connection:
            refresh_words(connection, languages)
            ticks = iter(store.ticks(len(texts) + sum(map(len, vectors))))
            rows = [_row(seqs[text.key], text, languages, model, next(ticks)) for text in texts]
            insert_entries(connection, [row for row in rows if row.key not in known])
            replace_entries(connection, [row for row in rows if row.key in known])
            remove_words(connection, [row.seq for row in rows if row.key in known])
            put_words(connection, [(row.seq, analyse(row.content, row.language)) for row in rows])
            put_tags(connection, {seqs[text.key]: [Tag(tag, "user") for tag in text.tags] for text in texts})
            put_vectors(
                connection,
                BRAND,
                [
                    (row.seq, row.id, row.content_hash, Embedded(model, chunks))
                    for row, chunks in zip(rows, vectors, strict=False)
                ],
                ticks,
            )
        return seqs


def _row(seq: int, text: Text, languages: Sequence[str], model: str, tick: int) -> EntryRow:
    digest = content_hash(text.content)
    return EntryRow(
        seq=seq,
        id=storage_id(BRAND, text.key),
        key=text.key,
        list_key="",
        kind=text.kind,
        content_type=text.content_type,
        type_origin="source",
        source="sync",
        content=text.content,
        content_hash=digest,
        metadata_hash="",
        facts="{}",
        recorded_at=text.recorded_at,
        day=day_of(text.recorded_at),
        created_at="2026-08-01T00:00:00.000Z",
        priority=text.priority,
        expires_at=text.expires_at,
        related="[]",
        version=1,
        updated_from="",
        state=text.state,
        retired_at=text.retired_at,
        duplicate_of=None,
        origin="",
        source_updated_at="",
        source_digest="",
        prepared_hash="",
        language=language_of(text.content, languages),
        author="",
        embedded=model,
        run=1,
        updated_at=tick,
    )
