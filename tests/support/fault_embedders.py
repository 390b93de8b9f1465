"""Embedding models that leave a trace or go wrong, for the fault tests; chosen by name like those in ``embedders``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from dm_memory.embedding.protocol import Embedder
from tests.support.embedders import ConstantEmbedder

__all__ = ["LOG_VARIABLE", "LoggingEmbedder", "logging", "text_digest"]

LOG_VARIABLE = "EMBED_LOG"
"""Names the file that the log goes to; not one of the product's settings."""


def text_digest(text: str) -> str:
    """Return what the log holds for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class LoggingEmbedder(ConstantEmbedder):
    """Appends a line per embedded text to a file, before it answers: a killed process leaves it complete."""

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Log the texts in one write, then return the constant vectors."""
        lines = "".join(f"{text_digest(text)}\n" for text in texts)
        handle = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)
        return super().embed_documents(texts)


def logging() -> Embedder:
    """Return a ``LoggingEmbedder``."""
    return LoggingEmbedder()
