"""The client's local mode, with the part of the SDK's REST interface that the service sends ready-made JSON through."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson


def local_client(*args: Any, **options: Any) -> Any:
    """Return an ``AsyncQdrantClient`` in local mode; what it is sent is read into the SDK's own models."""
    from qdrant_client import AsyncQdrantClient, models  # noqa: PLC0415  # 1 s of import: not by collection

    class Local(AsyncQdrantClient):
        @property
        def http(self) -> Any:
            return SimpleNamespace(points_api=SimpleNamespace(batch_update=self._batch_update))

        async def _batch_update(self, name: str, *, wait: bool, update_operations: bytes) -> Any:
            sent = models.UpdateOperations(**orjson.loads(update_operations))
            return SimpleNamespace(result=await self.batch_update_points(name, sent.operations, wait=wait))

    return Local(*args, **options)
