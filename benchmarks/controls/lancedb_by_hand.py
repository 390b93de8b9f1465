"""The control of a large first sync: LanceDB as one would write it by hand, a table with vectors and an index of words.

In LanceDB's favour: the texts come from one loop over the files, without privacy guard, tags, facts, journal or
anything that a second sync could compare with; every text has the same vector, made once.

Usage: lancedb_by_hand.py HOME FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import lancedb
import numpy as np
import orjson
import pyarrow as pa
from lancedb.index import FTS

from tests.support.brands import brand_texts

_DIMENSION = 256


def main() -> None:
    """Store a brand and print how many texts that were."""
    texts = list(brand_texts(Path(sys.argv[1]) / "brands" / "acme", orjson.loads))
    vectors = np.full((len(texts), _DIMENSION), 1 / 16, dtype=np.float32)
    rows = pa.table(
        {
            "key": [key for key, _ in texts],
            "hash": [hashlib.sha256(text.encode()).hexdigest() for _, text in texts],
            "text": [text for _, text in texts],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), _DIMENSION),
        }
    )
    table = lancedb.connect(sys.argv[2]).create_table("memory", rows)
    table.create_index("text", config=FTS())
    assert table.search("founder videos", query_type="fts").limit(1).to_list()
    sys.stdout.buffer.write(orjson.dumps({"stored": table.count_rows()}))


main()
