"""The full text in memory.db: rebuilt when it was made otherwise, and checked against the entries."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dm_memory.store.candidates import occurrences
from dm_memory.store.database import Store, open_store
from dm_memory.store.indexes import are_words_current, put_words, refresh_words, remove_words
from tests.search.brands import BRAND, Text, store_texts


@pytest.fixture
def memory_dir(tmp_path: Path) -> Path:
    store_texts(tmp_path, [Text("a", "Two campaigns"), Text("b", "Zwei Kampagnen waren es, und nicht drei")], None)
    return tmp_path


def _found(store: Store, word: str) -> list[int]:
    with store.snapshot() as connection:
        return occurrences(connection, [word])[0]


def test_words_are_made_again_when_the_languages_change_and_only_then(memory_dir: Path) -> None:
    with closing(open_store(memory_dir, BRAND)) as store:
        assert are_words_current(store.connection, ["en"])
        assert _found(store, "kampagn") == []
        with store.transaction() as connection:
            assert refresh_words(connection, ["en", "de"]) == 2
        with store.transaction() as connection:
            assert refresh_words(connection, ["en", "de"]) == 0
        assert _found(store, "kampagn") == [2]
        assert _found(store, "campaign") == [1]
        assert store.rows("SELECT language FROM entries ORDER BY seq") == [("en",), ("de",)]


def test_a_rebuild_that_is_rolled_back_leaves_the_old_words(memory_dir: Path) -> None:
    with closing(open_store(memory_dir, BRAND)) as store:
        store.connection.execute("BEGIN IMMEDIATE")
        refresh_words(store.connection, ["de"])
        store.connection.execute("ROLLBACK")
        assert are_words_current(store.connection, ["en"])
        assert _found(store, "campaign") == [1]


def test_put_replaces_and_remove_is_no_error_twice(memory_dir: Path) -> None:
    with closing(open_store(memory_dir, BRAND)) as store:
        with store.transaction() as connection:
            put_words(connection, [(1, "other")])
            remove_words(connection, [2, 2, 99])
        assert _found(store, "campaign") == []
        assert _found(store, "other") == [1]


def test_each_occurrence_of_a_word_counts(memory_dir: Path) -> None:
    store_texts(memory_dir, [Text("c", "tea, tea and more tea")], None)
    with closing(open_store(memory_dir, BRAND)) as store:
        assert _found(store, "tea") == [3, 3, 3]
