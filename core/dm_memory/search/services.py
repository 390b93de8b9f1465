"""Connected vector services propose entries; what they propose is judged here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dm_memory.errors import ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.search.results import Hit, Relevance
from dm_memory.services.protocol import Proposal, SearchQuery, Service
from dm_memory.store.candidates import forgotten, seqs_of

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Proposals", "ask_services", "elsewhere"]

_REMEDY = "The answer comes from this computer's memory; a status shows the service's state."


@dataclass(frozen=True, slots=True)
class Proposals:
    """What services proposed: by entry id, the service's name for people and its proposal, in its order."""

    by_id: Mapping[str, tuple[str, Proposal]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


async def ask_services(services: Sequence[Service], query: SearchQuery, timeout: float) -> Proposals:  # noqa: ASYNC109  # the deadline of all of them
    """Return what services propose within ``timeout`` seconds. One that fails or hangs adds a finding, nothing else."""
    if not services:
        return Proposals()
    tasks = [asyncio.ensure_future(service.search(query)) for service in services]
    try:
        await asyncio.wait(tasks, timeout=timeout)
    finally:
        for task in tasks:
            task.cancel()
    found: dict[str, tuple[str, Proposal]] = {}
    findings = []
    for service, task in zip(services, tasks, strict=True):
        if not task.done() or task.cancelled():
            findings.append(_silent(service, f"did not answer within {timeout:g} s"))
        elif error := task.exception():
            why = error.error_class if isinstance(error, ServiceError) else "unexpected error"
            findings.append(_silent(service, f"could not be asked ({why})"))
        else:
            for proposal in task.result():
                found.setdefault(proposal.id, (service.engine, proposal))
    return Proposals(found, tuple(findings))


def _silent(service: Service, what: str) -> Finding:
    return Finding("service-not-asked", Severity.WARNING, f"{service.engine} {what}.", _REMEDY)


def elsewhere(connection: sqlite3.Connection, brand: str, proposals: Proposals, limit: int) -> tuple[Hit, ...]:
    """Return what only a service has: never another brand's, nor what was forgotten here."""
    ids = set(proposals.by_id)
    ours = set(seqs_of(connection, ids=ids)) | forgotten(connection, ids) if ids else set()
    return tuple(
        Hit(
            id=identity,
            key=proposal.key,
            content=proposal.content,
            passage=proposal.content,
            kind="",
            content_type=proposal.content_type,
            source="",
            tags=proposal.tags,
            recorded_at=proposal.recorded_at,
            score=0.0,
            relevance=Relevance.TANGENTIAL,
            service=engine,
        )
        for identity, (engine, proposal) in proposals.by_id.items()
        if identity not in ours and proposal.brand == brand
    )[:limit]
