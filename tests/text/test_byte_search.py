"""The search for pieces in bytes finds what ``in`` finds, in a process of its own and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.store.forgetting import Text
from dm_memory.store.traces import find_in_files, needles_of
from dm_memory.text import byte_search
from dm_memory.text.words import analyse


def text(content: str) -> Text:
    return Text(1, "id", "key", 0, content, "hash", "en")


@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 400), st.integers(8, 60)), max_size=20))
def test_what_is_there_is_found_and_nothing_else(data: bytes, places: list[tuple[int, int]]) -> None:
    needles = {data[start : start + length] for start, length in places}
    needles |= {needle[::-1] for needle in needles}
    needles = {needle for needle in needles if len(needle) >= 8}
    assert byte_search.find(data, needles) == {needle for needle in needles if needle in data}


def test_a_piece_across_the_border_of_two_blocks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_search, "_BLOCK", 64)
    data = bytes(range(256)) * 3
    needles = {data[start : start + length] for start in range(200) for length in (8, 13, 31, 32, 40)}
    assert byte_search.find(data, needles | {b"not in there at all, whatever it is"}) == needles


@pytest.mark.parametrize(
    "form",
    [
        lambda content: content.encode(),
        lambda content: b'{"content":"' + content.replace('"', '\\"').replace("\n", "\\n").encode() + b'"}',
        lambda content: ascii(content).replace("'", '"').encode(),
        lambda content: b"page of another" + content.encode()[40:120] + b"\0" * 100,
    ],
)
def test_a_copy_is_found_in_every_form_and_in_parts(tmp_path: Path, form: object) -> None:
    content = (
        'Grüße an "Jane Zeppelinska" aus Łódź,\ndie um Mitternacht fragt, warum der rote Brief bei ihr ankommt,'
        " und nicht am Morgen"
    )
    assert callable(form)
    (tmp_path / "with").write_bytes(b"x" * 5000 + form(content))
    (tmp_path / "without").write_bytes(b"Some other text that has nothing to do with it." * 100)
    needles, short = needles_of([text(content)], ["other texts"])
    found = find_in_files(tmp_path, needles)
    assert (found.hits, found.files, short) == (["with"], 2, 0)


def test_a_piece_that_other_texts_have_too_proves_nothing_and_a_short_text_is_named() -> None:
    shared = "A sentence of more than sixty-four characters that two entries have in common, word by word."
    others = [f"before {shared} after", analyse(shared, "en")]
    needles, short = needles_of([text(shared), text("Ann")], others)
    assert (needles, short) == ([], 1)
