"""Entries are named by whole and by short keys and ids, as reports print them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from dm_memory.errors import InputError
from dm_memory.store.naming import full_key

FIRST = "prepared/" + "ab12cd34" * 8
SECOND = "prepared/" + "ab12cd34" * 7 + "00000000"
LISTED = "campaign/spring#learnings/0123456789abcdef"
ROWS = [
    (1, "5d2a1f6e-0c0b-5b7e-9a51-0a8a1b2c3d4e", FIRST, "Posters  are\ncheap " + "and so on " * 20, None),
    (2, "5d2a1fff-0c0b-5b7e-9a51-0a8a1b2c3d4e", SECOND, "Posters are dear", None),
    (3, "77777777-0c0b-5b7e-9a51-0a8a1b2c3d4e", LISTED, "Mail on Monday", None),
    (4, "77777788-0c0b-5b7e-9a51-0a8a1b2c3d4e", "insight/2026-11-02T10:00:00", "Mail on Monday", 3),
]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE entries (seq INTEGER, id TEXT, key TEXT, content TEXT, duplicate_of INTEGER)")
    made.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", ROWS)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (FIRST, FIRST),
        (ROWS[0][1], FIRST),
        ("5d2a1f6e", FIRST),
        ("5D2A1F6", FIRST),
        (" `5d2a1f6e` ", FIRST),
        ("5d2a1f6e-0c0b", FIRST),
        ("campaign/spring#learnings/01234567…", LISTED),
        ("campaign/spring#learnings/01234567...", LISTED),
        ("campaign/spring#learnings/01234567", LISTED),
        ("777777", LISTED),
        ("insight/2026-11-02T10:00:00", "insight/2026-11-02T10:00:00"),
        ("5d2a1", None),
        ("abcdef", None),
        ("insight/2026", None),
        ("…", None),
        ("prepared/ffffffff…", None),
        ("%", None),
        ("", None),
    ],
)
def test_an_entry_is_known_by_what_reports_print_of_it(
    connection: sqlite3.Connection, name: str, key: str | None
) -> None:
    assert full_key(connection, name) == key


@pytest.mark.parametrize("name", ["5d2a1f", "prepared/ab12cd34…", "prepared/ab12cd34"])
def test_what_fits_several_is_refused_with_the_beginning_of_each(connection: sqlite3.Connection, name: str) -> None:
    with pytest.raises(InputError) as caught:
        full_key(connection, name)
    first = ("Posters are cheap " + "and so on " * 20)[:60]
    assert f"“{first}”, “Posters are dear”" in caught.value.problem
    assert "\n" not in caught.value.problem
    assert caught.value.remedy
