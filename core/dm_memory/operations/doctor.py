"""The doctor's examination: is everything there, readable, writable and working, and what to do where it isn't."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from dm_memory.brand.context import load_context
from dm_memory.brand.files import BrandFileError, Limits, read_brand_file
from dm_memory.brand.home import Home
from dm_memory.brand.sources import parse_source, source_files
from dm_memory.embedding.protocol import Embedder
from dm_memory.errors import DmMemoryError
from dm_memory.findings import Finding, Severity
from dm_memory.report.doctor import Check
from dm_memory.requests import Scope
from dm_memory.services.connect import Connection, connections, without_effect
from dm_memory.services.protocol import Layer
from dm_memory.settings import Settings
from dm_memory.sync.reading import read_prepared
from dm_memory.sync.registry import FILE_NAME, DamagedRegistryError, read_registry

__all__ = ["examine"]

_LOW_DISK = 200 * 1024 * 1024


async def examine(
    settings: Settings, home: Home, embedder: Embedder, layers_of: Callable[[str], Sequence[Layer]]
) -> list[Check]:
    """Return one check per thing that can be wrong, in the order in which they build on each other."""
    checks = [_python(), *await asyncio.to_thread(_home, home)]
    try:
        brands = home.brands()
    except DmMemoryError:
        return checks
    checks.append(await asyncio.to_thread(_model, settings, embedder))
    checks += _connections(settings)
    for brand in brands:
        checks += await asyncio.to_thread(_brand, settings, home, brand)
        checks += await _layers(brand, layers_of)
    return checks


def _connections(settings: Settings) -> list[Check]:
    """Say what each layer is connected to, and which variable says so. Whether it answers is checked for each brand."""
    half = [_half_configured(variable, missing) for variable, missing in without_effect(settings)]
    try:
        return [*(_connection(connection) for connection in connections(settings)), *half]
    except DmMemoryError as error:
        return [Check("Connections", "fail", error.problem, error.remedy), *half]


def _half_configured(variable: str, missing: str) -> Check:
    remedy = f"Set {missing} as well to connect the service, or unset {variable}."
    return Check("Connections", "warn", f"{variable} is set, but without {missing} it has no effect.", remedy)


def _connection(connection: Connection) -> Check:
    because = f", because {connection.variable} is set" if connection.variable else " by default"
    return Check(f"{connection.role} layer", "ok", f"The {connection.role} layer is {connection.service}{because}.")


async def _layers(brand: str, layers_of: Callable[[str], Sequence[Layer]]) -> list[Check]:
    """Prove each layer with one round trip, all at the same time: a dead service holds nobody up."""
    try:
        layers = layers_of(brand)
    except DmMemoryError as error:
        return [Check(f"{brand}: layers", "fail", error.problem, error.remedy)]
    return list(await asyncio.gather(*(_layer(brand, layer) for layer in layers)))


async def _layer(brand: str, layer: Layer) -> Check:
    health = await layer.health()
    remedy = health.error.remedy if health.error else ""
    detail = f"{layer.engine}: {health.detail}"
    return Check(f"{brand}: {layer.role}", "ok" if health.ok else "fail", detail, remedy)


def _python() -> Check:
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return Check("Python", "ok", f"Python {version} on {sys.platform}.", "")


def _home(home: Home) -> list[Check]:
    try:
        brands = home.brands()
    except DmMemoryError as error:
        return [Check("Home", "fail", error.problem, error.remedy)]
    checks = [Check("Home", "ok", f"{home.root} holds {len(brands)} brand{'' if len(brands) == 1 else 's'}.", "")]
    if not brands:
        remedy = "Create a brand with the marketing plugin, or set CLAUDE_MARKETING_HOME to the folder that has them."
        checks.append(Check("Brands", "warn", "There is no brand yet.", remedy))
    try:
        checks.append(Check("Active brand", "ok", f"{home.resolve(None)} is the active brand.", ""))
    except DmMemoryError as error:
        checks.append(Check("Active brand", "warn", error.problem, error.remedy))
    free = shutil.disk_usage(home.root).free
    if free < _LOW_DISK:
        detail = f"Only {free // (1024 * 1024)} MB are free on the disk that holds {home.root}."
        checks.append(Check("Disk", "warn", detail, "Free some space: a sync needs room for its database."))
    return checks


def _model(settings: Settings, embedder: Embedder) -> Check:
    try:
        spec = embedder.spec
    except DmMemoryError as error:
        return Check("Embedding model", "fail", error.problem, error.remedy)
    detail = f"{spec.name}, {spec.dimension} dimensions, loaded without a network ({settings.embedder})."
    return Check("Embedding model", "ok", detail, "")


def _brand(settings: Settings, home: Home, brand: str) -> list[Check]:
    try:
        findings = _findings(settings, home, brand)
        memory = home.memory_dir(brand)
    except DmMemoryError as error:
        return [Check(f"{brand}: files", "fail", error.problem, error.remedy)]
    checks = [
        Check(f"{brand}: {finding.path or 'files'}", _state(finding), finding.message, finding.remedy)
        for finding in findings
        if finding.severity is not Severity.INFO
    ]
    checks = checks or [Check(f"{brand}: files", "ok", "All files can be read.", "")]
    return [*checks, _writable(brand, memory), *_registry(brand, memory)]


def _state(finding: Finding) -> Literal["warn", "fail"]:
    return "fail" if finding.severity is Severity.ERROR else "warn"


def _findings(settings: Settings, home: Home, brand: str) -> list[Finding]:
    limits = Limits(settings.max_file_bytes, settings.max_content_chars)
    context = load_context(home, brand, limits)
    findings = list(context.findings)
    for file in source_files(home, brand, Scope.ALL):
        try:
            data = read_brand_file(home.brand_dir(brand), file.path, limits)
            findings += parse_source(file, data, context, limits).findings
        except BrandFileError as error:
            findings.append(error.finding)
    _, _, told = read_prepared(home.brand_dir(brand), home.memory_dir(brand), limits)
    return [*findings, *told]


def _writable(brand: str, memory: Path) -> Check:
    folder = memory if memory.exists() else memory.parent
    if os.access(folder, os.W_OK):
        return Check(f"{brand}: memory folder", "ok", f"{memory} can be written.", "")
    return Check(f"{brand}: memory folder", "fail", f"{folder} can't be written.", "Make the folder writable.")


def _registry(brand: str, memory: Path) -> list[Check]:
    name = f"{brand}: registry"
    try:
        if not (memory / FILE_NAME).exists():
            return [Check(name, "ok", "This brand was never synced.", "")]
        verdict = read_registry(memory, lambda registry: registry.rows("PRAGMA quick_check(1)")[0][0])
    except DamagedRegistryError as error:
        return [Check(name, "warn", error.problem, error.remedy)]
    except DmMemoryError as error:
        return [Check(name, "fail", error.problem, error.remedy)]
    if verdict != "ok":
        return [Check(name, "warn", "The registry is damaged.", "Run a sync: it builds the registry again.")]
    return [Check(name, "ok", "The registry is in order.", "")]
