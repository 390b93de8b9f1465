"""Reading and writing tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from dm_memory_redb import Database


def test_what_is_put_is_there_after_the_file_is_opened_again(path: Path) -> None:
    with Database.open(path) as database:
        assert database.put_many("notes", [(b"a", b"1"), (b"b", b"2")]) == 2
    with Database.open(path, create=False) as database:
        assert database.get("notes", b"a") == b"1"
        assert database.get_many("notes", [b"b", b"?", b"a"]) == [b"2", None, b"1"]


def test_a_later_value_replaces_an_earlier_one(database: Database) -> None:
    database.put_many("notes", [(b"a", b"1"), (b"a", b"2")])
    assert database.get("notes", b"a") == b"2"
    assert database.count("notes") == 1


def test_a_table_nobody_wrote_to_is_empty(database: Database) -> None:
    assert database.get("nothing", b"a") is None
    assert database.get_many("nothing", [b"a", b"b"]) == [None, None]
    assert database.scan("nothing") == []
    assert database.count("nothing") == 0
    assert database.tables() == []


def test_a_table_without_a_name_is_refused_and_the_database_goes_on(database: Database) -> None:
    for act in (
        lambda: database.put_many("", [(b"a", b"1")]),
        lambda: database.get("", b"a"),
        lambda: database.scan(""),
        lambda: database.clear(""),
        lambda: database.count(""),
    ):
        with pytest.raises(ValueError, match="name must not be empty"):
            act()
    with database.write() as transaction, pytest.raises(ValueError, match="name must not be empty"):
        transaction.put("", b"a", b"1")
    database.put_many("notes", [(b"", b"")])
    assert database.get("notes", b"") == b""


def test_tables_hold_their_keys_apart(database: Database) -> None:
    database.put_many("one", [(b"k", b"1")])
    database.put_many("two", [(b"k", b"2")])
    assert (database.get("one", b"k"), database.get("two", b"k")) == (b"1", b"2")
    assert database.tables() == ["one", "two"]


def test_deleting_says_how_many_there_were(database: Database) -> None:
    database.put_many("notes", [(b"a", b"1"), (b"b", b"2")])
    assert database.delete_many("notes", [b"a", b"?"]) == 1
    assert database.count("notes") == 1
    assert database.clear("notes") == 1
    assert database.count("notes") == 0


def test_keys_and_values_may_be_empty_and_hold_any_byte(database: Database) -> None:
    wild = [(b"", b""), (b"\x00", b"\xff" * 10_000), (bytes(range(256)), b"\x00")]
    database.put_many("notes", wild)
    assert database.scan("notes") == sorted(wild)


@pytest.mark.parametrize(
    ("start", "end", "limit", "reverse", "expected"),
    [
        (None, None, 100, False, "abcde"),
        (b"b", b"d", 100, False, "bc"),
        (b"b", None, 2, False, "bc"),
        (None, b"d", 2, True, "cb"),
        (None, None, 0, False, ""),
        (b"d", b"b", 100, False, ""),
        (b"b", b"b", 100, True, ""),
        (b"bb", b"x", 100, True, "edc"),
    ],
)
def test_a_scan_takes_start_leaves_end_and_stops_at_its_limit(
    database: Database, start: bytes | None, end: bytes | None, limit: int, reverse: bool, expected: str
) -> None:
    database.put_many("letters", [(letter.encode(), b"") for letter in "abcde"])
    found = database.scan("letters", start, end, limit=limit, reverse=reverse)
    assert "".join(key.decode() for key, _ in found) == expected


def test_pages_of_a_scan_follow_each_other_without_gap_or_overlap(database: Database) -> None:
    rows = [(i.to_bytes(2, "big"), b"x") for i in range(1000)]
    database.put_many("numbers", reversed(rows))
    pages, start = [], b""
    while page := database.scan("numbers", start, limit=64):
        pages += page
        start = page[-1][0] + b"\x00"
    assert pages == rows


def test_any_iterable_will_do(database: Database) -> None:
    database.put_many("notes", {b"a": b"1", b"b": b"2"}.items())
    database.put_many("notes", ((bytes([i]), b"") for i in range(3)))
    assert database.get_many("notes", iter([b"a"])) == [b"1"]


@pytest.mark.parametrize("wrong", ["text", None, 3, [1, 2]])
def test_what_is_not_bytes_is_a_type_error_and_stores_nothing(database: Database, wrong: object) -> None:
    with pytest.raises(TypeError):
        database.put_many("notes", [(b"a", b"1"), (b"b", wrong)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        database.get("notes", wrong)  # type: ignore[arg-type]
    assert database.count("notes") == 0


def test_an_iterable_that_fails_stores_nothing(database: Database) -> None:
    def items() -> object:
        yield b"a", b"1"
        raise LookupError("source")

    with pytest.raises(LookupError, match="source"):
        database.put_many("notes", items())  # type: ignore[arg-type]
    assert database.count("notes") == 0


def test_statistics_count_what_is_stored(database: Database) -> None:
    database.put_many("notes", [(bytes([i]) * 8, b"v" * 1000) for i in range(100)])
    stats = database.stats()
    assert stats["stored_bytes"] == 100 * 1008
    assert stats["tables"] == 1
    assert stats["file_bytes"] == database.path.stat().st_size


def test_compacting_gives_space_back(database: Database) -> None:
    database.put_many("notes", [(i.to_bytes(4, "big"), b"v" * 2000) for i in range(5000)])
    database.clear("notes")
    before = database.stats()["file_bytes"]
    assert database.compact() is True
    assert database.stats()["file_bytes"] < before / 4
    assert database.check_integrity() is True
