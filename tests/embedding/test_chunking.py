"""Cutting long texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.embedding.batch import CHUNK_CHARS, MAX_CHUNKS, chunk

PARTS = st.lists(
    st.sampled_from(["word ", "Sentence. ", "\n\n", "x" * 700, "漢字。", "\t", "é" * 90, " ", "Ends here!\n", "🎉 "]),
    max_size=400,
)


@given(PARTS.map("".join))
def test_the_pieces_cover_the_whole_text_in_order(text: str) -> None:
    pieces = chunk(text)
    covered = 0
    for piece in pieces:
        start = max(at for at in range(max(0, covered - 200), covered + 1) if text.startswith(piece, at))
        covered = max(covered, start + len(piece))
    assert covered == len(text)
    assert pieces[0] == text[: len(pieces[0])]
    assert text.endswith(pieces[-1])


@given(PARTS.map("".join))
def test_pieces_are_small_and_few(text: str) -> None:
    pieces = chunk(text)
    size = max(CHUNK_CHARS, len(text) * 3 // (2 * MAX_CHUNKS) + 1)
    assert len(pieces) <= MAX_CHUNKS
    assert all(len(piece) <= size for piece in pieces)
    assert all(pieces) or pieces == [""]


def test_a_text_of_ordinary_length_stays_whole() -> None:
    text = "A learning. " * 120
    assert chunk(text) == [text]


@pytest.mark.parametrize("unit", ["x", "word ", "A sentence about customers. ", "\n\n", "。", " "])
@pytest.mark.parametrize("length", [CHUNK_CHARS + 1, 190_000, 200_000, 2_000_000])
def test_even_two_megabytes_give_a_bounded_number_of_pieces(unit: str, length: int) -> None:
    text = (unit * length)[:length]
    assert len(chunk(text)) <= MAX_CHUNKS


def test_cuts_fall_between_paragraphs_where_there_are_any() -> None:
    paragraph = "Customers who bought twice came back for the winter sale. " * 6
    pieces = chunk("\n\n".join([paragraph] * 20))
    assert len(pieces) > 1
    assert all(piece.endswith("\n\n") for piece in pieces[:-1])


def test_neighbours_share_a_few_words() -> None:
    words = " ".join(f"word{number}" for number in range(1000))
    first, second, *_ = chunk(words)
    shared = set(first.split()) & set(second.split())
    assert 5 < len(shared) < 30
