"""Looking for many pieces in bytes. Run as a program it searches files; it imports nothing of dm-memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

__all__ = ["find"]

_BLOCK = 1 << 23
_HEAD = 8
_FEW = 16
_LOW = 0xFFFF


def find(data: bytes, needles: Collection[bytes]) -> set[bytes]:
    """Return which of the needles, each of eight bytes or more, occur in the data."""
    if len(needles) <= _FEW:
        return {needle for needle in needles if needle in data}
    import numpy as np  # noqa: PLC0415  # every sync imports this module, and few need it

    found: set[bytes] = set()
    by_head: dict[int, list[bytes]] = {}
    for needle in needles:
        by_head.setdefault(int.from_bytes(needle[:_HEAD], "little"), []).append(needle)
    heads = np.array(sorted(by_head), dtype="<u8")
    likely = np.zeros(_LOW + 1, dtype=bool)
    likely[(heads & np.uint64(_LOW)).astype(np.int64)] = True
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK + _HEAD]
        for shift in range(_HEAD):
            count = (len(block) - shift) // _HEAD
            if count <= 0:
                break
            words = np.frombuffer(block, dtype="<u8", count=count, offset=shift)
            places = np.flatnonzero(likely[(words & np.uint64(_LOW)).astype(np.int64)])
            places = places[np.isin(words[places], heads)]
            for place in places.tolist():
                at = start + shift + place * _HEAD
                for needle in by_head[int(words[place])]:
                    if needle not in found and data.startswith(needle, at):
                        found.add(needle)
    return found


def _search(needles: Sequence[bytes], paths: Sequence[str]) -> dict[str, tuple[int, bool]]:
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
