"""Write the points of a synced brand to a file, for the control to store. Usage: dump_points.py MEMORY FILE."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from tests.support.stored import engine_points

_BATCH = 256

points = [
    (
        point.id,
        point.document,
        {name: vector for name, vector in point.vectors.items() if name != "bm25"},
        {"document": point.document, "metadata": point.metadata},
    )
    for point in engine_points(Path(sys.argv[1]))
]
with Path(sys.argv[2]).open("wb") as file:
    for start in range(0, len(points), _BATCH):
        pickle.dump(points[start : start + _BATCH], file)
