"""``collection.json``: which collection of a vector folder is in use, and which model filled it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from dm_memory.embedding.protocol import EmbeddingSpec
from dm_memory.layers.edge_errors import damaged

__all__ = ["MANIFEST", "Generation", "Manifest", "read_manifest", "write_manifest"]

MANIFEST = "collection.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """One collection: a subfolder, and what its vectors were made with.

    Attributes:
        folder: Name of the subfolder.
        setting: The embedder's name for itself that can be told without loading it, or "".
        chunking: The chunking version it was begun with, for people.
    """

    folder: str
    setting: str
    model: EmbeddingSpec
    chunking: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The collection in use, and the one a rebuild is filling; either can be missing."""

    active: Generation | None = None
    building: Generation | None = None


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of ``folder``, or None where there is none.

    Raises:
        LayerError: It is there and can't be understood.
        OSError: It can't be read.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        data = orjson.loads(raw)
        if data["format"] != _FORMAT:
            raise damaged(f"The vector folder's {MANIFEST}, of a format this version does not know,")
        return Manifest(_generation(data["active"]), _generation(data["building"]))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(f"The vector folder's {MANIFEST}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of ``folder`` at once: a crash leaves the old one or the new one. Raises ``OSError``."""
    document = {"format": _FORMAT, "active": _plain(manifest.active), "building": _plain(manifest.building)}
    temporary = folder / f".{MANIFEST}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST)


def _plain(generation: Generation | None) -> dict[str, Any] | None:
    return asdict(generation) if generation else None


def _generation(data: dict[str, Any] | None) -> Generation | None:
    if data is None:
        return None
    model = data["model"]
    spec = EmbeddingSpec(str(model["name"]), int(model["dimension"]), str(model["weights"]))
    name = str(data["folder"])
    if not name or Path(name).name != name:
        message = "a collection is a direct subfolder"
        raise ValueError(message)
    return Generation(name, str(data["setting"]), spec, int(data["chunking"]))
