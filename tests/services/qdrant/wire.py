"""A Qdrant server for tests: the server's REST interface in front of the client's local mode.

Each body is read into the SDK's own models, which forbid what they don't know; so what goes over the wire is checked,
and what it means is local mode's word.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import orjson
from pydantic import BaseModel

from tests.services.qdrant.stub import Answer, Stub, failure, reply, serving

_Route = Callable[[Any, str, dict[str, Any]], Awaitable[Any]]


class Wire(Stub):
    """A stub that answers with what the client's local mode does."""

    def __init__(self) -> None:
        from qdrant_client import AsyncQdrantClient  # noqa: PLC0415  # 1 s of import: not by collection

        super().__init__()
        self.client = AsyncQdrantClient(":memory:")

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answer a request as the server would."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        name = parts[1] if len(parts) > 1 else ""
        route = _ROUTES.get(f"{method} {path}") or _ROUTES.get(" ".join([method, parts[0], "*", *parts[2:]]))
        if route is None:
            return failure(404, f"no route {method} {path}")
        try:
            value = await route(self.client, name, orjson.loads(body) if body else {})
        except ValueError as error:  # what local mode says where a server answers with a status
            words = str(error)
            status = 404 if "not found" in words else 409 if "already exists" in words else 400
            return failure(status, words)
        return reply(200, orjson.dumps({"result": value, "status": "ok", "time": 0.001}, default=_plain))


async def _aliases(client: Any, _: str, __: dict[str, Any]) -> Any:
    return await client.get_aliases()


async def _list(client: Any, _: str, __: dict[str, Any]) -> Any:
    return await client.get_collections()


async def _rename(client: Any, _: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    actions = models.ChangeAliasesOperation(**body).actions
    return await client.update_collection_aliases(actions)


async def _exists(client: Any, name: str, _: dict[str, Any]) -> Any:
    return {"exists": await client.collection_exists(name)}


async def _describe(client: Any, name: str, _: dict[str, Any]) -> Any:
    return await client.get_collection(name)


async def _create(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    wanted = models.CreateCollection(**body)
    return await client.create_collection(
        name, wanted.vectors, sparse_vectors_config=wanted.sparse_vectors, metadata=wanted.metadata
    )


async def _change(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return await client.update_collection(name, metadata=models.UpdateCollection(**body).metadata)


async def _drop(client: Any, name: str, _: dict[str, Any]) -> Any:
    return await client.delete_collection(name)


async def _index(_: Any, __: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    models.CreateFieldIndex(**body)
    return {"operation_id": 1, "status": "completed"}


async def _batch(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return await client.batch_update_points(name, models.UpdateOperations(**body).operations)


async def _delete(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return await client.delete(name, models.FilterSelector(**body))


async def _scroll(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    asked = models.ScrollRequest(**body)
    points, following = await client.scroll(
        name,
        asked.filter,
        limit=asked.limit,
        offset=asked.offset,
        with_payload=asked.with_payload,
        with_vectors=asked.with_vector,
    )
    return {"points": points, "next_page_offset": following}


async def _count(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return await client.count(name, models.CountRequest(**body).filter)


async def _query(client: Any, name: str, body: dict[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415  # as above

    return (await client.query_batch_points(name, [models.QueryRequest(**body)]))[0]


_ROUTES: dict[str, _Route] = {
    "GET /collections": _list,
    "GET /aliases": _aliases,
    "POST /collections/aliases": _rename,
    "GET collections * exists": _exists,
    "GET collections *": _describe,
    "PUT collections *": _create,
    "PATCH collections *": _change,
    "DELETE collections *": _drop,
    "PUT collections * index": _index,
    "POST collections * points batch": _batch,
    "POST collections * points delete": _delete,
    "POST collections * points scroll": _scroll,
    "POST collections * points count": _count,
    "POST collections * points query": _query,
}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(type(value))


@contextmanager
def running() -> Iterator[Wire]:
    """Run a server on a thread of its own while the block runs."""
    wire, started = Wire(), threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with serving(stub=wire):
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="qdrant-over-http")
    thread.start()
    started.wait()
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
