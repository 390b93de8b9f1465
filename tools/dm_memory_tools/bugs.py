"""What is logged of an error nobody expected."""

from __future__ import annotations

import logging
import traceback

__all__ = ["log_bug"]

_log = logging.getLogger("dm_memory")


def log_bug(error: BaseException, stage: str) -> None:
    """Log an unexpected error's type and where it came from; not its text, which may have credentials or brand data."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames[-8:]))
    _log.error("unexpected %s while %s: %s", type(error).__qualname__, stage, where)
