"""What an adapter raises without meaning to, in our words: a bug in one layer must not cost the run."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from dm_memory.errors import DmMemoryError, ErrorClass, LayerError

__all__ = ["answered", "unforeseen"]

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


async def answered(engine: str, call: Awaitable[_Answer]) -> _Answer:
    """Return what a call to a layer returns. Raises ``DmMemoryError``: whatever it raises becomes a ``LayerError``."""
    try:
        return await call
    except DmMemoryError:
        raise
    except Exception as error:  # a bug in an adapter must not cost the run; it is reported
        raise unforeseen(engine, error) from error


def unforeseen(engine: str, error: Exception) -> LayerError:
    """Return the ``LayerError`` that stands for an exception nobody foresaw; its text may leak, its type may not."""
    _log.error("%s raised %s", engine, type(error).__name__)
    return LayerError(
        f"{engine} failed in a way dm-memory does not know.",
        "Run dm-memory doctor, and report it with this code if it happens again.",
        error_class=ErrorClass.UNKNOWN,
        code=type(error).__name__,
    )
