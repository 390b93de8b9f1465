"""What search keeps of a brand in memory between two questions: its vectors, its filters, its most asked words.

Everything is keyed by the store's clock: the same moment has the same rows. A later one is read by its changed rows
alone. Words are read when a question first asks for them; their scores are BM25, computed here rather than by FTS5,
whose ``bm25`` gives a word of more than half of the entries no weight and costs several times as much (decision 0024).
"""

from __future__ import annotations

import math
import threading
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dm_memory.embedding.protocol import Embedder
from dm_memory.lazy import np
from dm_memory.search.scoring import profile_of
from dm_memory.store.candidates import (
    EntryFacts,
    Moment,
    all_seqs,
    entry_facts,
    later_changes,
    moment_of,
    occurrences,
    tagged,
    vectors_after,
    word_counts,
)
from dm_memory.text.authors import is_by
from dm_memory.text.timestamps import from_iso
from dm_memory.text.words import analyse, language_of

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["PRIORITIES", "BrandIndex", "Indexes", "Posting", "moment_when_over"]

MAX_BYTES = 256_000_000
"""Of all brands together; the ones asked longest ago go first."""

K1, B = 1.2, 0.75
"""BM25's constants, Lucene's and FTS5's: of those tried for decision 0024 none is better on every set."""

_SESSION_SECONDS = 1800
_SESSION_KINDS = frozenset({"insight", "session"})
_SHRINK = 10
"""A mean of few vectors says little about the direction that all share: it counts n / (n + this)."""

_SMALL = 1000
_MAX_CHANGED_SHARE = 0.2
"""From then on, and in a small brand always, all is read again: the mean that vectors are centred on has moved."""

_MAX_POSTINGS_BYTES = 32_000_000
_MAX_TAGS = 64
_MAX_TEXTS = 4000
PRIORITIES = {"low": 0, "normal": 1, "high": 2}


class Posting(NamedTuple):
    """The rows a word occurs in, and how often."""

    rows: Rows
    counts: Floats


class BrandIndex:
    """One brand's. Rows are numbered from 0.

    Methods take a connection that is in the read transaction of the search; one thread at a time (``lock``).
    """

    def __init__(self, model: str) -> None:
        self.lock = threading.Lock()
        self.model = model
        self.moment = Moment(-1, "")
        self.size = 0
        self._changes = 0
        self._generation = 0
        self._postings: dict[str, Posting] = {}
        self._posting_bytes = 0
        self._tags: dict[str, Mask] = {}
        self._texts: OrderedDict[tuple[str, ...], object] = OrderedDict()
        self.words_of_row: dict[int, Rows] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        remembered = 200 * len(self.words_of_row) + 2000 * len(self._texts)
        return (self.vectors.nbytes + 90 * self.size + self._posting_bytes + remembered) if self.size else 0

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Make this the store's present state."""
        moment = moment_of(connection)
        if moment == self.moment:
            return
        if self.size >= _SMALL and moment.clock >= self.moment.clock:
            self._changes += later_changes(connection, self.moment.clock)
        if self.size < _SMALL or moment.clock < self.moment.clock or self._changes > _MAX_CHANGED_SHARE * self.size:
            self._read(connection)
            self._changes = 0
        else:
            self._update(connection, self.moment.clock)
        self._forget_words()
        self.moment = moment

    def posting(self, connection: sqlite3.Connection, forms: Sequence[str], *, together: bool = False) -> Posting:
        """Return where any form of a word occurs; ``together``: where all of them do."""
        missing = [form for form in forms if form not in self._postings]
        for form, seqs in zip(missing, occurrences(connection, missing) if missing else (), strict=True):
            self._remember(form, self._posting(seqs))
        found = [posting for form in forms if len((posting := self._postings[form]).rows)]
        if self._posting_bytes > _MAX_POSTINGS_BYTES:
            self._forget_words()
        if len(found) == 1 and not together:
            return found[0]
        counts, found_in = np.zeros(self.size, np.float32), np.zeros(self.size, np.int64)
        for posting in found:
            counts[posting.rows] = np.maximum(counts[posting.rows], posting.counts)
            found_in[posting.rows] += 1
        rows = np.flatnonzero(found_in >= max(1, len(forms) if together else 1))
        return Posting(rows, counts[rows])

    def rarity(self, occurring: int) -> float:
        """Return what a word that occurs in so many entries weighs (BM25's inverse document frequency)."""
        return math.log(1 + (self.size - occurring + 0.5) / (occurring + 0.5))

    def word_score(self, posting: Posting, rarity: float) -> Floats:
        """Return what a word adds to the score of each of its rows."""
        scores = posting.counts * (rarity * (K1 + 1)) / (posting.counts + self._norm[posting.rows])
        return scores.astype(np.float32, copy=False)

    def text_score(self, count: int, length: int, rarity: float) -> float:
        """Return what a word adds to the score of a text that is not in the index."""
        return rarity * count * (K1 + 1) / (count + K1 * (1 - B + B * length / self.mean_length)) if count else 0.0

    def similarities(self, vector: Floats) -> Floats:
        """Return each row's similarity to a direction (see ``direction``): its best chunk's; -1 for rows without."""
        chunks = np.vecdot(self.vectors, vector)  # row by row: a matrix product waits for its threads on a busy machine
        found = np.full(self.size, -1.0, np.float32)
        found[self._first_rows] = chunks[: len(self._first_rows)]
        if len(chunks) > len(self._first_rows):
            np.maximum.at(found, self._more_rows, chunks[len(self._first_rows) :])
        return found

    def direction(self, vector: Sequence[float], language: str) -> Floats:
        """Return a vector as the index compares them: without what all texts of its language share, of length 1."""
        return _unit(np.asarray(vector, np.float32) - self._mean_of(language))

    def allowed(
        self,
        connection: sqlite3.Connection,
        *,
        content_type: str | None,
        tags: Iterable[str],
        first: int | None,
        last: int | None,
        min_priority: str,
        author: str = "",
    ) -> Mask:
        """Return which rows pass the filters; states and expiry apart."""
        mask = np.ones(self.size, np.bool_)
        if content_type is not None:
            mask &= self._types == self._type_numbers.get(content_type, -1)
        for tag in tags:
            mask &= self._tagged(connection, tag)
        if first is not None:
            mask &= self._days >= first
        if last is not None:
            mask &= (self._days <= last) & (self._days > 0)
        if least := PRIORITIES[min_priority]:
            mask &= self._priorities >= least
        if author:
            wanted = [number for name, number in self._author_numbers.items() if is_by(name, author)]
            mask &= np.isin(self._authors, wanted)
        return mask

    def recorded_by(self, day: int) -> Mask:
        """Return which rows were recorded by a day."""
        return (self._days > 0) & (self._days <= day)

    def words_of_text(self, text: str, languages: Sequence[str]) -> Counter[str]:
        """Return the words of a text that is not in the index, and how often each occurs."""
        key = ("words", text, *languages)
        found = self._texts.get(key)
        if not isinstance(found, Counter):
            found = Counter(analyse(text, language_of(text, languages)).split())
        self._remember_text(key, found)
        return found

    def vectors_of_texts(self, embedder: Embedder, texts: Sequence[str]) -> list[Sequence[float]]:
        """Return the vectors of texts that are not in the index."""
        found: dict[str, Any] = {text: self._texts.get(("vector", text)) for text in texts}
        if missing := [text for text, vector in found.items() if vector is None]:
            found |= dict(zip(missing, embedder.embed_documents(missing), strict=True))
        for text, vector in found.items():
            self._remember_text(("vector", text), vector)
        return [found[text] for text in texts]

    def _remember_text(self, key: tuple[str, ...], found: object) -> None:
        self._texts[key] = found
        self._texts.move_to_end(key)
        if len(self._texts) > _MAX_TEXTS:
            self._texts.popitem(last=False)

    def row(self, seq: int) -> int | None:
        """Return the row of an entry, None if it is not in the index."""
        return self._numbers.get(seq)

    def forget_words_of(self, generation: int) -> None:
        """Forget the numbers of words that belong to an earlier generation of ``WordVectors``."""
        if generation != self._generation:
            self.words_of_row.clear()
            self._generation = generation

    def rows_of(self, seqs: Iterable[int]) -> Rows:
        """Return the rows of entries that are in the index."""
        number = self._numbers
        return np.fromiter((number[seq] for seq in seqs if seq in number), np.int64)

    # Reading -------------------------------------------------------------------------------------------------------

    def _read(self, connection: sqlite3.Connection) -> None:
        entries = sorted(each for each in entry_facts(connection) if each.duplicate_of is None)
        self._set_entries(entries)
        counts = dict(word_counts(connection))
        self._set_lengths(np.fromiter((counts.get(each.seq, 0) for each in entries), np.float32, len(entries)))
        vectors = self._sound(vectors_after(connection, self.model, -1)) if self.model else {}
        self._set_means(vectors)
        self._set_vectors({seq: self._centred(seq, rows) for seq, rows in vectors.items()})

    def _update(self, connection: sqlite3.Connection, after: int) -> None:
        """Apply what changed."""
        changed = {each.seq: each for each in entry_facts(connection, after)}
        vectors = self._sound(vectors_after(connection, self.model, after, changed)) if self.model else {}
        gone = {seq for seq, each in changed.items() if each.duplicate_of is not None}
        present = set(all_seqs(connection))
        present -= gone
        entries = [changed.get(each.seq, each) for each in self._entries if each.seq in present]
        known = {each.seq for each in entries}
        entries += sorted(each for seq, each in changed.items() if seq in present - known)
        lengths = {each.seq: length for each, length in zip(self._entries, self._lengths.tolist(), strict=True)}
        lengths |= word_counts(connection, changed)
        kept = {each.seq for each in entries} - vectors.keys() - changed.keys()
        old = self._vectors_by_seq(kept)
        self._set_entries(entries)
        self._set_lengths(np.fromiter((lengths.get(each.seq, 0) for each in entries), np.float32, len(entries)))
        self._set_vectors({seq: self._centred(seq, rows) for seq, rows in vectors.items()} | old)

    def _set_entries(self, entries: list[EntryFacts]) -> None:
        size = len(entries)
        self.size = size
        self._entries = entries
        self.seqs = np.fromiter((each.seq for each in entries), np.int64, size)
        self._numbers = {each.seq: number for number, each in enumerate(entries)}
        names = list(dict.fromkeys(each.content_type for each in entries))
        self._type_numbers = {name: number for number, name in enumerate(names)}
        self._types = np.fromiter((self._type_numbers[each.content_type] for each in entries), np.int64, size)
        authors = list(dict.fromkeys(each.author for each in entries))
        self._author_numbers = {name: number for number, name in enumerate(authors)}
        self._authors = np.fromiter((self._author_numbers[each.author] for each in entries), np.int64, size)
        self._days = np.fromiter((each.day or 0 for each in entries), np.int64, size)
        self._priorities = np.fromiter((PRIORITIES.get(each.priority, 1) for each in entries), np.int64, size)
        self.retired = np.fromiter((each.state == "retired" for each in entries), np.bool_, size)
        self.guidelines = np.fromiter((each.content_type == "guideline" for each in entries), np.bool_, size)
        self.over_at = np.full(size, np.inf)
        self.retired_at = np.full(size, np.inf)
        for row, each in enumerate(entries):
            if each.expires_at:
                self.over_at[row] = moment_when_over(each.expires_at)
            if each.state == "retired":
                self.retired_at[row] = moment_when_over(each.retired_at)
        self.neighbours = _neighbours(entries)

    def _set_lengths(self, lengths: Floats) -> None:
        self._lengths = lengths
        total = float(lengths.sum())
        self.mean_length = total / len(lengths) if total else 1.0
        self._norm = K1 * (1 - B + B * lengths / self.mean_length)

    def _set_means(self, vectors: Mapping[int, Floats]) -> None:
        """Find the direction that all texts share, and the one that those of each language share."""
        groups: dict[str, list[Floats]] = {}
        for seq, chunks in vectors.items():
            if seq in self._numbers:
                groups.setdefault(self._entries[self._numbers[seq]].language, []).append(chunks)
        stacked = {language: np.concatenate(chunks) for language, chunks in groups.items()}
        count = sum(map(len, stacked.values()))
        mean: Floats = np.zeros(1, np.float32)
        share = np.float32(profile_of(self.model).centring)
        for chunks in stacked.values():
            mean = mean + chunks.sum(axis=0) / np.float32(count + _SHRINK)
        self._means: dict[str, Floats] = {"": share * mean} | {
            language: share * (chunks.sum(axis=0) + _SHRINK * mean) / np.float32(len(chunks) + _SHRINK)
            for language, chunks in stacked.items()
        }

    def _mean_of(self, language: str) -> Floats:
        mean = self._means.get(language)
        return self._means[""] if mean is None else mean

    def _centred(self, seq: int, chunks: Floats) -> Floats:
        language = self._entries[self._numbers[seq]].language if seq in self._numbers else ""
        return chunks - self._mean_of(language)

    def _set_vectors(self, vectors: Mapping[int, Floats]) -> None:
        """Keep vectors, the first of every entry in front, then what longer texts have more of."""
        rows = [(self._numbers[seq], chunks) for seq, chunks in vectors.items() if seq in self._numbers]
        first = [chunks[:1] for _, chunks in rows]
        more = [chunks[1:] for _, chunks in rows if len(chunks) > 1]
        self._first_rows = np.fromiter((row for row, _ in rows), np.int64, len(rows))
        extra = np.fromiter((len(chunks) - 1 for _, chunks in rows), np.int64, len(rows))
        self._more_rows = np.repeat(self._first_rows, extra)
        matrix = np.concatenate([*first, *more]) if rows else np.empty((0, 1), np.float32)
        self.vectors = _unit(matrix)
        self.embedded = len(rows)

    def _vectors_by_seq(self, seqs: set[int]) -> dict[int, Floats]:
        """Return the vectors of entries as they are kept."""
        found: dict[int, list[int]] = {}
        rows = np.concatenate([self._first_rows, self._more_rows]).tolist()
        for place, seq in enumerate(self.seqs[rows].tolist()):
            if seq in seqs:
                found.setdefault(seq, []).append(place)
        return {seq: self.vectors[places] for seq, places in found.items()}

    def _sound(self, rows: Iterable[tuple[int, int, bytes]]) -> dict[int, Floats]:
        """Return vectors by entry; damaged ones, and ones of another length than the first, are left out."""
        found: dict[int, list[bytes]] = {}
        length = self.vectors.shape[1] * 4 if self.moment.clock >= 0 and len(self.vectors) else 0
        for seq, crc, vector in rows:
            length = length or len(vector)
            if len(vector) == length and zlib.crc32(vector) == crc:
                found.setdefault(seq, []).append(vector)
        return {
            seq: np.frombuffer(b"".join(chunks), "<f4").reshape(len(chunks), -1).astype(np.float32)
            for seq, chunks in found.items()
        }

    def _posting(self, seqs: list[int]) -> Posting:
        number = self._numbers
        rows = np.fromiter((number[seq] for seq in seqs if seq in number), np.int64)
        rows.sort()
        new = np.ones(len(rows), np.bool_)
        new[1:] = rows[1:] != rows[:-1]
        starts = np.append(np.flatnonzero(new), len(rows))  # np.unique would import masked arrays: 80 ms
        return Posting(rows[new], (starts[1:] - starts[:-1]).astype(np.float32))

    def _remember(self, form: str, posting: Posting) -> None:
        self._postings[form] = posting
        self._posting_bytes += posting.rows.nbytes + posting.counts.nbytes + 200

    def _forget_words(self) -> None:
        self._postings.clear()
        self._posting_bytes = 0
        self._tags.clear()
        self.words_of_row.clear()

    def _tagged(self, connection: sqlite3.Connection, tag: str) -> Mask:
        if tag not in self._tags:
            if len(self._tags) >= _MAX_TAGS:
                self._tags.clear()
            mask = np.zeros(self.size, np.bool_)
            mask[self.rows_of(tagged(connection, tag))] = True
            self._tags[tag] = mask
        return self._tags[tag]


class Indexes:
    """The indexes of a process: one a brand and model, within ``max_bytes`` together."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._lock = threading.Lock()
        self._max_bytes = max_bytes
        self._indexes: OrderedDict[tuple[str, object, str], BrandIndex] = OrderedDict()

    def index(self, path: str, identity: object, model: str) -> BrandIndex:
        """Return the index of a store's file (``identity`` distinguishes a file from its successor) and a model."""
        with self._lock:
            for key in [key for key in self._indexes if key[0] == path and key != (path, identity, model)]:
                del self._indexes[key]
            index = self._indexes.setdefault((path, identity, model), BrandIndex(model))
            self._indexes.move_to_end((path, identity, model))
            return index

    def trim(self) -> None:
        """Let go of what was asked longest ago until the rest fits; the last one asked stays."""
        with self._lock:
            while len(self._indexes) > 1 and sum(each.nbytes for each in self._indexes.values()) > self._max_bytes:
                self._indexes.popitem(last=False)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    lengths[lengths == 0] = 1.0
    scaled: Floats = (vectors / lengths).astype(np.float32)
    return scaled


def _neighbours(entries: Sequence[EntryFacts]) -> Rows:
    """Return for each entry those recorded before and after it in the same session; the number of entries for none."""
    size = len(entries)
    found = np.full((2, size), size, np.int64)
    recorded = ((_seconds(each.recorded_at), row) for row, each in enumerate(entries) if each.kind in _SESSION_KINDS)
    for (before, row), (after, following) in pairwise(sorted(each for each in recorded if each[0])):
        if after - before <= _SESSION_SECONDS:
            found[1, row], found[0, following] = following, row
    return found


def moment_when_over(moment: str) -> float:
    """Return when a moment is over, in seconds since 1970: a day counts to its end; what is no date never is over."""
    found = from_iso(f"{moment}T23:59:59.999" if len(moment) == len("2026-01-31") else moment) if moment else None
    return found.timestamp() if found else math.inf


def _seconds(moment: str) -> float:
    """Return a moment in seconds since 1970; 0 for a day and for what is no moment."""
    if len(moment) <= len("2026-01-31"):
        return 0.0
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
