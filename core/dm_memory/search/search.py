"""Answering a question from a brand's memory: local, in one read transaction, with every service down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple, Self

from dm_memory.embedding.batch import is_installed
from dm_memory.embedding.models import make_embedder
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ConfigurationError, InputError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.search.dates import period_of, read_period
from dm_memory.search.hits import hits_of
from dm_memory.search.index import BrandIndex, Indexes
from dm_memory.search.knowledge import entities_in, history_lines
from dm_memory.search.likeness import WordVectors
from dm_memory.search.ranking import Filters, Question, Ranking, Vectors
from dm_memory.search.results import Mode, SearchRequest, SearchResult
from dm_memory.search.scoring import CANDIDATES, is_static
from dm_memory.search.services import Proposals, ask_services, elsewhere
from dm_memory.services.protocol import SearchQuery, Service
from dm_memory.store.candidates import seqs_of
from dm_memory.store.database import FILE_NAME, Store, read_store
from dm_memory.store.patterns import pattern_line, patterns_of
from dm_memory.text.authors import clean_author
from dm_memory.text.tags import checked_tags
from dm_memory.text.timestamps import Clock, to_iso, utc_now
from dm_memory.text.words import query_words

__all__ = ["SEARCH_TIMEOUT", "Searcher"]

SEARCH_TIMEOUT = 1.0
"""Seconds that a connected service has to propose."""

_BUNDLED = "wordllama"
_MAX_LIMIT = 100
_MAX_PATTERNS = 3
_MAX_QUERY_CHARS = 10_000


class Searcher:
    """Searches the brands of a home. One a process: it keeps vectors and words in memory between questions.

    Args:
        embedder: The model of the store's vectors, or None for words alone.
        clock: Decides what has expired, and what "last month" is.
        timeout: Seconds a connected service has to answer.
    """

    def __init__(self, embedder: Embedder | None, clock: Clock = utc_now, timeout: float = SEARCH_TIMEOUT) -> None:
        self.indexes = Indexes()
        self._embedder = embedder
        self._clock = clock
        self._timeout = timeout
        self._words: WordVectors | None = None

    async def search(
        self,
        memory_dir: Path,
        brand: str,
        languages: Sequence[str],
        request: SearchRequest,
        *,
        services: Sequence[Service] = (),
        waiting: Sequence[Item] = (),
    ) -> SearchResult:
        """Return what memory knows.

        Args:
            memory_dir: The brand's folder ``memory/``.
            brand: Its slug.
            languages: The brand's, the primary one first.
            request: What is asked.
            services: Those that can propose are asked as well.
            waiting: Items of ``memory/pending/``, which are found before they are stored.

        Raises:
            InputError: The query is empty or too long, a date is none, or the limit is out of range.
            StoreError: The memory can't be read.
        """
        asked = _Asked.of(request, languages, self._clock().astimezone().date())
        asking = [each for each in services if each.capabilities.proposes] if asked.asks_services else []
        if not asking:
            return await asyncio.to_thread(self._answer, memory_dir, brand, asked, Proposals(), waiting)
        proposals, embedded = await asyncio.gather(
            ask_services(asking, asked.service_query(self._timeout), self._timeout),
            asyncio.to_thread(self._vectors, asked.question),
        )
        return await asyncio.to_thread(self._answer, memory_dir, brand, asked, proposals, waiting, embedded)

    def _vectors(self, question: Question) -> tuple[Vectors | None, Finding | None]:
        """Return the question as the model sees it; if the model can't be used, why."""
        if self._embedder is None or question.mode is Mode.EXACT or not question.text:
            return None, None
        try:
            vector, model = self._embedder.embed_query(question.text), self._embedder.spec.tag
            if self._words is None:
                if is_static(model):
                    self._words = WordVectors(self._embedder)
                elif is_installed(_BUNDLED):
                    self._words = WordVectors(make_embedder(_BUNDLED))
            return Vectors(self._embedder, model, vector, self._words), None
        except (ConfigurationError, ImportError) as error:
            remedy = error.remedy if isinstance(error, ConfigurationError) else ""
            message = f"The search was by words alone: the embedding model can't be used ({type(error).__name__})."
            return None, Finding("words-alone", Severity.WARNING, message, remedy)

    def _answer(
        self,
        memory_dir: Path,
        brand: str,
        asked: _Asked,
        proposals: Proposals,
        waiting: Sequence[Item],
        embedded: tuple[Vectors | None, Finding | None] | None = None,
    ) -> SearchResult:
        vectors, problem = embedded or self._vectors(asked.question)
        identity = _identity(memory_dir)
        found = _Found(vectors, proposals, waiting, [*([problem] if problem else ()), *proposals.findings], identity)
        with read_store(memory_dir, brand) as store:
            if store is None:
                from dm_memory.store.opening import missing_memory  # noqa: PLC0415  # a rare answer's own code

                return asked.result(brand, [*missing_memory(memory_dir), *found.findings])
            with store.snapshot():
                return self._from_store(store, asked, found)

    def _from_store(self, store: Store, asked: _Asked, found: _Found) -> SearchResult:
        request, findings, vectors, proposals = asked.request, found.findings, found.vectors, found.proposals
        connection, now = store.connection, to_iso(self._clock())
        history = history_lines(connection, request.history_of) if request.history_of else ()
        if not asked.question.text:
            return asked.result(store.brand, findings, history=history)
        model = vectors.model if vectors else ""
        if _identity(store.path.parent) == found.identity:
            index = self.indexes.index(str(store.path), found.identity, model)
        else:  # another file took its place while it was opened
            index = BrandIndex(model)
        with index.lock:
            index.refresh(connection)
            ranking = Ranking(connection, index, asked.question, asked.filters, vectors=vectors, now=now)
            ranking.add_waiting(found.waiting)
            ranking.rank(list(seqs_of(connection, ids=proposals.by_id).values()) if proposals.by_id else ())
            retired = bool(request.include_retired)
            hits, damaged = hits_of(connection, ranking, request.limit, retired=retired, explain=request.explain)
            embedded, size = index.embedded, index.size
        findings += damaged
        # What worked is counted as of today, so it says nothing of an earlier day; far hits are about something else.
        stating = [hit.id for hit in hits] if ranking.known and not asked.filters.as_of else []
        patterns = patterns_of(connection, stating, _MAX_PATTERNS) if stating else []
        self.indexes.trim()
        if self._words is not None:
            self._words.make_room()
        if vectors and embedded < size:
            findings.append(_not_embedded(size - embedded, size))
        return asked.result(
            store.brand,
            findings,
            history=history,
            hits=hits,
            known=ranking.known,
            evidence=(ranking.evidence, ranking.profile.threshold),
            entries=ranking.searched,
            model=vectors.model if vectors and embedded else "",
            elsewhere=elsewhere(connection, store.brand, proposals, request.limit),
            patterns=tuple(map(pattern_line, patterns)),
            entities=entities_in(connection, store.brand, asked.question.text, asked.filters.as_of, now),
        )


class _Found(NamedTuple):
    """What was found out before the memory is opened."""

    vectors: Vectors | None
    proposals: Proposals
    waiting: Sequence[Item]
    findings: list[Finding]
    identity: object


def _identity(memory_dir: Path) -> object:
    """Return what distinguishes the store's file from one that took its place; None if there is none."""
    try:
        status = (memory_dir / FILE_NAME).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _not_embedded(missing: int, size: int) -> Finding:
    message = f"{missing:,} of {size:,} entries have no vectors of the present model yet; words alone find them."
    return Finding("without-vectors", Severity.INFO, message, "The next sync makes them.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, checked and taken apart."""

    request: SearchRequest
    question: Question
    filters: Filters

    @classmethod
    def of(cls, request: SearchRequest, languages: Sequence[str], today: date) -> Self:
        """Read a request. Raises ``InputError``."""
        text = _checked_text(request)
        first, last = period_of(request.from_date, request.to_date, today)
        as_of = read_period(request.as_of, today, "as_of").last if request.as_of.strip() else None
        moment = to_iso(datetime.combine(as_of, time.max).astimezone()) if as_of else ""
        retired = request.include_retired if request.include_retired is not None or not as_of else False
        filters = Filters(
            content_type=request.content_type,
            tags=checked_tags(request.tags),
            first=_number(first),
            last=_number(last),
            min_priority=request.min_priority,
            include_expired=request.include_expired,
            include_retired=retired,
            as_of=moment,
            as_of_day=_number(as_of),
            author=clean_author(request.author),
        )
        languages = tuple(languages) or ("en",)
        return cls(request, Question(text, query_words(text, languages), languages, request.mode), filters)

    def service_query(self, timeout: float) -> SearchQuery:
        """Return the question as a connected service is asked."""
        filters = self.filters
        first, last = (_iso(number) for number in (filters.first, filters.last))
        return SearchQuery(
            self.question.text, filters.content_type, filters.tags, first, last, CANDIDATES // 4, within=timeout
        )

    @property
    def asks_services(self) -> bool:
        """Whether what services find by meaning fits the question: not if it is about exact words or an earlier day."""
        question = self.question
        return (
            bool(question.text)
            and question.mode is not Mode.EXACT
            and not (question.words.phrases or self.filters.as_of or self.filters.min_priority != "low")
            and not self.filters.author  # by which no service is asked
        )

    def result(self, brand: str, findings: Sequence[Finding], **found: Any) -> SearchResult:  # noqa: ANN401  # fields of SearchResult
        """Return the answer: what was asked, and what was found."""
        filters = self.filters
        shown = {
            "content_type": filters.content_type or "",
            "tags": ", ".join(filters.tags),
            "from_date": _iso(filters.first) or "",
            "to_date": _iso(filters.last) or "",
            "as_of": _iso(filters.as_of_day) or "",
            "min_priority": filters.min_priority if filters.min_priority != "low" else "",
            "author": filters.author,
        }
        words = self.question.words
        asked = SearchResult(
            brand=brand,
            query=self.question.text,
            filters={name: value for name, value in shown.items() if value},
            hits=(),
            known=False,
            mode=self.request.mode,
            words=tuple(word.text for word in words.words),
            ignored=words.ignored,
            phrases=words.phrases,
            findings=tuple(findings),
        )
        return replace(asked, **found)


def _checked_text(request: SearchRequest) -> str:
    text = request.query.encode("utf-8", "replace").decode().strip()
    if not any(letter.isalnum() for letter in text) and not request.history_of:
        raise InputError("The query is empty.", "Pass what you want to find, in your own words.")
    if len(text) > _MAX_QUERY_CHARS:
        raise InputError(f"The query is longer than {_MAX_QUERY_CHARS:,} characters.", "Ask for one thing at a time.")
    if request.author.strip() and not clean_author(request.author):
        raise InputError("author is no name.", "Pass the name of who stored it, or a part of it.")
    if not 1 <= request.limit <= _MAX_LIMIT:
        raise InputError(f"limit is {request.limit}.", f"Pass a number from 1 to {_MAX_LIMIT}.")
    return text


def _number(day: date | None) -> int | None:
    return day.year * 10_000 + day.month * 100 + day.day if day else None


def _iso(number: int | None) -> str | None:
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}" if number else None
