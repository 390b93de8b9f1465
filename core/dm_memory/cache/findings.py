"""The cache's findings, in words."""

from __future__ import annotations

from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.schema import Table

__all__ = ["broken_index", "damaged_file", "damaged_value", "orphan", "quarantined"]


def quarantined(name: str) -> Finding:
    """Return the finding for a cache that was set aside under ``name``."""
    return Finding(
        code="cache-quarantined",
        severity=Severity.WARNING,
        message="The local cache was damaged; it was set aside, and a new one begun.",
        remedy="Nothing is lost: run storage_sync, which fills the cache from the durable store.",
        path=name,
    )


def damaged_value(space: str, key: bytes) -> Finding:
    """Return the finding for a value whose checksum or version is wrong."""
    return Finding(
        code="cache-value-damaged",
        severity=Severity.WARNING,
        message=f"A value in the local cache's {space} is damaged and was left out.",
        remedy="Run storage_sync with repair: it reads what is damaged from the durable store again.",
        key=f"{space}/{key.decode(errors='backslashreplace')}",
    )


def damaged_file() -> Finding:
    """Return the finding for a file that the engine says is not intact."""
    return Finding(
        code="cache-damaged",
        severity=Severity.ERROR,
        message="The local cache's file is damaged.",
        remedy="Run storage_sync: it sets the file aside and fills a new one from the durable store.",
    )


def broken_index(table: Table, missing: int, left_over: int) -> Finding:
    """Return the finding for an index that does not match its table."""
    return Finding(
        code="cache-index",
        severity=Severity.WARNING,
        message=f"The index of the local cache's {table} lacks {missing} entries and has {left_over} left over.",
        remedy="Run storage_sync with full, which fills the cache anew.",
        key=table.value,
    )


def orphan(key: str) -> Finding:
    """Return the finding for an embedding whose episode or pattern is not there."""
    return Finding(
        code="cache-orphan",
        severity=Severity.WARNING,
        message="An embedding in the local cache belongs to nothing that is there.",
        remedy="Run storage_sync with repair, which removes it.",
        key=f"{Table.EMBEDDINGS}/{key}",
    )
