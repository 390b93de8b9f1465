"""What Supermemory's replies must look like; version 5 of its interface. Of a reply only what is used is checked."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "FAILED",
    "PROCESSED",
    "AddReply",
    "DeleteReply",
    "JunkReplyError",
    "ListReply",
    "Listed",
    "Reply",
    "UpdateReply",
    "parsed",
]

PROCESSED = frozenset({"unknown", "queued", "extracting", "chunking", "embedding", "indexing", "done"})
"""Statuses of a document that was accepted."""

FAILED = frozenset({"failed", "error"})
"""Statuses of a document that was not, or could not be processed."""


class JunkReplyError(Exception):
    """A reply that says success and is not what was asked for."""


class Reply(BaseModel):
    """The base of all: unknown fields are no error."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class AddReply(Reply):
    """To a batch: a result for each document, in any order. One strange result must not spoil the others."""

    results: list[dict[str, Any]]


class UpdateReply(Reply):
    """To an update of one document."""

    id: str = Field(min_length=1)
    status: str


class _DeleteTrouble(Reply):
    id: str


class DeleteReply(Reply):
    """To a deletion: how many were deleted, and which were not."""

    count: int
    errors: list[_DeleteTrouble]


class _System(Reply):
    status: str


class Listed(Reply):
    """A document in a list."""

    metadata: dict[str, Any]
    system: _System
    content: str | None = None


class _Pagination(Reply):
    total: int = Field(alias="totalItems", ge=0)


class ListReply(Reply):
    """A page of documents."""

    documents: list[Listed]
    pagination: _Pagination
    chunks: list[dict[str, Any]] = []
    memories: list[dict[str, Any]] = []


_Reply = TypeVar("_Reply", bound=Reply)


def parsed(kind: type[_Reply], content: bytes) -> _Reply:
    """Return a reply's body as what it must be. Raises ``JunkReplyError``, without the body's text."""
    try:
        return kind.model_validate_json(content)
    except ValidationError:
        raise JunkReplyError(kind.__name__) from None
