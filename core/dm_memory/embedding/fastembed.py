"""MiniLM, or another of fastembed's models, if the extra ``fastembed`` is installed and the model's files are here.

Nothing is downloaded: a sync that waits for 90 MB, or for a network there is not, is worse than a clear sentence.
Importing this module imports neither fastembed nor a model.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

from dm_memory.embedding.protocol import MINILM, EmbeddingSpec
from dm_memory.errors import ConfigurationError
from dm_memory.extras import how_to_install

__all__ = ["FastembedEmbedder"]

_MOST_WINDOWS = 4
"""The most windows of one text that are embedded: only texts beyond 50,000 characters have pieces of more."""

_BATCH = 32
"""Texts in one run of the model; all are padded to the longest."""


class FastembedEmbedder:
    """A sentence transformer, run by fastembed. Loads on first use. One object may serve several threads in turn.

    The model reads a window of tokens (MiniLM: 128) and ignores the rest. Texts are cut to ``chunk_chars``, which fits
    it in English. What does not fit even so, as 400 characters of Chinese don't, is embedded window by window, and the
    mean of the windows' vectors, scaled to length 1, stands for the text.

    Args:
        model: "" for MiniLM from fastembed's cache; a folder that contains MiniLM's files; or the name of another of
            fastembed's models, from its cache. The cache is where ``FASTEMBED_CACHE_PATH`` says.
    """

    chunk_chars = 400
    batch_items = 32
    batch_chars = 50_000

    def __init__(self, model: str = "") -> None:
        folder = Path(model).expanduser() if model else None
        self._folder = folder if folder and (folder.is_dir() or not _is_name(model)) else None
        self._name = model if model and self._folder is None else MINILM
        self._model: Any = None
        self._spec: EmbeddingSpec | None = None
        self._loading = threading.Lock()  # each brand has a thread of its own, and all share one model

    @property
    def spec(self) -> EmbeddingSpec:
        """The model's name, dimension and the SHA-256 of its file.

        Raises:
            ConfigurationError: The extra is missing, or the model's files are.
        """
        if self._spec is None:
            description = self._loaded().model.model_description
            with (Path(self._model.model._model_dir) / description.model_file).open("rb") as file:  # noqa: SLF001  # the only word on where the files are
                weights = file_digest(file, "sha256").hexdigest()
            self._spec = EmbeddingSpec(description.model, description.dim, weights)
        return self._spec

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector of length 1 per text. Raises ``ConfigurationError`` as ``spec`` does."""
        return self._embed(texts, "passage_embed")

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a query. Raises ``ConfigurationError`` as ``spec`` does."""
        return self._embed([text], "query_embed")[0]

    def _embed(self, texts: Sequence[str], how: str) -> list[Sequence[float]]:
        model = self._loaded()
        windows = [list(self._windows(text)) for text in texts]
        flat = [window for own in windows for window in own]
        vectors = iter(list(getattr(model, how)(flat, **({"batch_size": _BATCH} if how == "passage_embed" else {}))))
        return [_mean([next(vectors) for _ in own]) for own in windows]

    def _windows(self, text: str) -> Iterator[str]:
        """Yield the parts of a text that the model reads each as a whole: nearly always the text itself."""
        (encoding,) = self._model.model.tokenize([text])
        encodings = [encoding, *encoding.overflowing]
        if len(encodings) == 1:
            yield text
            return
        step = -(-len(encodings) // _MOST_WINDOWS)
        for part in encodings[::step]:
            places = [place for place in part.offsets if place[1] > place[0]]
            yield text[places[0][0] : places[-1][1]] if places else ""

    def _loaded(self) -> Any:  # noqa: ANN401  # the extra may be missing when types are checked
        with self._loading:
            if self._model is None:
                self._model = self._load()
        return self._model

    def _load(self) -> Any:  # noqa: ANN401  # as above
        try:
            fastembed = importlib.import_module("fastembed")
            importlib.import_module("loguru").logger.disable("fastembed")  # it writes paths and addresses to stderr
        except ImportError as error:
            raise ConfigurationError(
                "The embedding model of DM_MEMORY_EMBEDDER=fastembed needs the package fastembed, which is missing.",
                how_to_install("fastembed"),
            ) from error
        supported = {model["model"].lower(): model for model in fastembed.TextEmbedding.list_supported_models()}
        if self._name.lower() not in supported:
            raise ConfigurationError(
                f"fastembed has no model called {self._name!r}.",
                "Set DM_MEMORY_EMBEDDER to fastembed, to fastembed:FOLDER or to fastembed:NAME of one of its models.",
            )
        return self._opened(fastembed, str(supported[self._name.lower()]["model_file"]))

    def _opened(self, fastembed: Any, file: str) -> Any:  # noqa: ANN401  # as above
        if self._folder is not None and not (self._folder / file).is_file():
            raise self._absent(
                f"The folder {str(self._folder)!r} does not contain the embedding model: {file} is missing."
            )
        options: dict[str, Any] = {"specific_model_path": str(self._folder)} if self._folder else {}
        try:
            return fastembed.TextEmbedding(self._name, local_files_only=True, **options)
        except Exception as error:  # ONNX, tokenizers and the cache raise what they like; it is the files that don't do
            if self._folder is None and isinstance(error, ValueError):
                raise self._absent(f"The embedding model {self._name} is not on this machine.") from error
            raise self._absent(
                f"The files of the embedding model {self._name} can't be loaded ({type(error).__name__})."
            ) from error

    def _absent(self, problem: str) -> ConfigurationError:
        fetch = f"python -c \"import fastembed; fastembed.TextEmbedding('{self._name}')\""
        return ConfigurationError(
            problem,
            f"Fetch it once, with a network and FASTEMBED_CACHE_PATH set to a folder that stays: {fetch}."
            " Or set DM_MEMORY_EMBEDDER to fastembed:FOLDER with the model's files.",
        )


def _is_name(model: str) -> bool:
    """Return whether a setting names one of fastembed's models, owner/name, rather than a folder."""
    return model.count("/") == 1 and model[0] not in "/.~" and "\\" not in model


def _mean(vectors: Sequence[Any]) -> Sequence[float]:
    """Return the mean direction of vectors of length 1."""
    if len(vectors) == 1:
        return vectors[0].tolist()  # type: ignore[no-any-return]  # an array of numpy
    total = sum(vectors[1:], vectors[0])
    length = float((total * total).sum()) ** 0.5
    return (total / (length or 1.0)).tolist()  # type: ignore[no-any-return]  # as above
