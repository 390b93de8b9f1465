"""Where logs go: standard error, which is nobody's protocol and nobody's report."""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["log_to_stderr"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_SDKS = (
    "fastembed",
    "httpcore",
    "httpx",
    "huggingface_hub",
    "neo4j",
    "pinecone",
    "qdrant_client",
    "redis",
    "supermemory",
)


def log_to_stderr() -> None:
    """Log to standard error at the level of ``DM_MEMORY_LOG_LEVEL``; read here, because the settings come too late."""
    level = os.environ.get("DM_MEMORY_LOG_LEVEL", "").upper()
    logging.basicConfig(
        stream=sys.stderr,
        level=level if level in _LEVELS else "WARNING",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if level != "DEBUG":
        for name in _SDKS:
            # Our own messages report their errors; theirs can contain addresses and credentials.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
