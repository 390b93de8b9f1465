"""Handing in one payload: validated, guarded, tagged, written ahead, and left where the plugin's script finds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from dm_memory.brand.context import load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.pending import parse_pending
from dm_memory.errors import HomeError, InputError
from dm_memory.findings import Finding
from dm_memory.items import Item, Kind
from dm_memory.sync.duplicates import merge_tags
from dm_memory.sync.exclude import Excluder
from dm_memory.sync.intake import Intake, IntakeOptions, SourceItems
from dm_memory.sync.lock import brand_lock
from dm_memory.sync.outcomes import title_of
from dm_memory.sync.payloads import Prepared, Preparer
from dm_memory.sync.prepared_files import PENDING, write_pending
from dm_memory.sync.registry import Registry
from dm_memory.sync.requests import PrepareRequest, SyncRequest, no_progress
from dm_memory.sync.results import GuardHit, PrepareResult
from dm_memory.sync.runs import begin_run, finish_run, open_or_rebuild
from dm_memory.sync.session import clean_text
from dm_memory.sync.state import Environment
from dm_memory.sync.worker import worker_thread
from dm_memory.text.hashing import script_hash
from dm_memory.text.timestamps import Clock, from_iso, to_iso, to_local_iso

__all__ = ["prepare_payload"]

_MAX_RELATED = 50


async def prepare_payload(
    environment: Environment, request: PrepareRequest, brand: str, stop: asyncio.Event
) -> PrepareResult:
    """Take in one payload for the next sync to store; idempotent.

    Not to be cancelled: its thread would go on writing while the brand is given back. ``stop`` ends it where it waits.

    Raises:
        InputError: The text is empty or too long, or ``expires_at`` is no date.
        DmMemoryError: The home or the registry can't be used.
    """
    _check(request, environment)
    memory_dir = environment.home.memory_dir(brand)
    async with worker_thread("dm-memory-prepare") as worker:
        context = await worker.run(load_context, environment.home, brand, environment.limits)
        preparer = Preparer.of(brand, context, environment.policy)
        now = to_iso(environment.clock())
        payload = _payload(preparer, request, brand, now, environment.limits)
        if payload.prepared.refused:
            return _refused(brand, payload.prepared)
        async with brand_lock(memory_dir, environment.lock_timeout, environment.clock, no_progress, stop) as waited:
            registry, findings = await worker.run(open_or_rebuild, memory_dir)
            try:
                writing = _Writing(environment, brand, memory_dir, registry, preparer, payload)
                result = await worker.run(writing.write, waited)
            finally:
                await worker.run(registry.close)
        return result if not findings else _with_findings(result, findings)


def _check(request: PrepareRequest, environment: Environment) -> None:
    text = clean_text(request.content)
    limit = environment.limits.max_content_chars
    if not text:
        raise InputError("The content is empty.", "Pass the text that is to be remembered.")
    if len(text) > limit:
        message = f"The content is {len(text):,} characters long; at most {limit:,} can be stored."
        raise InputError(message, "Shorten it, or split it into several payloads.")
    _check_expiry(request.expires_at, environment.clock)
    if len(request.related) > _MAX_RELATED:
        raise InputError(f"related has more than {_MAX_RELATED} entries.", "Pass the most important ones.")


def _check_expiry(expires_at: str, clock: Clock) -> None:
    if not expires_at:
        return
    moment = from_iso(expires_at)
    if moment is None:
        raise InputError("expires_at is not a date.", "Pass it as ISO-8601, for example 2026-12-31.")
    if moment <= clock():
        raise InputError(
            "expires_at is in the past, so no search would ever find this.", "Pass a later date, or leave it out."
        )


@dataclass(frozen=True, slots=True)
class _Payload:
    """What is to be written, and the same as the next sync will read it back."""

    file: bytes
    prepared: Prepared


def _payload(preparer: Preparer, request: PrepareRequest, brand: str, now: str, limits: Limits) -> _Payload:
    """Prepare the payload. Its name is the hash of what will really be stored, so it is masked first, then named."""
    text = clean_text(request.content)
    item = Item(
        key=f"{Kind.PREPARED}/",
        content=text,
        kind=Kind.PREPARED,
        content_type=request.content_type,
        tags=request.tags,
        source=request.source,
    )
    masked = preparer.prepare(item)
    if masked.refused:
        return _Payload(b"", masked)
    name = script_hash(masked.content)
    file = orjson.dumps(_script_format(request, masked, brand, name, now), option=orjson.OPT_INDENT_2)
    parsed = parse_pending(f"{name}.json", file, limits).items[0]
    # What was masked is known from the first look only: the second one reads what the first has cleaned.
    return _Payload(file, replace(preparer.prepare(parsed), guard_hits=masked.guard_hits))


def _script_format(request: PrepareRequest, masked: Prepared, brand: str, name: str, now: str) -> dict[str, Any]:
    """Return the payload as the plugin's memory-manager.py writes it, with three keys of ours that it ignores."""
    return {
        "content_hash": name,
        "brand": brand,
        "content": masked.content,
        "content_type": masked.content_type,
        "tags": list(masked.tags),
        "source": request.source,
        "created_at": to_local_iso(now),
        "metadata": {"char_count": len(masked.content), "word_count": len(masked.content.split())},
        "priority": request.priority,
        "expires_at": request.expires_at,
        "related": [clean_text(entry) for entry in request.related],
    }


@dataclass(frozen=True, slots=True)
class _Writing:
    """The part that happens while the brand is held."""

    environment: Environment
    brand: str
    memory_dir: Path
    registry: Registry
    preparer: Preparer
    payload: _Payload

    @property
    def prepared(self) -> Prepared:
        return self.payload.prepared

    def write(self, waited: float) -> PrepareResult:
        existing = self._existing()
        run = begin_run(self.registry, SyncRequest(), self.environment.clock, waited)
        merged: tuple[str, ...] = ()
        path = ""
        if existing is None:
            path = self._write_file()
            self._write_ahead(run.number)
        else:
            with self.registry.transaction() as connection:
                merged = merge_tags(connection, existing["key"], self.prepared.tags, run.number)
        with self.registry.transaction() as connection:
            finish_run(connection, run, "prepared", to_iso(self.environment.clock()), {})
        return self._result(existing, merged, path)

    def _existing(self) -> dict[str, Any] | None:
        """Return the entry that has the same text already, if there is one."""
        found = self.registry.rows(
            "SELECT i.key, i.content_type, i.details, max(d.stored_at) AS stored_at FROM items i"
            " LEFT JOIN deliveries d ON d.seq = i.seq"
            " WHERE i.content_hash = ? AND i.duplicate_of IS NULL GROUP BY i.seq",
            (self.prepared.content_hash,),
        )
        return dict(found[0]) if found else None

    def _write_file(self) -> str:
        name = f"{self.prepared.item.prepared_hash}.json"
        try:
            write_pending(self.memory_dir, name, self.payload.file)
        except OSError as error:
            message = f"The payload can't be written below {self.memory_dir} ({error.strerror})."
            raise HomeError(message, "Free space or make the folder writable, then try again.") from error
        return f"memory/{PENDING}/{name}"

    def _write_ahead(self, run: int) -> None:
        layers = tuple(layer.name for layer in self.environment.layers)
        options = IntakeOptions(run=run, now=self.prepared.item.created_at, layers=layers)
        Intake(self.registry, self.preparer, Excluder(()), options).take([SourceItems("", [self.prepared.item])])

    def _result(self, existing: dict[str, Any] | None, merged: tuple[str, ...], path: str) -> PrepareResult:
        prepared, item = self.prepared, self.prepared.item
        result = PrepareResult(
            brand=self.brand,
            status="prepared",
            key=item.key,
            content_hash=prepared.content_hash,
            content_type=prepared.content_type,
            tags=prepared.tags,
            title=title_of(prepared.content),
            path=path,
            priority=item.priority,
            expires_at=item.expires_at,
            guard_hits=_guard_hits(prepared),
            findings=prepared.findings,
        )
        return result if existing is None else _as_duplicate(result, existing, merged)


def _as_duplicate(result: PrepareResult, existing: dict[str, Any], merged: tuple[str, ...]) -> PrepareResult:
    """Describe the entry that is there: of what was asked only the tags reach it."""
    tags, _, priority, expires_at, _ = orjson.loads(existing["details"])
    return replace(
        result,
        status="duplicate",
        key=existing["key"],
        content_type=existing["content_type"],
        existing_key=existing["key"],
        existing_stored_at=existing["stored_at"] or "",
        existing_tags=tuple(tags),
        merged_tags=merged,
        priority=priority,
        expires_at=expires_at,
    )


def _guard_hits(prepared: Prepared) -> tuple[GuardHit, ...]:
    refused = bool(prepared.refused)
    return tuple(GuardHit(prepared.item.key, what, count, refused) for what, count in prepared.guard_hits)


def _refused(brand: str, prepared: Prepared) -> PrepareResult:
    return PrepareResult(
        brand=brand,
        status="refused",
        key="",
        content_hash=prepared.content_hash,
        content_type=prepared.content_type,
        tags=prepared.tags,
        title="",
        guard_hits=_guard_hits(prepared),
        findings=prepared.findings,
    )


def _with_findings(result: PrepareResult, findings: list[Finding]) -> PrepareResult:
    return replace(result, findings=(*result.findings, *findings))
