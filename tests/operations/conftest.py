"""The bench of ``tests/sync``, for operations beside a sync."""

from tests.sync.conftest import bench

__all__ = ["bench"]
