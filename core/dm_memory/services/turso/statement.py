"""A statement and what goes in and out of it: the one vocabulary both durable engines speak."""

from __future__ import annotations

from dataclasses import dataclass

from dm_memory.errors import ErrorClass, LayerError

__all__ = ["ReplyTooLargeError", "Row", "SchemaMismatchError", "SqlValue", "Statement"]

SqlValue = None | int | float | str | bytes
"""What SQLite stores. Integers have 64 bits."""

Row = tuple[SqlValue, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with question marks, and what stands for them."""

    sql: str
    arguments: tuple[SqlValue, ...] = ()


class SchemaMismatchError(LayerError):
    """A table or column that a statement names is not in the database: another layout, or none yet."""

    def __init__(self) -> None:
        super().__init__(
            "The durable store does not hold the tables that were asked for.",
            "Run a sync, which creates them, or point TURSO_DATABASE_URL at the right database.",
            error_class=ErrorClass.VALIDATION,
            code="schema-mismatch",
        )


class ReplyTooLargeError(LayerError):
    """An answer is larger than the server or we allow: ask for fewer rows."""

    def __init__(self) -> None:
        super().__init__(
            "One entry in the durable store is larger than an answer of the server may be.",
            "Shorten that entry in its source, then sync again.",
            error_class=ErrorClass.VALIDATION,
            code="RESPONSE_TOO_LARGE",
        )
