"""Embedding models by name: the bundled one, or one of the user's own.

Importing this module imports neither a model nor numpy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from dm_memory.embedding.batch import in_batches
from dm_memory.embedding.fastembed import FastembedEmbedder
from dm_memory.embedding.protocol import Embedder, EmbeddingSpec
from dm_memory.errors import ConfigurationError
from dm_memory.lazy import np

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
        embedder = getattr(import_module(module_name), factory_name)()
    except Exception as error:  # the user's own code: whatever it raises, it is the setting that can't work
        problem = f"The embedding model {name!r} can't be made ({type(error).__name__})."
        raise ConfigurationError(problem, _REMEDY) from error
    if not all(hasattr(embedder, member) for member in ("spec", "embed_documents", "embed_query")):
        raise ConfigurationError(f"What {name!r} returns is not an embedding model.", _REMEDY)
    return embedder  # type: ignore[no-any-return]  # an import by name has no static type; its shape was just checked


class WordLlamaEmbedder:
    """WordLlama's static vectors: the mean of a text's token vectors, scaled to length 1. Loads on first use.

    A text without any token has no direction: its vector is all zeros, which has the likeness 0 to everything. The
    arithmetic is gathering and adding, no matrix product, so that no BLAS thread ever runs. The package itself is not
    imported: that alone takes 0.3 s of CPU, its two files are opened within 0.1 s.
    """

    def __init__(self) -> None:
        self._model: _StaticModel | None = None
        self._loading = threading.Lock()  # searches and syncs have threads of their own, and all share one model

    @property
    def setting(self) -> str:
        """Name the model without loading it: the weights come with the distribution of exactly this version."""
        return f"wordllama=={version('wordllama')}"

    @property
    def spec(self) -> EmbeddingSpec:
        """The model's name, dimension and the SHA-256 of its weights as float32; loads the model."""
        model = self._loaded()
        if not model.digest:
            model.digest = _WEIGHTS.get(version("wordllama")) or _digest(model.weights)
        return EmbeddingSpec("wordllama-l2-supercat-256", int(model.weights.shape[1]), model.digest)

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector per text, rows of numpy."""
        model = self._loaded()
        return [row for group in in_batches(texts, len, _GROUP_TEXTS, _GROUP_CHARS) for row in model.embed(group)]

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query; documents and queries are embedded alike."""
        return self.embed_documents([text])[0]

    def _loaded(self) -> _StaticModel:
        with self._loading:
            if self._model is None:
                self._model = _StaticModel()
        return self._model


_GROUP_TEXTS = 64
_GROUP_CHARS = 100_000
"""Most characters of one group: a token takes 1 KB, so about 30 MB at worst."""

_WEIGHTS = {"0.4.0.post1": "c2c596675fd628bc84ebcc83b57010c7e4feffae51781c8ff814052cc65018b2"}
"""By version, what ``_digest`` says of the weights: 0.04 s of CPU that a process does not have to spend."""


class _StaticModel:
    """WordLlama's tokenizer and weights, read from the files of its package.

    The weights are mapped into memory as they are, float16; a token's row is read, and made float32, when a text has it
    for the first time.

    Raises:
        ConfigurationError: The files are missing or unreadable.
    """

    def __init__(self) -> None:
        self.digest = ""
        try:
            found = find_spec("wordllama")
            folder = Path(str(found.origin)).parent if found else Path()
            self._tokenizer = import_module("tokenizers").Tokenizer.from_file(str(folder / _TOKENIZER))
            raw = np.memmap(folder / _TENSORS, mode="r")
            head = int.from_bytes(raw[:8].tobytes(), "little")
            tensor = orjson.loads(raw[8 : 8 + head].tobytes())["embedding.weight"]
            start, end = (8 + head + offset for offset in tensor["data_offsets"])
            self.weights: Any = raw[start:end].view("<f2").reshape(tensor["shape"])
        except Exception as error:  # the tokenizer raises what it likes; it is the files that don't do
            raise ConfigurationError(
                "The weights of the bundled embedding model wordllama are missing or unreadable.",
                "Reinstall dm-memory, which brings them along.",
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._rows: Any = np.empty(self.weights.shape, np.float32)
        self._has_row = np.zeros(len(self._rows), bool)

    def embed(self, texts: list[str]) -> Any:  # noqa: ANN401  # an array of numpy's
        """Return the unit vectors of some texts, one a row."""
        tokens = [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        counts = np.fromiter(map(len, tokens), np.int64, len(tokens))
        ids = np.fromiter(chain.from_iterable(tokens), np.int64, int(counts.sum()))
        new = list(set(ids[~self._has_row[ids]].tolist()))  # np.unique imports 0.04 s of masked arrays
        self._rows[new] = self.weights[new]
        self._has_row[new] = True  # after the row is there: another thread may be looking
        vectors = np.zeros((len(texts), self._rows.shape[1]), np.float32)
        some = counts > 0
        vectors[some] = np.add.reduceat(self._rows[ids], (np.cumsum(counts) - counts)[some], axis=0) if len(ids) else 0
        vectors /= np.maximum(counts, 1)[:, None].astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1.0
        return vectors / lengths


_TENSORS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"


def _digest(weights: Any) -> str:  # noqa: ANN401  # an array of numpy's
    """Return the SHA-256 of weights as float32, some rows at a time."""
    digest = sha256()
    for start in range(0, len(weights), 1000):
        digest.update(weights[start : start + 1000].astype("<f4").tobytes())
    return digest.hexdigest()
