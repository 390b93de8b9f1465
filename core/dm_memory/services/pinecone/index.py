"""The Pinecone index behind the layer: found, or made; its clients opened late and closed both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.services.pinecone.errors import JunkReplyError, refused, translated
from dm_memory.services.remote import Service

if TYPE_CHECKING:
    import httpx
    from pinecone import AsyncPinecone
    from pinecone.async_client.async_index import AsyncIndex
    from pinecone.models.indexes.index import IndexModel

__all__ = ["TEXT_FIELD", "Embedding", "IndexPlan", "PineconeIndex", "Target"]

TEXT_FIELD = "text"
"""The field for the text in an index we make; any other index says its own."""

_POLL = 1.0
"""Seconds between two looks at an index that is being made."""

_CREATED = 201


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """How an index is called, and how it is made where it is missing."""

    name: str
    model: str
    cloud: str
    region: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an index does with texts: the model, the field it reads, and whether scores are cosine similarities."""

    model: str
    field: str
    cosine: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """An index that is ready: its data plane, and its embedding."""

    index: AsyncIndex
    embedding: Embedding


class PineconeIndex:
    """One index of one project.

    Args:
        api_key: The project's key.
        plan: Its name, and how it is made where it is missing.
        service: Pinecone, for messages.
        host: The control plane's address; None for the public one.
        timeout: Seconds for one request's connecting and for each wait for bytes, and for a new index to be ready.
    """

    def __init__(
        self, api_key: SecretStr, plan: IndexPlan, service: Service, *, host: str | None, timeout: float
    ) -> None:
        self.plan = plan
        self._api_key = api_key
        self._service = service
        self._host = host
        self._timeout = timeout
        self._client: AsyncPinecone | None = None
        self._target: Target | None = None
        self._stale: list[AsyncIndex] = []
        self._turn = asyncio.Lock()
        self._opening = asyncio.Lock()

    async def embedding(self) -> Embedding | None:
        """Ask the control plane, always, in one round trip; None where there is no index yet.

        Raises:
            LayerError: It is not ready, or does not embed texts, or Pinecone can't be asked.
        """
        model = await self._describe()
        if model is None:
            return None
        self._require_ready(model)
        return self._embedding_of(model)

    async def found(self) -> Target | None:
        """Return the index, or None where there is none yet: then nothing is stored. Raises ``LayerError``."""
        if self._target is not None:
            return self._target
        async with self._turn:
            if self._target is None and (model := await self._describe()) is not None:
                self._require_ready(model)
                self._target = await self._opened(model)
            return self._target

    async def made(self) -> Target:
        """Return the index, made where it is missing. Raises ``LayerError``."""
        if self._target is not None:
            return self._target
        async with self._turn:
            if self._target is None:
                self._target = await self._opened(await self._describe_or_make())
            return self._target

    def forget(self, target: Target) -> None:
        """Look for the index anew at the next call: it is not where it was."""
        if self._target is target:
            self._target = None
            self._stale.append(target.index)

    async def close(self) -> None:
        """Close both planes: the SDK's control client does not close the data plane's. Idempotent."""
        async with self._turn:
            target, self._target = self._target, None
            client, self._client = self._client, None
            stale, self._stale = self._stale, []
            for index in [*stale, *([target.index] if target else [])]:
                await index.close()
            if client is not None:
                await client.close()

    # The control plane -------------------------------------------------------------------------------------------

    async def _control(self) -> AsyncPinecone:
        """Return the control plane's client. It is made on a thread, because it reads the certificates there are."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._made_client)
            return self._client

    def _made_client(self) -> AsyncPinecone:
        """Retries are the caller's: the SDK's would sleep through Retry-After."""
        from pinecone import AsyncPinecone, PineconeValueError, RetryConfig  # noqa: PLC0415  # on first use

        try:
            client = AsyncPinecone(
                api_key=self._api_key.get_secret_value(),
                host=self._host,
                timeout=self._timeout,
                retry_config=RetryConfig(max_retries=0),
            )
        except PineconeValueError as error:
            raise self._service.auth("key") from error
        client.indexes._http._ensure_client()  # noqa: SLF001  # else made by the first request, as above
        return client

    async def _describe(self) -> IndexModel | None:
        control = await self._control()
        from pinecone import NotFoundError  # noqa: PLC0415  # on first use

        with translated(self._service):
            try:
                return await control.indexes.describe(self.plan.name)
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
        control = await self._control()
        from pinecone import ApiError, ConflictError, PineconeValueError  # noqa: PLC0415  # on first use

        plan = self.plan
        with translated(self._service):
            try:
                await control.indexes.create_for_model(
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

    def _require_ready(self, model: IndexModel) -> None:
        if not model.status.ready:
            raise self._not_ready(model.status.state)

    def _not_ready(self, state: str) -> LayerError:
        return LayerError(
            f"The Pinecone index {self.plan.name!r} is not ready.",
            "Sync again in a minute; if it stays so, look at the index in the Pinecone console.",
            error_class=ErrorClass.UNAVAILABLE,
            code=state if state.isalpha() else "",
        )

    def _embedding_of(self, model: IndexModel) -> Embedding:
        """Read the model and the text field from the schema, where ``field_map`` of older interfaces went."""
        from pinecone.models.indexes.schema import SemanticTextField  # noqa: PLC0415  # on first use

        fields = [(name, field) for name, field in model.schema.fields.items() if isinstance(field, SemanticTextField)]
        if len(fields) != 1:
            raise _unfit(self.plan.name)
        name, field = fields[0]
        cosine = field.metric == "cosine" or (field.metric is None and "sparse" not in field.model)
        return Embedding(field.model, name, cosine)

    # The data plane ----------------------------------------------------------------------------------------------

    async def _opened(self, model: IndexModel) -> Target:
        embedding = self._embedding_of(model)
        if not model.host:
            raise self._not_ready(model.status.state)
        control = await self._control()
        index = await control.index(host=model.host)
        await asyncio.to_thread(_tame, index)  # it makes the data plane's client, as above
        return Target(index, embedding)


_REFUSALS = frozenset({400, 404, 412, 422})
_NEVER_READY = frozenset({"InitializationFailed", "Terminating", "Disabled"})


def _tame(index: AsyncIndex) -> None:
    """Reach into the SDK (10.2) for what it has no parameter for; a test holds each.

    * One attempt: its own four sleep through a Retry-After of up to a minute, and the caller would see a timeout in the
      place of a rate limit.
    * Acknowledgements: it never looks into the reply to a write, so that a proxy's page would confirm it.
    """
    from pinecone import RetryConfig  # noqa: PLC0415  # on first use

    http = index._http  # noqa: SLF001  # see above
    http._config = replace(http._config, retry_config=RetryConfig(max_retries=0))  # noqa: SLF001  # see above
    client = http._ensure_client()  # noqa: SLF001  # see above
    client.event_hooks = {"response": [_require_acknowledgement]}


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


def _unfit(name: str) -> LayerError:
    return refused(
        f"The Pinecone index {name!r} does not embed texts itself.",
        "Set PINECONE_INDEX to an index with integrated embedding, or to a new name: dm-memory makes the index.",
        "no-embedding",
    )


def _not_made(plan: IndexPlan, code: str) -> LayerError:
    return LayerError(
        f"Pinecone can't make an index {plan.name!r} with {plan.model} in {plan.cloud} {plan.region}.",
        "Check PINECONE_INDEX (lower case, digits and hyphens), DM_MEMORY_PINECONE_MODEL, DM_MEMORY_PINECONE_CLOUD and"
        " DM_MEMORY_PINECONE_REGION.",
        error_class=ErrorClass.UNAVAILABLE,
        code=code,
    )
