"""An empty cluster, a stand-in for MiniLM's files, and which tests start the vendor's server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.qdrant.cluster import Cluster
from tests.services.qdrant.standin import write_cache


@pytest.fixture
def cluster() -> Cluster:
    """An empty cluster."""
    return Cluster()


@pytest.fixture
def model_cache(tmp_path: Path) -> Path:
    """A cache of fastembed's that holds a stand-in for MiniLM, and nothing else."""
    write_cache(tmp_path / "models")
    return tmp_path / "models"
