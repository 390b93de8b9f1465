"""Payloads as Pinecone's records, which the official Pinecone MCP server's ``search-records`` reads.

A record is flat: ``_id``, the text under the name the index says, and the metadata beside it. A text that is cut into
chunks is one record each: ``id``, ``id#1``, ``id#2``, ...; ``chunk`` is the record's number, ``chunks`` says how many
there are if there is more than one. So a prefix lists an entry's records, and ``chunk == 0`` counts entries.

Numbers are 64-bit floating point in Pinecone; an integer that does not fit becomes text, digit by digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from dm_memory.embedding.batch import chunk
from dm_memory.errors import ServiceError
from dm_memory.items import Payload, Value
from dm_memory.services.entries import OURS, is_entry_id, metadata_of, payload_of
from dm_memory.services.faults import refused

__all__ = [
    "BATCH_BYTES",
    "BATCH_RECORDS",
    "TEXT_FIELD",
    "Embedding",
    "Entry",
    "IndexPlan",
    "Record",
    "batches",
    "chunks_of",
    "entry_of",
    "is_whole",
    "prepared",
    "record_id",
    "records_of",
    "restored",
]

Record = dict[str, Any]

BATCH_RECORDS = 96
"""Most records with text in one request: what the embedding models take at once."""

BATCH_BYTES = 2_000_000
"""Most bytes in one request."""

_RECORD_BYTES = 40_000
"""Most bytes of one record without its vector; Pinecone says 40 KB."""

_MOST_CHUNKS = 4096
_EXACT = 2**53
_MARK = "#"
_ESCAPE = "fact_"

_TAKEN = OURS | {"chunk", "chunks", "id", ""}


TEXT_FIELD = "text"
"""The field for the text in an index we make; any other index says its own."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """How an index is called, and how it is made if it is missing."""

    name: str
    model: str
    cloud: str
    region: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an index does with texts: the model, and the field it reads."""

    model: str
    field: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload's records, ready to be stored, and the bytes of each as JSON."""

    id: str
    records: Sequence[Record]
    sizes: Sequence[int]


def prepared(payloads: Iterable[Payload], field: str) -> tuple[list[Entry], dict[str, ServiceError]]:
    """Return the entries that can be stored, and by id why the others can't. ``field`` is the index's for the text."""
    entries: list[Entry] = []
    errors: dict[str, ServiceError] = {}
    for payload in payloads:
        try:
            entries.append(_entry(payload, field))
        except ServiceError as error:
            errors[payload.id] = error
    return entries, errors


def _entry(payload: Payload, field: str) -> Entry:
    if not is_entry_id(payload.id):
        raise refused("An entry's id is not a UUID.", "Report it: ids are made by dm-memory.")
    return records_of(payload, field, _pieces_of(payload.content))


def _pieces_of(text: str) -> list[str]:
    """Cut a text so that the embedding models, which read about 500 tokens, see all of it."""
    pieces = chunk(text)
    return pieces if len(pieces) == 1 else [part for piece in pieces for part in chunk(piece)]


def records_of(payload: Payload, field: str, pieces: Sequence[str]) -> Entry:
    """Return the records of a payload whose text is in pieces. Raises ``ServiceError``: it can't be stored."""
    metadata = _flat_metadata(payload, field)
    if len(pieces) == 1:
        record = {"_id": payload.id, field: pieces[0], **metadata, "chunk": 0}
        return Entry(payload.id, [record], [_size(record)])
    metadata["chunks"] = len(pieces)
    records = [
        {"_id": record_id(payload.id, number), field: piece, **metadata, "chunk": number}
        for number, piece in enumerate(pieces)
    ]
    return Entry(payload.id, records, [_size(record) for record in records])


def _size(record: Record) -> int:
    try:
        size = len(orjson.dumps(record))
    except TypeError as error:
        raise refused(
            "The entry contains an unpaired surrogate, which can't be stored.",
            "Correct the entry in its source and sync again.",
        ) from error
    if size > _RECORD_BYTES:
        raise refused(
            f"The entry's metadata has {size:,} bytes; Pinecone takes {_RECORD_BYTES:,}.",
            "Shorten its tags and facts in the source and sync again.",
            "metadata-size",
        )
    return size


def batches(entries: Iterable[Entry]) -> Iterator[list[Record]]:
    """Yield the records in requests of what one takes; an entry may go over several."""
    batch: list[Record] = []
    size = 0
    for entry in entries:
        for record, bytes_ in zip(entry.records, entry.sizes, strict=True):
            if len(batch) == BATCH_RECORDS or (batch and size + bytes_ > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += bytes_ + 1
    if batch:
        yield batch


# Ids -----------------------------------------------------------------------------------------------------------------


def record_id(entry_id: str, number: int) -> str:
    """Return the id of a chunk's record: the entry's own for chunk 0."""
    return entry_id if number == 0 else f"{entry_id}{_MARK}{number}"


def entry_of(record: str) -> str:
    """Return the id of the entry a record belongs to."""
    return record.partition(_MARK)[0]


def chunks_of(metadata: Mapping[str, Any] | None) -> int:
    """Return of how many records the entry is that a record belongs to."""
    total = (metadata or {}).get("chunks", 1)
    return min(int(total), _MOST_CHUNKS) if isinstance(total, (int, float)) and total >= 1 else 1


def is_whole(entry_id: str, stored: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether all chunks of an entry are among what is stored, of one text and one set of metadata."""
    first = stored.get(entry_id)
    if not first or not isinstance(first.get("hash"), str) or not isinstance(first.get("meta_hash"), str):
        return False
    wanted = (first["hash"], first["meta_hash"])
    rest = (stored.get(record_id(entry_id, number), {}) for number in range(1, chunks_of(first)))
    return all((part.get("hash"), part.get("meta_hash")) == wanted for part in rest)


# Metadata ------------------------------------------------------------------------------------------------------------


def _flat_metadata(payload: Payload, field: str) -> dict[str, Any]:
    """Return a payload's metadata as a record has it. Raises ``ServiceError``: a fact can't be stored."""
    facts = {_name(name, field): _value(name, value) for name, value in payload.facts.items()}
    if facts == payload.facts:  # nearly always; making another payload costs more than all the rest
        return metadata_of(payload)
    return metadata_of(replace(payload, facts=facts))


def restored(brand: str, field: str, entry_id: str, chunks: Sequence[Mapping[str, Any]]) -> Payload:
    """Return an entry as it was given to ``prepared``; ``chunks`` is the metadata of its records, in order.

    Whole numbers come back as integers, whether they had been or not: Pinecone does not tell them apart. Raises
    ``KeyError``: it is not an entry of ours.
    """
    made = payload_of(brand, entry_id, [{"document": part[field], "metadata": part} for part in chunks])
    facts = {
        name.removeprefix(_ESCAPE): int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in made.facts.items()
        if name not in {field, "chunk", "chunks"}
    }
    return replace(made, facts=facts, version=int(made.version))


@lru_cache(maxsize=1024)
def _name(name: str, field: str) -> str:
    """Return what a fact is called in a record: names that are ours or Pinecone's own are set apart."""
    taken = name in _TAKEN or name == field or name.startswith(("_", "$", _ESCAPE))
    return _ESCAPE + name if taken else name


def _value(name: str, value: Value) -> Value:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return list(value)
    raise refused(
        f"The fact {name!r} is neither text, number, truth value nor list of texts.",
        "Correct the entry in its source and sync again.",
    )
