"""Texts cut for a model with a narrow window: still all of the text, still few pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.embedding.batch import MAX_CHUNKS, chunk, joined

PARTS = st.lists(
    st.sampled_from(["word ", "Sentence. ", "\n\n", "x" * 150, "漢字。", "é" * 90, " ", "🎉 "]), max_size=300
)


@given(PARTS.map("".join), st.sampled_from([100, 200, 400, 1499]))
def test_pieces_of_any_size_cover_the_text_and_fit(text: str, size: int) -> None:
    pieces = chunk(text, size)
    assert len(pieces) <= MAX_CHUNKS
    assert max(map(len, pieces)) <= max(size, len(text) * 3 // (2 * MAX_CHUNKS) + 1)
    covered = 0
    for piece in pieces:
        start = max(at for at in range(max(0, covered - size), covered + 1) if text.startswith(piece, at))
        covered = max(covered, start + len(piece))
    assert covered == len(text)


@pytest.mark.parametrize("unit", ["x", "word ", "A sentence about customers. ", "\n\n", "。", " "])
@pytest.mark.parametrize("length", [401, 34_000, 34_200, 51_000, 190_000, 2_000_000])
def test_however_long_a_text_is_its_pieces_are_few(unit: str, length: int) -> None:
    assert len(chunk((unit * length)[:length], 400)) <= MAX_CHUNKS


def test_a_text_is_put_together_again_from_small_pieces() -> None:
    text = " ".join(f"Learning {number} has words of its own: {number * 7919 % 1009}." for number in range(400))
    pieces = chunk(text, 400)
    assert len(pieces) > 30
    assert joined(pieces) == text
