"""Embedding models by name: the bundled one, or one of the user's own.

Importing this module imports neither a model nor numpy.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dm_memory.embedding.fastembed import FastembedEmbedder
from dm_memory.embedding.protocol import Embedder, EmbeddingSpec
from dm_memory.errors import ConfigurationError

__all__ = ["WordLlamaEmbedder", "make_embedder"]

_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_REMEDY = (
    "Set DM_MEMORY_EMBEDDER to wordllama, to fastembed (the extra of that name), or to package.module:factory for a"
    " model of your own."
)


def make_embedder(name: str) -> Embedder:
    """Return the embedding model that the setting ``embedder`` names.

    Args:
        name: ``wordllama``, whose weights come with the package; ``fastembed`` for MiniLM, or ``fastembed:MODEL`` for
            a folder with its files or another model's name; or ``package.module:factory``: a callable without
            arguments that returns an ``Embedder``.

    Raises:
        ConfigurationError: There is no such model.
    """
    if name == "wordllama":
        return WordLlamaEmbedder()
    model, _, which = name.partition(":")
    if model == "fastembed":
        return FastembedEmbedder(which)
    if not _FACTORY.fullmatch(name):
        raise ConfigurationError(f"There is no embedding model called {name!r}.", _REMEDY)
    module_name, _, factory_name = name.partition(":")
    try:
        embedder = getattr(importlib.import_module(module_name), factory_name)()
    except Exception as error:  # the user's own code: whatever it raises, it is the setting that can't work
        problem = f"The embedding model {name!r} can't be made ({type(error).__name__})."
        raise ConfigurationError(problem, _REMEDY) from error
    if not all(hasattr(embedder, member) for member in ("spec", "embed_documents", "embed_query")):
        raise ConfigurationError(f"What {name!r} returns is not an embedding model.", _REMEDY)
    return embedder  # type: ignore[no-any-return]  # an import by name has no static type; its shape was just checked


class WordLlamaEmbedder:
    """WordLlama's static vectors: the mean of a text's token vectors, scaled to length 1. Loads on first use.

    A text without any token has no direction: its vector is all zeros, which the engine scores 0 against everything.
    The arithmetic is gathering and adding, no matrix product, so that no BLAS thread ever runs.
    """

    def __init__(self) -> None:
        self._model: Any = None
        self._spec: EmbeddingSpec | None = None
        self._loading = threading.Lock()  # each brand's layer has a thread of its own, and all share one model

    @property
    def setting(self) -> str:
        """Name the model without loading it: the weights come with the distribution of exactly this version."""
        return f"wordllama=={version('wordllama')}"

    @property
    def spec(self) -> EmbeddingSpec:
        """The model's name, dimension and the SHA-256 of its weights in memory; loads the model."""
        if self._spec is None:
            weights = self._loaded().embedding
            digest = sha256(memoryview(weights).cast("B")).hexdigest()
            self._spec = EmbeddingSpec("wordllama-l2-supercat-256", int(weights.shape[1]), digest)
        return self._spec

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector per text. Texts are grouped by length, because a group is padded to its longest text."""
        model = self._loaded()
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        rows: list[Sequence[float]] = [()] * len(texts)
        for group in _groups(order, texts):
            vectors = _unit(model.embed([texts[position] for position in group], batch_size=len(group)))
            for position, vector in zip(group, vectors.tolist(), strict=True):
                rows[position] = vector
        return rows

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query; documents and queries are embedded alike."""
        return self.embed_documents([text])[0]

    def _loaded(self) -> Any:  # noqa: ANN401  # wordllama ships no types
        with self._loading:
            if self._model is None:
                self._model = _load_wordllama()
        return self._model


_GROUP_TEXTS = 64
_GROUP_CHARS = 100_000
"""Most characters of one padded group: a token takes 1 KB in each of two temporaries, so about 100 MB at worst."""


def _groups(order: list[int], texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield positions in groups, none of which pads to more than ``_GROUP_CHARS`` characters unless it is one text."""
    group: list[int] = []
    for position in order:
        if group and (len(group) == _GROUP_TEXTS or (len(group) + 1) * len(texts[position]) > _GROUP_CHARS):
            yield group
            group = []
        group.append(position)
    if group:
        yield group


def _unit(vectors: Any) -> Any:  # noqa: ANN401  # numpy is imported on first use only
    import numpy as np  # noqa: PLC0415  # as above

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    return vectors / lengths


def _load_wordllama() -> Any:  # noqa: ANN401  # wordllama ships no types
    with _root_logger_untouched():
        import wordllama  # noqa: PLC0415  # 0.6 s of CPU: on first use only
    folder = Path(wordllama.__file__).parent
    try:
        return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    except OSError as error:
        raise ConfigurationError(
            "The weights of the bundled embedding model wordllama are missing or unreadable.",
            "Reinstall dm-memory, which brings them along.",
        ) from error


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Take back what wordllama's import does to the root logger: a handler on stderr and level INFO for everybody."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in [handler for handler in root.handlers if handler not in handlers]:
            root.removeHandler(handler)
