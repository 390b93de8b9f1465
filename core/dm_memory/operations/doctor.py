"""The doctor's examination: is everything there, readable, writable and working, and what to do if it isn't."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dm_memory.brand.context import load_context
from dm_memory.brand.files import BrandFileError, Limits, read_brand_file
from dm_memory.brand.home import Home
from dm_memory.brand.sources import list_sources, parse_source, read_source
from dm_memory.brand.sources.pending import parse_pending, pending_files
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import DamagedStoreError, DmMemoryError
from dm_memory.extras import how_to_get_the_model
from dm_memory.findings import Finding, Severity
from dm_memory.operations.places import check_place
from dm_memory.requests import Scope
from dm_memory.results import Check
from dm_memory.services.connect import connections, without_effect
from dm_memory.services.protocol import Service
from dm_memory.settings import Settings
from dm_memory.store.database import FILE_NAME, Store, read_store, reading
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.outbox import count_confirmed

__all__ = ["Check", "examine"]

_LOW_DISK = 200 * 1024 * 1024
_SQLITE = (3, 34)
_ROLES = {
    "vector": "Vector database",
    "graph": "Knowledge graph",
    "cross-session": "Cross-session memory",
    "durable": "Durable store",
}


async def examine(
    settings: Settings, home: Home, embedder: Embedder | None, services_of: Callable[[str], Sequence[Service]]
) -> list[Check]:
    """Return one check per thing that can be wrong, in the order in which they build on each other."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    checks = [
        Check("Python", "ok", f"Python {version} on {sys.platform}."),
        _sqlite(),
        *await asyncio.to_thread(_home, home),
    ]
    try:
        brands = home.brands()
    except DmMemoryError:
        return checks
    checks.append(await asyncio.to_thread(_model, settings, embedder))
    checks += _connections(settings)
    for brand in brands:
        checks += await asyncio.to_thread(_brand, settings, home, brand)
        # One round trip each, all at the same time: a service that is down keeps nobody waiting for the next.
        checks += await asyncio.gather(*(_service(home, brand, service) for service in services_of(brand)))
    return checks


# The computer and the home -------------------------------------------------------------------------------------------


def _sqlite() -> Check:
    version = sqlite3.sqlite_version
    remedy = "Use a Python whose SQLite is 3.34 or newer and has FTS5, for example one that uv installs."
    if sqlite3.sqlite_version_info < _SQLITE:
        return Check("SQLite", "fail", f"SQLite {version} is too old.", remedy)
    try:
        connection = sqlite3.connect(":memory:")
        try:
            connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        finally:
            connection.close()
    except sqlite3.Error:
        return Check("SQLite", "fail", f"SQLite {version} has no full-text search (FTS5).", remedy)
    return Check("SQLite", "ok", f"SQLite {version} with full-text search.")


def _home(home: Home) -> list[Check]:
    try:
        brands = home.brands()
    except DmMemoryError as error:
        return [Check("Home", "fail", error.problem, error.remedy)]
    checks = [Check("Home", "ok", f"{home.root} contains {len(brands)} brand{'' if len(brands) == 1 else 's'}.")]
    if not brands:
        remedy = "Create a brand with the marketing plugin or `dm-memory init`, or set CLAUDE_MARKETING_HOME."
        checks.append(Check("Brands", "warn", "There is no brand yet.", remedy))
    else:
        try:
            checks.append(Check("Active brand", "ok", f"{home.resolve(None)} is the active brand."))
        except DmMemoryError as error:
            checks.append(Check("Active brand", "warn", error.problem, error.remedy))
    free = shutil.disk_usage(home.root).free
    if free < _LOW_DISK:
        detail = f"Only {free // (1024 * 1024)} MB are free on the disk with {home.root}."
        checks.append(Check("Disk", "warn", detail, "Free some space: a sync needs some for its database."))
    return [*checks, *check_place(home.root)]


def _model(settings: Settings, embedder: Embedder | None) -> Check:
    name = "Embedding model"
    if embedder is None:
        detail = "No embedding model is installed, so search runs on words alone."
        return Check(name, "warn", detail, f"{how_to_get_the_model()} Then sync.")
    try:
        spec = embedder.spec
    except DmMemoryError as error:
        return Check(name, "fail", error.problem, error.remedy)
    except Exception as error:  # noqa: BLE001  # the user's own model: whatever it raises
        detail = f"The embedding model {settings.embedder} can't be loaded ({type(error).__name__})."
        return Check(name, "fail", detail, "Check DM_MEMORY_EMBEDDER.")
    return Check(
        name, "ok", f"{spec.name}, {spec.dimension} dimensions ({settings.embedder}), loads without a network."
    )


# Services ------------------------------------------------------------------------------------------------------------


def _connections(settings: Settings) -> list[Check]:
    """State what is connected, and which variable says so. Whether it answers is checked for each brand."""
    connected = [
        Check(_ROLES.get(each.role, each.role), "ok", f"It is {each.service}, because {each.variable} is set.")
        for each in connections(settings)
    ]
    half = [
        Check(
            "Services",
            "warn",
            f"{variable} is set, but without {missing} it has no effect.",
            f"Set {missing} as well to connect the service, or unset {variable}.",
        )
        for variable, missing in without_effect(settings)
    ]
    none = Check("Services", "ok", "No service is connected; everything is in memory on this computer.")
    return [*(connected or [none]), *half]


async def _service(home: Home, brand: str, service: Service) -> Check:
    health = await service.health()
    remedy = health.error.remedy if health.error else ""
    detail = health.detail if service.engine in health.detail else f"{service.engine}: {health.detail}"
    name = f"{brand}: {_ROLES.get(service.role, service.role).lower()}"
    if health.ok and (lacks := await _lacking(home, brand, service)):
        return Check(name, "warn", lacks, "Sync this brand: it looks for what is missing and stores it again.")
    return Check(name, "ok" if health.ok else "fail", detail, remedy)


async def _lacking(home: Home, brand: str, service: Service) -> str:
    """Return what a service that counts lacks of what it confirmed, in a sentence, or ""."""
    if not service.capabilities.counts:
        return ""

    def confirmed(store: Store | None) -> int:
        return count_confirmed(store.connection, service.name) if store else 0

    try:
        expected = await asyncio.to_thread(reading, home.memory_dir(brand), brand, confirmed)
        there = await service.count()
    except DmMemoryError:  # said by the memory's own check, or by the next sync
        return ""
    if there is None or there >= expected:
        return ""
    return f"{service.engine} has {there} entries, but {expected} were stored there."


# A brand -------------------------------------------------------------------------------------------------------------


def _brand(settings: Settings, home: Home, brand: str) -> list[Check]:
    try:
        findings = _findings(settings, home, brand)
        memory = home.memory_dir(brand)
    except DmMemoryError as error:
        return [Check(f"{brand}: files", "fail", error.problem, error.remedy)]
    checks = [
        Check(
            f"{brand}: {finding.path or 'files'}",
            ("fail" if finding.severity is Severity.ERROR else "warn"),
            finding.message,
            finding.remedy,
        )
        for finding in findings
        if finding.severity is not Severity.INFO
    ]
    checks = checks or [Check(f"{brand}: files", "ok", "All files can be read.")]
    return [*checks, _folder(brand, memory), _memory(brand, memory)]


def _findings(settings: Settings, home: Home, brand: str) -> list[Finding]:
    limits = Limits(settings.max_file_bytes, settings.max_content_chars)
    context = load_context(home, brand, limits)
    listing = list_sources(home, brand, Scope.ALL, context_file=settings.context_file)
    findings = [*context.findings, *listing.unread]
    for file in listing.files:
        try:
            data = read_source(home, brand, file, limits, context_file=settings.context_file)
            findings += parse_source(file, data, context, limits).findings
        except BrandFileError as error:
            findings.append(error.finding)
    try:
        waiting = pending_files(home.memory_dir(brand))
    except BrandFileError as error:
        return [*findings, error.finding]
    for name in waiting.prepared:
        try:
            data = read_brand_file(home.brand_dir(brand), f"memory/pending/{name}", limits)
            findings += parse_pending(name, data, limits).findings
        except BrandFileError as error:
            findings.append(error.finding)
    return findings


def _folder(brand: str, memory: Path) -> Check:
    name = f"{brand}: memory folder"
    folder = memory if memory.exists() else memory.parent
    if os.access(folder, os.W_OK | os.X_OK):
        return Check(name, "ok", f"{memory} can be written.")
    return Check(
        name, "fail", f"{folder} can't be written.", "Make the folder writable for the user who runs dm-memory."
    )


def _memory(brand: str, memory: Path) -> Check:
    name = f"{brand}: memory"
    try:
        if is_home_0_2(memory):
            return Check(name, "warn", "The memory was made by version 0.2.", "Sync this brand once: it is taken over.")
        with read_store(memory, brand) as store:
            if store is None:
                return Check(name, "ok", "This brand was never synced.")
            verdict = store.rows("PRAGMA quick_check(1)")[0][0]
    except DamagedStoreError as error:
        return Check(name, "warn", error.problem, error.remedy)
    except DmMemoryError as error:
        return Check(name, "fail", error.problem, error.remedy)
    if verdict != "ok":
        return Check(
            name, "warn", f"{FILE_NAME} is damaged.", "Sync this brand: the memory is set aside and built again."
        )
    return Check(name, "ok", f"{FILE_NAME} is consistent.")
