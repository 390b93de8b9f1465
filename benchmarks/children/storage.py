"""A process of its own: one storage sync between two files, or the filling of the store. Prints its seconds as JSON."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orjson
import storage_sync


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["fill", "sync"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--engine", choices=["sqlite", "redb"], default="sqlite")
    options = parser.parse_args()
    started = time.perf_counter()
    if options.act == "fill":
        storage_sync.fill(options.folder, range(options.rows), "what was learnt ")
    else:
        cache = options.folder / f"cache-{options.engine}"
        result = storage_sync.sync(options.folder, cache, options.rows, options.engine)
        assert sum(result.moved.written.values()) == options.rows, result
        assert not result.findings, result.findings
    seconds = time.perf_counter() - started
    sys.stdout.buffer.write(orjson.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
