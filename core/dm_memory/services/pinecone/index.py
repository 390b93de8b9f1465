"""The Pinecone index behind the service: found, or made; its clients opened late and closed both.

Importing this module imports the SDK.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from pinecone import ApiError, AsyncPinecone, ConflictError, NotFoundError, PineconeValueError
from pinecone.async_client.async_index import AsyncIndex
from pinecone.models.indexes.index import IndexModel
from pinecone.models.indexes.schema import SemanticTextField

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, refused
from dm_memory.services.http import http_client
from dm_memory.services.pinecone.errors import JunkReplyError, translated
from dm_memory.services.pinecone.records import TEXT_FIELD, Embedding, IndexPlan

__all__ = ["PineconeIndex", "Target", "open_control"]

_POLL = 1.0
"""Seconds between two looks at an index that is being made."""

_CREATED = 201
_REFUSALS = frozenset({400, 404, 412, 422})
_NEVER_READY = frozenset({"InitializationFailed", "Terminating", "Disabled"})


def open_control(key: str, host: str | None, timeout: float, faults: Faults) -> AsyncPinecone:
    """Return the control plane's client; for a thread, because certificates are read.

    Raises:
        ConfigurationError: See ``client_options``.
        ServiceError: The key can't be one.
    """
    try:
        client = AsyncPinecone(api_key=key, host=host, timeout=timeout)
    except PineconeValueError as error:
        raise faults.auth("key") from error
    _use_our_client(client.indexes._http)  # noqa: SLF001  # see there
    return client


def _use_our_client(plane: Any) -> None:  # noqa: ANN401  # one of the SDK's private types
    """Give one of the SDK's planes (10.2) a client of our factory, for what it has no parameter for; tests cover each.

    * Proxies and certificates by the environment: the SDK knows no HTTPS_PROXY.
    * One attempt: its own four sleep through a Retry-After of up to a minute, and the caller would see a timeout in
      place of a rate limit.
    * Acknowledgements: it never looks into the reply to a write, so that a proxy's page would confirm it.
    """
    plane._client = http_client(  # noqa: SLF001  # see above
        plane._config.host,  # noqa: SLF001  # see above
        base_url=plane._config.host,  # noqa: SLF001  # see above
        headers=plane._headers,  # noqa: SLF001  # see above
        timeout=plane._config.timeout,  # noqa: SLF001  # see above
        event_hooks={"response": [_require_acknowledgement]},
    )


async def _require_acknowledgement(response: httpx.Response) -> None:
    """Refuse a success whose body no answer to a write can have; the vendor's is 201, or ``{}``."""
    path = response.request.url.path
    if not response.is_success or not path.endswith(("/upsert", "/vectors/delete")):
        return
    if response.status_code == _CREATED:
        return
    body = (await response.aread()).strip()
    if body and not (body.startswith(b"{") and body.endswith(b"}")):
        raise JunkReplyError


@dataclass(frozen=True, slots=True)
class Target:
    """An index that is ready: its data plane, and its embedding."""

    index: AsyncIndex
    embedding: Embedding


class PineconeIndex:
    """One index of one project.

    Args:
        client: The control plane.
        plan: The index's name, and how it is made if it is missing.
        faults: For messages.
        timeout: Seconds for a new index to be ready.
    """

    def __init__(self, client: AsyncPinecone, plan: IndexPlan, faults: Faults, timeout: float) -> None:
        self._client = client
        self._plan = plan
        self._faults = faults
        self._timeout = timeout
        self._target: Target | None = None
        self._stale: list[AsyncIndex] = []
        self._turn = asyncio.Lock()

    async def embedding(self) -> Embedding | None:
        """Ask the control plane, always, in one round trip; None if there is no index yet.

        Raises:
            ServiceError: It is not ready, or does not embed texts, or Pinecone can't be asked.
        """
        model = await self._describe()
        return None if model is None else self._embedding_of(self._ready(model))

    async def found(self) -> Target | None:
        """Return the index, or None if there is none yet: then nothing is stored. Raises ``ServiceError``."""
        async with self._turn:
            if self._target is None and (model := await self._describe()) is not None:
                self._target = await self._opened(self._ready(model))
            return self._target

    async def made(self) -> Target:
        """Return the index, made if it is missing. Raises ``ServiceError``."""
        async with self._turn:
            if self._target is None:
                self._target = await self._opened(await self._describe_or_make())
            return self._target

    def forget(self, target: Target) -> None:
        """Look for the index again at the next call: it is not where it was."""
        if self._target is target:
            self._target = None
            self._stale.append(target.index)

    async def close(self) -> None:
        """Close both planes: the SDK's control client does not close the data plane's."""
        indexes = [*self._stale, *([self._target.index] if self._target else [])]
        self._target, self._stale = None, []
        for index in indexes:
            await index.close()
        await self._client.close()

    async def _opened(self, model: IndexModel) -> Target:
        embedding = self._embedding_of(model)
        if not model.host:
            raise self._not_ready(model.status.state)
        index = await self._client.index(host=model.host)
        await asyncio.to_thread(_use_our_client, index._http)  # noqa: SLF001  # see there
        return Target(index, embedding)

    # The control plane -----------------------------------------------------------------------------------------------

    async def _describe(self) -> IndexModel | None:
        with translated(self._faults):
            try:
                return await self._client.indexes.describe(self._plan.name)
            except NotFoundError:
                return None

    async def _describe_or_make(self) -> IndexModel:
        model = await self._describe()
        if model is None:
            await self._make()
            model = await self._describe()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while model is None or not model.status.ready:
            state = model.status.state if model else ""
            if state in _NEVER_READY or loop.time() > deadline:
                raise self._not_ready(state)
            await asyncio.sleep(_POLL)
            model = await self._describe()
        return model

    async def _make(self) -> None:
        """Order the index. That another process ordered it in the meantime is no error."""
        plan = self._plan
        with translated(self._faults):
            try:
                await self._client.indexes.create_for_model(
                    name=plan.name,
                    cloud=plan.cloud,
                    region=plan.region,
                    embed={"model": plan.model, "field_map": {"text": TEXT_FIELD}},
                    timeout=-1,
                )
            except ConflictError:
                return
            except ApiError as error:
                if error.status_code in _REFUSALS:
                    raise _not_made(plan, str(error.status_code)) from error
                raise
            except PineconeValueError as error:
                raise _not_made(plan, "name") from error

    def _ready(self, model: IndexModel) -> IndexModel:
        if not model.status.ready:
            raise self._not_ready(model.status.state)
        return model

    def _not_ready(self, state: str) -> ServiceError:
        return ServiceError(
            f"The Pinecone index {self._plan.name!r} is not ready.",
            "Sync again in a minute; if it stays so, look at the index in the Pinecone console.",
            error_class=ErrorClass.UNAVAILABLE,
            code=state if state.isalpha() else "",
        )

    def _embedding_of(self, model: IndexModel) -> Embedding:
        """Read the model and the text field from the schema, where ``field_map`` of older interfaces went."""
        fields = [(name, field) for name, field in model.schema.fields.items() if isinstance(field, SemanticTextField)]
        if len(fields) != 1:
            raise refused(
                f"The Pinecone index {self._plan.name!r} does not embed texts itself.",
                "Set PINECONE_INDEX to an index with integrated embedding, or to a new name, which dm-memory makes.",
                "no-embedding",
            )
        name, field = fields[0]
        return Embedding(field.model, name)


def _not_made(plan: IndexPlan, code: str) -> ServiceError:
    return ServiceError(
        f"Pinecone can't make an index {plan.name!r} with {plan.model} in {plan.cloud} {plan.region}.",
        "Check PINECONE_INDEX (lower case, digits and hyphens), DM_MEMORY_PINECONE_MODEL, DM_MEMORY_PINECONE_CLOUD and"
        " DM_MEMORY_PINECONE_REGION.",
        error_class=ErrorClass.UNAVAILABLE,
        code=code,
    )
