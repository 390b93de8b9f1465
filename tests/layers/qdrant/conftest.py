"""An empty cluster, a stand-in for MiniLM's files, and which tests start the vendor's server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.layers.qdrant.cluster import Cluster
from tests.layers.qdrant.standin import write_cache


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, visibly, the vendor's server where nobody asked for it."""
    if "qdrant" in os.environ.get("DM_MEMORY_INTEROP", ""):
        return
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    left_out = [item for item in here if item.get_closest_marker("interop")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def cluster() -> Cluster:
    """An empty cluster."""
    return Cluster()


@pytest.fixture
def model_cache(tmp_path: Path) -> Path:
    """A cache of fastembed's that holds a stand-in for MiniLM, and nothing else."""
    write_cache(tmp_path / "models")
    return tmp_path / "models"
