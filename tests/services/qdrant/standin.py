"""A stand-in for all-MiniLM-L6-v2 in the files that fastembed reads: every word has a direction, a text their mean.

No model can be downloaded by tests. The graph is one ONNX node that looks token vectors up; fastembed does the pooling,
as for the real model. It is written as protobuf by hand, field numbers as in onnx.proto3, which saves the package onnx.
"""

from __future__ import annotations

import json
import math
import random
import re
from array import array
from collections.abc import Sequence
from pathlib import Path

from dm_memory.embedding.protocol import MINILM, EmbeddingSpec

__all__ = ["WINDOW", "StandIn", "write_cache", "write_model"]

WINDOW = 128
"""Tokens the model reads, as in MiniLM's own tokenizer_config.json."""

_DIMENSION = 384
_WORDS = (
    "the a of and to in for with by on is was were are our we it that this not more less than as at from words cheapest"
    " leads podcast sponsorships sponsorship brought year newsletter newsletters subject lines open percent shorter"
    " learning customers competitor pricing price campaign spring email video testimonials convert better studio zebra"
    " mascot tripled dwell time stand budget plan long flamingo pink need campaigns answer question"
)
_INT64, _FLOAT = 7, 1
_REVISION = "0" * 40
_REPOSITORY = "models--Qdrant--all-MiniLM-L6-v2-onnx"


def write_cache(cache: Path) -> Path:
    """Write the model where fastembed looks for what it has downloaded; return the model's folder."""
    repository = cache / _REPOSITORY
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(_REVISION)
    folder = repository / "snapshots" / _REVISION
    write_model(folder)
    return folder


def write_model(folder: Path, seed: int = 1) -> None:
    """Write the model's files into a folder of their own."""
    folder.mkdir(parents=True)
    vocabulary = _vocabulary()
    (folder / "model.onnx").write_bytes(_model(len(vocabulary), seed))
    documents = {
        "tokenizer.json": _tokenizer(vocabulary),
        "tokenizer_config.json": {"model_max_length": WINDOW, "pad_token": "[PAD]"},
        "special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": "[UNK]"},
        "config.json": {"pad_token_id": 0},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))


def _tokenizer(vocabulary: list[str]) -> dict[str, object]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(vocabulary)},
            "unk_token": "[UNK]",
        },
    }


class StandIn:
    """The same model without fastembed: what it embeds, a server that runs the files above finds."""

    spec = EmbeddingSpec(MINILM, _DIMENSION, "stand-in")
    chunk_chars = 400

    def __init__(self) -> None:
        self._numbers = {word: number for number, word in enumerate(_vocabulary())}
        self._table = _table(len(self._numbers), 1)

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector of length 1 per text."""
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query."""
        words = re.findall(r"\w+|[^\w\s]", text.lower())[:WINDOW]
        rows = [self._numbers.get(word, 1) * _DIMENSION for word in words]
        total = [sum(self._table[row + place] for row in rows) for place in range(_DIMENSION)]
        length = math.hypot(*total) or 1.0
        return [value / length for value in total]


def _vocabulary() -> list[str]:
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(re.findall(r"\w+", _WORDS)), *"0123456789"]


def _table(words: int, seed: int) -> array[float]:
    chance = random.Random(seed)
    table = array("f", (chance.gauss(0, 1) for _ in range(words * _DIMENSION)))
    table[: 2 * _DIMENSION] = array("f", [0.001] * 2 * _DIMENSION)  # padding and unknown words say next to nothing
    return table


def _model(words: int, seed: int) -> bytes:
    table = _table(words, seed)
    weights = _number(1, words) + _number(1, _DIMENSION) + _number(2, _FLOAT)
    weights += _bytes(8, b"table") + _bytes(9, table.tobytes())
    node = _bytes(1, b"table") + _bytes(1, b"input_ids") + _bytes(2, b"last_hidden_state") + _bytes(4, b"Gather")
    ids = _value(b"input_ids", _INT64, [b"batch", b"tokens"])
    states = _value(b"last_hidden_state", _FLOAT, [b"batch", b"tokens", b"width"])
    graph = _bytes(1, node) + _bytes(2, b"standin") + _bytes(5, weights) + _bytes(11, ids) + _bytes(12, states)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def _value(name: bytes, kind: int, dimensions: list[bytes]) -> bytes:
    shape = b"".join(_bytes(1, _bytes(2, dimension)) for dimension in dimensions)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
