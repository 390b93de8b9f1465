"""The control of syncs without a change: a loop that reads, parses (orjson) and hashes (SHA-256) everything.

It keeps nothing, and has nothing to compare with. Usage: read_loop.py HOME
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import orjson

from tests.support.brands import brand_texts

__all__ = ["read_loop"]


def read_loop(brand: Path) -> int:
    """Read, parse and hash everything; return how many texts that were."""
    return len([hashlib.sha256(text.encode()).hexdigest() for _, text in brand_texts(brand, orjson.loads)])


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps({"items": read_loop(Path(sys.argv[1]) / "brands" / "acme")}))
