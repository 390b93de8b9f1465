"""Which tests of Qdrant are chosen, and an empty cluster."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.layers.qdrant.cluster import Cluster


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, visibly, what needs fastembed where it is not installed, or servers nobody asked for."""
    absent = set() if importlib.util.find_spec("fastembed") else {"fastembed"}
    absent |= set() if "qdrant" in os.environ.get("DM_MEMORY_INTEROP", "") else {"interop"}
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    left_out = [item for item in here if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def cluster() -> Cluster:
    """An empty cluster."""
    return Cluster()
