"""What a run would deliver: each service's quota is checked, so that a refused key shows; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dm_memory.errors import DmMemoryError, ErrorClass, ServiceError
from dm_memory.services.protocol import Service, unexpected
from dm_memory.store import outbox
from dm_memory.store.entries import payloads
from dm_memory.sync.run import Delivered, Run

__all__ = ["preview_deliveries"]

_PAGE = 500
_SHOWN = 3


async def preview_deliveries(run: Run) -> None:
    """Ask every service at the same time; one that fails, or that nobody foresaw, costs the others nothing."""
    found = await asyncio.gather(*(_preview(run, service) for service in run.env.services))
    run.delivered.update(found)


async def _preview(run: Run, service: Service) -> tuple[str, Delivered]:
    delivered = run.delivered.get(service.name, Delivered())
    delivered.needed, delivered.preview = await run.worker.run(_due, run, service)
    if delivered.failure is not None:
        return service.name, delivered
    delivered.asked = True
    try:
        delivered.capacity = await service.capacity()
    except ServiceError as error:
        delivered.failure = error
    except DmMemoryError as error:
        delivered.failure = ServiceError(error.problem, error.remedy, error_class=ErrorClass.CONFIGURATION)
    except Exception as error:  # noqa: BLE001  # a bug in an adapter is reported, with the other services
        delivered.failure = unexpected(service.engine, error)
    return service.name, delivered


def _due(run: Run, service: Service) -> tuple[int, tuple[Mapping[str, Any], ...]]:
    """Return how much quota the planned entries need, and some of them as the service would get them."""
    needed = 0
    shown: list[Mapping[str, Any]] = []
    after = ""
    while page := outbox.due_page(run.store.connection, service.name, after, _PAGE, deletions=False):
        after = page[-1].id
        loaded = payloads(run.store.connection, run.brand, [due.id for due in page])
        for due in page:
            payload = loaded.get(due.id)
            if payload is None:
                continue
            needed += 0 if due.confirmed else service.size_of(payload)
            if len(shown) < _SHOWN:
                shown.append(service.preview(payload))
    return needed, tuple(shown)
