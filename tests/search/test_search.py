"""Search as a caller meets it: what is found, in which order, what is left out, and what it says about it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dm_memory.brand.files import Limits
from dm_memory.embedding.models import WordLlamaEmbedder
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import ErrorClass, InputError, ServiceError
from dm_memory.items import ContentType, Priority, storage_id
from dm_memory.report import search_report
from dm_memory.search.index import MAX_BYTES, Indexes
from dm_memory.search.results import Mode, Relevance, SearchRequest, SearchResult
from dm_memory.search.search import Searcher
from dm_memory.search.waiting import waiting_items
from dm_memory.services.protocol import Capabilities, Proposal, SearchQuery, Service, ServiceBase
from dm_memory.store.database import open_store
from dm_memory.text.guard import Guard
from tests.search.brands import BRAND, Text, store_texts
from tests.support.embedders import PoisonedEmbedder

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LANGUAGES = ("en", "de", "ja")

MODEL = WordLlamaEmbedder()

TEXTS = [
    Text("insight/1", "Checkout completion on iPhones fell by a third in August", "2026-08-12", tags=("channel:web",)),
    Text("insight/2", "Welcome e-mails that open with the roast date win more second orders", "2026-08-03"),
    Text("insight/3", "Grower portraits work best when the first sentence is about weather", "2026-05-01"),
    Text("insight/4", "Die Anzeigen auf Instagram waren im Herbst zu teuer", "2026-10-02", priority="low"),
    Text("insight/5", "抹茶を飲む習慣のある客は浅煎りの豆を最も多く買った", "2026-09-09"),
    Text("guideline/1", "Never call the coffee cheap", "2026-01-02", content_type="guideline", state="retired",
         retired_at="2026-06-01T00:00:00.000Z"),
    Text("insight/6", "Podcast sponsoring brought cheap sign-ups", "2026-02-02", state="retired",
         retired_at="2026-06-01T00:00:00.000Z"),
    Text("insight/7", "The podcast code PODCAST10 is valid", "2026-03-03", expires_at="2026-04-01"),
]  # fmt: skip


@pytest.fixture(params=["model", "words alone"])
def embedder(request: pytest.FixtureRequest) -> Embedder | None:
    return MODEL if request.param == "model" else None


@pytest.fixture
def memory_dir(tmp_path: Path, embedder: Embedder | None) -> Path:
    store_texts(tmp_path, TEXTS, embedder, LANGUAGES)
    return tmp_path


def _searcher(embedder: Embedder | None) -> Searcher:
    return Searcher(embedder, clock=lambda: NOW)


def _ask(memory_dir: Path, embedder: Embedder | None, query: str, *services: Service, **wanted: object) -> SearchResult:
    request = replace(SearchRequest(query), **wanted)  # type: ignore[arg-type]  # fields of the request
    return asyncio.run(_searcher(embedder).search(memory_dir, BRAND, LANGUAGES, request, services=services))


def _keys(result: SearchResult) -> list[str]:
    return [hit.key for hit in result.hits]


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("Why did iPhone checkouts fall?", "insight/1"),
        ("what do welcome emails open with", "insight/2"),
        ("Waren Instagram-Anzeigen teuer?", "insight/4"),
        ("浅煎りは誰に売れましたか", "insight/5"),
    ],
)
def test_a_question_finds_its_answer_first(
    memory_dir: Path, embedder: Embedder | None, question: str, key: str
) -> None:
    result = _ask(memory_dir, embedder, question)
    assert _keys(result)[0] == key
    assert result.known
    assert result.hits[0].relevance is not Relevance.TANGENTIAL


def test_memory_says_that_it_does_not_know(memory_dir: Path, embedder: Embedder | None) -> None:
    result = _ask(memory_dir, embedder, "Which universities hire plumbers?")
    assert not result.known
    assert all(hit.relevance is Relevance.TANGENTIAL for hit in result.hits)


@pytest.mark.parametrize("query", ["welcome e-mails", "grower portraits"])
def test_a_search_by_meaning_alone_knows_what_the_usual_one_knows(tmp_path: Path, query: str) -> None:
    store_texts(tmp_path, TEXTS, MODEL, LANGUAGES)
    usual, meaning = (_ask(tmp_path, MODEL, query, mode=mode) for mode in (Mode.HYBRID, Mode.SEMANTIC))
    assert usual.known
    assert meaning.known
    assert meaning.hits[0].key == usual.hits[0].key
    assert not _ask(tmp_path, MODEL, "helicopter insurance", mode=Mode.SEMANTIC).known


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("breatheable", "breathable"),  # a letter too many
        ("recieved", "received"),  # two swapped
        ("Versandkosten", "apart"),
        ("check-out", "together"),
        ("check out", None),  # two words that mean something else
        ("considering", None),  # no mistyped "confided"
        ("Versandrabatt", None),  # only one of the two is there
    ],
)
def test_a_word_that_no_text_has_finds_what_it_was_meant_to_be(tmp_path: Path, query: str, key: str | None) -> None:
    texts = [
        Text("breathable", "Searches for breathable uppers rose in the heat"),
        Text("received", "Nine of ten parcels were received on time"),
        Text("confided", "A retailer confided its plans for spring"),
        Text("apart", "Die Kosten für den Versand stiegen im Mai", "2026-08-01"),
        Text("together", "The new checkout has one page"),
    ]
    store_texts(tmp_path, texts, None, ("en", "de"))
    found = _ask(tmp_path, None, query)
    assert [hit.key for hit in found.hits] == ([key] if key else [])
    assert not _ask(tmp_path, None, query, mode=Mode.EXACT).hits


def test_filters_come_before_ranking(memory_dir: Path, embedder: Embedder | None) -> None:
    question = "checkout emails portraits"
    assert _keys(_ask(memory_dir, embedder, question, tags=("Channel:Web",))) == ["insight/1"]
    assert _keys(_ask(memory_dir, embedder, question, tags=("web",))) == ["insight/1"]
    assert _keys(_ask(memory_dir, embedder, question, tags=("eb",))) == []
    found = set(_keys(_ask(memory_dir, embedder, question, from_date="August 2026")))
    assert "insight/2" in found
    assert found <= {"insight/1", "insight/2"}
    assert _keys(_ask(memory_dir, embedder, "cheap", content_type=ContentType.GUIDELINE)) == []
    assert "insight/4" not in _keys(_ask(memory_dir, embedder, "Anzeigen", min_priority=Priority.NORMAL))
    assert _ask(memory_dir, embedder, "checkout", from_date="last 90 days").filters == {
        "from_date": "2026-08-22",
        "to_date": "2026-11-20",
    }


def test_what_has_expired_is_found_only_when_asked_for(memory_dir: Path, embedder: Embedder | None) -> None:
    assert "insight/7" not in _keys(_ask(memory_dir, embedder, "podcast code"))
    hit = _ask(memory_dir, embedder, "podcast code", include_expired=True).hits[0]
    assert (hit.key, hit.is_expired) == ("insight/7", True)


def test_retired_entries_stand_below_all_others_and_retired_guidelines_only_when_asked_for(
    memory_dir: Path, embedder: Embedder | None
) -> None:
    plain = _ask(memory_dir, embedder, "cheap podcast")
    assert "guideline/1" not in _keys(plain)
    assert [hit.state for hit in plain.hits] == sorted(hit.state for hit in plain.hits)
    assert _keys(plain)[-1] == "insight/6"
    assert "guideline/1" in _keys(_ask(memory_dir, embedder, "cheap podcast", include_retired=True))
    left_out = _ask(memory_dir, embedder, "cheap podcast", include_retired=False)
    assert all(hit.state == "current" for hit in left_out.hits)


def test_a_phrase_has_to_occur_as_written(memory_dir: Path, embedder: Embedder | None) -> None:
    assert _keys(_ask(memory_dir, embedder, '"roast date"')) == ["insight/2"]
    assert _keys(_ask(memory_dir, embedder, '"date roast"')) == []
    assert _keys(_ask(memory_dir, embedder, '"roast dates"')) == []
    assert _keys(_ask(memory_dir, embedder, "「豆」")) == ["insight/5"]


def test_exact_mode_wants_all_words_as_they_are_written(memory_dir: Path, embedder: Embedder | None) -> None:
    assert _keys(_ask(memory_dir, embedder, "roast emails", mode=Mode.EXACT)) == []
    assert _keys(_ask(memory_dir, embedder, "ROAST orders", mode=Mode.EXACT)) == ["insight/2"]
    assert _keys(_ask(memory_dir, embedder, "roast order", mode=Mode.EXACT)) == []


def test_as_of_a_day_finds_the_text_in_force_then(memory_dir: Path, embedder: Embedder | None) -> None:
    with closing(open_store(memory_dir, BRAND)) as store, store.transaction() as connection:
        connection.execute(
            "INSERT INTO revisions SELECT seq, 1, 'Portraits of growers fail', 'h', '2026-05-01',"
            " '2026-07-01T00:00:00.000Z', 'edited' FROM entries WHERE key = 'insight/3'"
        )
        store.ticks(1)
    then = _ask(memory_dir, embedder, "portraits growers", as_of="2026-06-15")
    assert (then.hits[0].content, then.hits[0].revision) == ("Portraits of growers fail", 1)
    assert "insight/1" not in _keys(then)
    assert "weather" in _ask(memory_dir, embedder, "portraits growers", as_of="2026-08-01").hits[0].content
    assert "guideline/1" in _keys(_ask(memory_dir, embedder, "call coffee cheap", as_of="2026-03-01"))


def test_the_history_of_an_entry_says_what_it_said_when(memory_dir: Path, embedder: Embedder | None) -> None:
    with closing(open_store(memory_dir, BRAND)) as store, store.transaction() as connection:
        connection.execute(
            "INSERT INTO revisions SELECT seq, 1, 'Old words', 'h', '2026-05-01', '2026-07-01', 'edited'"
            " FROM entries WHERE key = 'insight/3'"
        )
    history = _ask(memory_dir, embedder, "", history_of="insight/3").history
    assert (history[0].content, history[0].replaced_at) == ("Old words", "2026-07-01")
    assert (history[-1].content, history[-1].recorded_at) == (TEXTS[2].content, "2026-07-01")
    with pytest.raises(InputError):
        _ask(memory_dir, embedder, "", history_of="insight/none")


def test_each_text_of_an_entry_was_in_force_from_where_the_one_before_it_ended(memory_dir: Path) -> None:
    """Its source dates the entry, not the edit: two texts would have been true at once."""
    with closing(open_store(memory_dir, BRAND)) as store, store.transaction() as connection:
        for number, until in enumerate(("2026-07-01", "2026-08-01", "2026-09-01"), 1):
            connection.execute(
                "INSERT INTO revisions SELECT seq, ?, ?, 'h', '2026-05-01', ?, 'changed'"
                " FROM entries WHERE key = 'insight/3'",
                (number, f"Text {number}", until),
            )
    history = _ask(memory_dir, None, "", history_of="insight/3").history
    assert [(line.recorded_at, line.replaced_at) for line in history] == [
        ("2026-05-01", "2026-07-01"),
        ("2026-07-01", "2026-08-01"),
        ("2026-08-01", "2026-09-01"),
        ("2026-09-01", ""),
    ]


def test_a_waiting_text_is_found_until_it_is_stored(memory_dir: Path, embedder: Embedder | None) -> None:
    text = "Oat milk posters sold out in Leipzig, ask max@example.com"
    name = hashlib.sha256(text.encode()).hexdigest()
    pending = memory_dir / "home" / "brands" / BRAND / "memory" / "pending"
    pending.mkdir(parents=True)
    (pending / f"{name[:16]}.json").write_text(json.dumps({"content": text, "content_type": "guideline"}))
    (pending / f"{'0' * 16}.json").write_text("{")
    items = list(waiting_items(pending.parents[1], Limits(), Guard("mask")))
    request = SearchRequest("oat milk posters")
    searcher = _searcher(embedder)

    def ask() -> SearchResult:
        return asyncio.run(searcher.search(memory_dir, BRAND, LANGUAGES, request, waiting=items))

    first = ask().hits[0]
    assert first.is_waiting
    assert "max@example.com" not in first.content
    store_texts(memory_dir, [Text(f"prepared/{name}", text)], embedder, LANGUAGES)
    assert [hit.is_waiting for hit in ask().hits if "Leipzig" in hit.content] == [False]


def test_changes_are_seen_by_the_next_search(memory_dir: Path, embedder: Embedder | None) -> None:
    searcher = _searcher(embedder)

    def found(query: str) -> list[str]:
        return _keys(asyncio.run(searcher.search(memory_dir, BRAND, LANGUAGES, SearchRequest(query, mode=Mode.EXACT))))

    assert found("lighthouse") == []
    store_texts(memory_dir, [Text("insight/1", "The lighthouse banner")], embedder, LANGUAGES)
    assert found("lighthouse") == ["insight/1"]
    assert found("iPhones") == []
    with closing(open_store(memory_dir, BRAND)) as store, store.transaction() as connection:
        connection.execute("DELETE FROM words WHERE rowid = 1")
        connection.execute("DELETE FROM entries WHERE seq = 1")
        store.ticks(1)
    assert found("lighthouse") == []


def test_many_changes_in_a_larger_brand_are_read_by_changed_rows(tmp_path: Path, embedder: Embedder | None) -> None:
    store_texts(tmp_path, [Text(f"session/{n}", f"note {n} about bean{n}") for n in range(1200)], embedder)
    searcher = _searcher(embedder)

    def found(query: str) -> list[str]:
        result = asyncio.run(searcher.search(tmp_path, BRAND, ["en"], SearchRequest(query, mode=Mode.EXACT)))
        return _keys(result)

    assert found("bean77") == ["session/77"]
    store_texts(tmp_path, [Text("session/77", "renamed to pod77"), Text("session/new", "a new bean9000")], embedder)
    with closing(open_store(tmp_path, BRAND)) as store, store.transaction() as connection:
        connection.execute("DELETE FROM words WHERE rowid = 5")
        connection.execute("DELETE FROM entries WHERE key = 'session/4'")
        store.ticks(1)
    assert [found(word) for word in ("bean77", "pod77", "bean9000", "bean4", "bean1199")] == [
        [],
        ["session/77"],
        ["session/new"],
        [],
        ["session/1199"],
    ]


def test_a_damaged_vector_is_never_used(tmp_path: Path) -> None:
    store_texts(tmp_path, TEXTS, MODEL, LANGUAGES)
    with closing(open_store(tmp_path, BRAND)) as store, store.transaction() as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(1024) WHERE seq = 1")
        connection.execute("UPDATE vectors SET vector = x'00' WHERE seq = 2")
        store.ticks(1)
    result = _ask(tmp_path, MODEL, "checkout completion")
    assert result.hits[0].key == "insight/1"
    assert result.hits[0].similarity is None
    assert "without-vectors" in [finding.code for finding in result.findings]


def test_long_texts_are_found_by_any_of_their_passages(tmp_path: Path) -> None:
    long = "Nothing of note happened here. " * 120 + "The zeppelin banner over Hamburg was a success."
    store_texts(tmp_path, [*TEXTS, Text("guideline/long", long)], MODEL, LANGUAGES)
    hit = _ask(tmp_path, MODEL, "zeppelin over Hamburg").hits[0]
    assert hit.key == "guideline/long"
    assert "zeppelin" in hit.passage
    assert len(hit.passage) < len(hit.content)


def test_of_a_longer_text_the_sentence_that_answers_is_shown_in_whatever_form_it_has_the_words(tmp_path: Path) -> None:
    """An answer shows 600 characters: the first ones of a longer text need not be those."""
    long = "Nothing of note happened that day in the shops. " * 20 + "The zeppelin flew over Hamburg for an hour."
    store_texts(tmp_path, [*TEXTS, Text("guideline/long", long)], MODEL, LANGUAGES)
    result = _ask(tmp_path, MODEL, "shops, zeppelins in Hamburg")
    assert result.hits[0].key == "guideline/long"
    assert result.hits[0].passage.endswith("over Hamburg for an hour.")
    shown = search_report(result).text
    assert "over Hamburg for an hour.”" in shown
    assert "1. “… " in shown


def test_a_hit_explains_its_place(memory_dir: Path, embedder: Embedder | None) -> None:
    hit = _ask(memory_dir, embedder, "Why did iPhone checkouts fall?", explain=True).hits[0]
    explained = hit.explanation
    assert explained is not None
    assert {word.word: word.found for word in explained.words}["iphone"]
    assert explained.by_words == 1.0
    assert (explained.similarity is None) == (embedder is None)
    assert "iphone" in explained.reasons[0]
    mistyped = _ask(memory_dir, embedder, "portaits of growers", explain=True).hits[0].explanation
    assert mistyped is not None
    assert "portaits (read as portrait)" in mistyped.reasons[0]


def test_what_search_keeps_of_brands_is_bounded_and_what_was_asked_longest_ago_goes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
        store_texts(folder, TEXTS, MODEL, LANGUAGES)
    searcher = _searcher(MODEL)

    async def ask(folder: Path) -> int:
        await searcher.search(folder, BRAND, LANGUAGES, SearchRequest("iPhone checkouts"))
        return sum(index.nbytes for index in searcher.indexes._indexes.values())

    one = asyncio.run(ask(folders[0]))
    assert MAX_BYTES == 256_000_000
    searcher.indexes = Indexes(max_bytes=int(2.5 * one))
    sizes = [asyncio.run(ask(folder)) for folder in (*folders, folders[1])]
    assert max(sizes) <= 2.5 * one
    assert [Path(path).parent.name for path, *_ in searcher.indexes._indexes] == ["third", "second"]


def test_a_model_that_cannot_be_used_leaves_words_alone(tmp_path: Path) -> None:
    store_texts(tmp_path, TEXTS, None, LANGUAGES)
    result = _ask(tmp_path, PoisonedEmbedder(), "Checkout completion POISON")
    assert result.hits[0].key == "insight/1"


def test_there_is_no_memory_yet(tmp_path: Path) -> None:
    result = _ask(tmp_path / "none", None, "anything")
    assert (result.hits, result.known) == ((), False)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"query": " ?! "}, "empty"),
        ({"query": "x" * 10_001}, "longer"),
        ({"limit": 0}, "limit"),
        ({"from_date": "someday"}, "someday"),
        ({"from_date": "2026-05-01", "to_date": "2026-04-01"}, "after"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_words(
    tmp_path: Path, wanted: dict[str, object], word: str
) -> None:
    with pytest.raises(InputError, match=word):
        _ask(tmp_path, None, **({"query": "checkout"} | wanted))  # type: ignore[arg-type]  # fields of the request


@pytest.mark.parametrize(
    "query", ['"', "AND OR NOT", "a* NEAR(b) ^c:", "x\ud800y", "é" * 9000, "\x00word", "-- ; DROP"]
)
def test_no_query_breaks_the_search(memory_dir: Path, embedder: Embedder | None, query: str) -> None:
    for mode in Mode:
        try:
            _ask(memory_dir, embedder, query, mode=mode)
        except InputError as error:
            assert "empty" in error.problem  # noqa: PT017  # most of these are questions


def test_searches_in_several_threads_do_not_disturb_each_other(memory_dir: Path, embedder: Embedder | None) -> None:
    searcher = _searcher(embedder)
    questions = ["Why did iPhone checkouts fall?", "what do welcome emails open with", "浅煎りは誰に売れましたか"]
    found: list[tuple[str, str]] = []

    def ask(question: str) -> None:
        for _ in range(10):
            result = asyncio.run(searcher.search(memory_dir, BRAND, LANGUAGES, SearchRequest(question)))
            found.append((question, result.hits[0].key))

    threads = [threading.Thread(target=ask, args=(question,)) for question in questions * 2]
    for thread in threads:
        thread.start()
    for number in range(5):
        store_texts(memory_dir, [Text(f"session/{number}", f"Something else {number}")], embedder, LANGUAGES)
    for thread in threads:
        thread.join()
    assert len(found) == 60
    assert set(found) == set(zip(questions, ["insight/1", "insight/2", "insight/5"], strict=True))


class _Proposer(ServiceBase):
    """A vector service that proposes what it is given."""

    name, role, engine = "vector@here", "vector", "Qdrant (here)"
    capabilities = Capabilities(10, proposes=True)

    def __init__(self, *proposals: Proposal, error: Exception | None = None, seconds: float = 0.0) -> None:
        self._proposals, self._error, self._seconds = proposals, error, seconds

    async def search(self, query: SearchQuery) -> list[Proposal]:
        del query
        await asyncio.sleep(self._seconds)
        if self._error:
            raise self._error
        return list(self._proposals)


def _proposal(key: str, brand: str = BRAND) -> Proposal:
    return Proposal(storage_id(brand, key), 0.9, f"text of {key}", key, "guideline", (), "", brand)


def _with_services(memory_dir: Path, *services: object) -> SearchResult:
    return _ask(memory_dir, None, "checkout", *services)  # type: ignore[arg-type]  # as much of a service as is asked


def test_what_a_service_knows_is_scored_here_and_what_only_it_has_stands_below(tmp_path: Path) -> None:
    store_texts(tmp_path, TEXTS, None, LANGUAGES)
    forgotten = _proposal("insight/forgotten")
    with closing(open_store(tmp_path, BRAND)) as store, store.transaction() as connection:
        connection.execute("INSERT INTO tombstones VALUES ('episodes', ?, 1, ?, '')", (forgotten.id, BRAND))
    proposals = (_proposal("insight/1"), _proposal("insight/6"), _proposal("x", "other"), forgotten, _proposal("new"))
    result = _with_services(tmp_path, _Proposer(*proposals))
    assert [(hit.key, hit.service) for hit in result.elsewhere] == [("new", "Qdrant (here)")]
    assert _keys(result)[0] == "insight/1"
    assert result.hits[0].content == TEXTS[0].content


def test_a_service_that_fails_or_hangs_adds_a_note_and_nothing_else(tmp_path: Path) -> None:
    store_texts(tmp_path, TEXTS, None, LANGUAGES)
    failing = _Proposer(error=ServiceError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE))
    searcher = Searcher(None, timeout=0.05)
    services = (failing, _Proposer(error=RuntimeError("secret")), _Proposer(seconds=60))
    result = asyncio.run(
        searcher.search(tmp_path, BRAND, LANGUAGES, SearchRequest("checkout"), services=services)  # type: ignore[arg-type]  # as above
    )
    assert _keys(result)[0] == "insight/1"
    notes = [finding.message for finding in result.findings]
    assert ["unavailable" in notes[0], "unexpected" in notes[1], "within 0.05 s" in notes[2]] == [True] * 3
    assert "secret" not in "".join(notes)
