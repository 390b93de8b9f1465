"""Looking for many pieces in bytes. Run as a program it searches files; it imports nothing of dm-memory.

A place is looked at only if a hash of its bytes 1 to 8 and 25 to 32 is that of a piece: numpy hashes a megabyte in
milliseconds, however many pieces there are. Shorter pieces are known by their first eight bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["WINDOW", "find"]

WINDOW = 32
"""Bytes of a piece that is found fast."""

_BLOCK = 1 << 22
_WORD = 8
_FEW = 4
_BITS = 22
_FIRST = 0x9E3779B97F4A7C15
_LAST = 0xC2B2AE3D27D4EB4F


def find(data: bytes, needles: Collection[bytes]) -> set[bytes]:
    """Return which of the needles, each of eight bytes or more, occur in the data."""
    if len(needles) <= _FEW:
        return {needle for needle in needles if needle in data}
    long = [needle for needle in needles if len(needle) >= WINDOW]
    return _find(data, long, WINDOW) | _find(data, [needle for needle in needles if len(needle) < WINDOW], _WORD)


def _find(data: bytes, needles: Sequence[bytes], width: int) -> set[bytes]:
    import numpy as np  # noqa: PLC0415  # 0.1 s, and every sync imports this module

    found: set[bytes] = set()
    by_start: dict[bytes, list[bytes]] = {}
    for needle in needles:
        by_start.setdefault(needle[:width], []).append(needle)
    likely = np.zeros(1 << _BITS, dtype=bool)
    for start in by_start:
        likely[_hashes(np.frombuffer(start, dtype="<u8"), width)] = True
    for at in range(0, len(data) if needles else 0, _BLOCK):
        block = data[at : at + _BLOCK + width]
        for shift in range(_WORD):
            count = (len(block) - shift) // _WORD
            if count * _WORD < width:
                break
            words = np.frombuffer(block, dtype="<u8", count=count, offset=shift)
            for place in np.flatnonzero(likely[_hashes(words, width)]).tolist():
                first = at + shift + place * _WORD
                same = by_start.get(data[first : first + width], ())
                found.update(needle for needle in same if data.startswith(needle, first))
    return found


def _hashes(words: Any, width: int) -> Any:  # noqa: ANN401  # arrays of numpy
    """Return the hash of each place at which a piece of this width can begin."""
    import numpy as np  # noqa: PLC0415  # as above

    apart = width // _WORD - 1
    mixed = words[: len(words) - apart] * np.uint64(_FIRST)
    if apart:
        mixed = mixed + words[apart:] * np.uint64(_LAST)
    return (mixed >> np.uint64(64 - _BITS)).astype(np.int64)


def _search(needles: Sequence[bytes], paths: Iterable[str]) -> dict[str, tuple[int, bool]]:
    found = {}
    for path in paths:
        try:
            data = Path(path).read_bytes()
        except OSError:  # it went meanwhile, or can't be read: the caller sees that it is missing
            continue
        found[path] = (len(data), bool(find(data, needles)))
    return found


if __name__ == "__main__":
    question = json.load(sys.stdin.buffer)
    answer = _search([bytes.fromhex(needle) for needle in question["needles"]], question["paths"])
    sys.stdout.buffer.write(json.dumps(answer).encode("utf-8", "surrogateescape"))
